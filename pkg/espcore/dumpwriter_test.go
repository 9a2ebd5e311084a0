package espcore

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

var le = binary.LittleEndian

// dumpWriter makes core dumps as the device does, of every version and chip.
type dumpWriter struct {
	version  uint16
	chip     Chip
	revision uint32
	machine  symbol.Machine
	tasks    []testTask
	memory   []segment
	notes    []testNote // behind those of the tasks, in a segment of their own
	elfHash  string
	junk     bool // in the padding of the notes' names, as old versions leave it
}

type testTask struct {
	tcb     uint32
	tcbData []byte
	stack   segment
	pc, ps  uint32
	regs    map[int]uint32
}

type testNote struct {
	typ  uint32
	desc []byte
}

func wordsOf(values ...uint32) []byte {
	var b []byte
	for _, v := range values {
		b = le.AppendUint32(b, v)
	}
	return b
}

// put writes words into a segment.
func (s segment) put(addr uint32, values ...uint32) { copy(s.data[addr-s.addr:], wordsOf(values...)) }

func blank(addr uint32, size int) segment { return segment{addr: addr, data: make([]byte, size)} }

func (w *dumpWriter) note(typ uint32, desc []byte) {
	w.notes = append(w.notes, testNote{typ, desc})
}

// appendNote writes a note; its name matters to nobody.
func (w *dumpWriter) appendNote(b []byte, n testNote) []byte {
	name := []byte("CORE\x00\x00\x00\x00")
	if w.junk {
		name = []byte("CORE\x00JNK")
	}
	b = append(b, wordsOf(uint32(len(name)), uint32(len(n.desc)), n.typ)...)
	b = append(append(b, name...), n.desc...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func (w *dumpWriter) registerNote(t testTask) []byte {
	size := riscvTask
	if w.machine == symbol.Xtensa {
		size = xtensaTask
	}
	desc := make([]byte, size)
	le.PutUint32(desc[taskTCB:], t.tcb)
	regs := segment{data: desc[taskRegisters:]}
	regs.put(0, t.pc)
	for n, v := range t.regs {
		if w.machine == symbol.Xtensa {
			regs.put(uint32(4*(64+n)), v)
			regs.put(4, t.ps)
		} else {
			regs.put(uint32(4*n), v)
		}
	}
	return desc
}

// elf is the payload of the ELF containers.
func (w *dumpWriter) elf() []byte {
	type part struct {
		typ, addr uint32
		data      []byte
	}
	var registers, about []byte
	for _, t := range w.tasks {
		registers = w.appendNote(registers, testNote{noteTask, w.registerNote(t)})
	}
	parts := []part{{segmentNote, 0, registers}}
	for _, t := range w.tasks {
		parts = append(parts, part{segmentLoad, t.tcb, t.tcbData})
		if t.stack.data != nil {
			parts = append(parts, part{segmentLoad, t.stack.addr, t.stack.data})
		}
	}
	for _, m := range w.memory {
		parts = append(parts, part{segmentLoad, m.addr, m.data})
	}
	if w.elfHash != "" {
		desc := make([]byte, 72)
		le.PutUint32(desc, uint32(w.chip)<<16|uint32(w.version))
		copy(desc[4:], w.elfHash)
		about = w.appendNote(about, testNote{noteDumpInfo, desc})
	}
	for _, n := range w.notes {
		about = w.appendNote(about, n)
	}
	parts = append(parts, part{segmentNote, 0, about})

	head := append([]byte(nil), elfStart...)
	head = le.AppendUint16(head, elfCore)
	head = le.AppendUint16(head, uint16(w.machine))
	head = append(head, wordsOf(1, 0, elfHeader, 0, 0)...)
	for _, v := range []uint16{elfHeader, programHeader, uint16(len(parts)), 40, 0, 0} {
		head = le.AppendUint16(head, v)
	}
	at := uint32(len(head) + programHeader*len(parts))
	var body []byte
	for _, p := range parts {
		size := uint32(len(p.data))
		head = append(head, wordsOf(p.typ, at, p.addr, p.addr, size, size, 6, 0)...)
		at += size
		body = append(body, p.data...)
	}
	return append(head, body...)
}

// bin is the payload of the bin containers; a task's registers lie on its stack, where the test has put them.
func (w *dumpWriter) bin() []byte {
	var b []byte
	for _, t := range w.tasks {
		b = append(b, wordsOf(t.tcb, t.stack.addr, t.stack.end())...)
		b = append(append(b, t.tcbData...), t.stack.data...)
	}
	for _, m := range w.memory {
		if w.version > 0x0001 {
			b = append(append(b, wordsOf(m.addr, uint32(len(m.data)))...), m.data...)
		}
	}
	return b
}

// container wraps the payload as it is in flash, or on the console where nothing is padded.
func (w *dumpWriter) container(flash bool) []byte {
	c, ok := findContainer(w.version)
	if !ok {
		panic("no such container")
	}
	head := make([]byte, c.header)
	le.PutUint32(head[4:], uint32(w.chip)<<16|uint32(w.version))
	payload := w.elf()
	if c.binary {
		payload = w.bin()
		le.PutUint32(head[8:], uint32(len(w.tasks)))
		le.PutUint32(head[12:], uint32(len(w.tasks[0].tcbData)))
		if c.header > 16 {
			le.PutUint32(head[16:], uint32(len(w.memory)))
		}
	}
	if c.revision > 0 {
		le.PutUint32(head[c.revision:], w.revision)
	}
	b := slices.Concat(head, payload)
	for flash && len(b)%32 != 0 {
		b = append(b, 0)
	}
	le.PutUint32(b, uint32(len(b)+c.trailer))
	if c.trailer == sha256.Size {
		sum := sha256.Sum256(b)
		return append(b, sum[:]...)
	}
	return le.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// asConsole is the base64 text of the serial console: each write of at most 48 bytes alone.
func asConsole(dump []byte, trailer int, newline string) []byte {
	var out strings.Builder
	body, sum := dump[:len(dump)-trailer], dump[len(dump)-trailer:]
	sizes := []int{48, 28, 48, 12, 4}
	for i := 0; len(body) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(body))
		out.WriteString(base64.StdEncoding.EncodeToString(body[:n]) + newline)
		body = body[n:]
	}
	return []byte(out.String() + base64.StdEncoding.EncodeToString(sum) + newline)
}

func asPartition(dump []byte) []byte {
	b := bytes.Repeat([]byte{0xA5}, 64<<10)
	copy(b, dump)
	return b
}

func asHex(dump []byte) []byte { return []byte(hex.EncodeToString(dump)) }
