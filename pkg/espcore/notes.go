package espcore

import (
	"bytes"
	"encoding/hex"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// Notes are known by type, never by name: old versions round the name's length up over junk.
const (
	noteTask      = 1
	noteExtra     = 677
	noteTaskInfo  = 678
	notePanic     = 679
	noteDumpInfo  = 8266
	noteHead      = 12 // bytes: name's size, description's size, type
	xtensaTask    = 588
	riscvTask     = 204
	taskTCB       = 24 // offset of pr_pid, which holds the TCB
	taskRegisters = 72
	leastHash     = 8 // hex digits of the app's hash; ESP-IDF's own least is 8
)

// eachNote visits the notes of a segment, clipped to what is there: for a task watchdog the device writes 4 bytes more
// than it accounts for. False where one was clipped.
func eachNote(data []byte, visit func(typ uint32, desc []byte)) bool {
	for len(data) >= noteHead {
		head := words(data)
		name, size := uint64(head.get(0)), uint64(head.get(1))
		data = data[noteHead:]
		skip := (name + 3) &^ 3
		if skip > uint64(len(data)) {
			return false
		}
		data = data[skip:]
		if size > uint64(len(data)) {
			visit(head.get(2), data)
			return false
		}
		visit(head.get(2), data[:size])
		data = data[min((size+3)&^3, uint64(len(data))):]
	}
	return true
}

func (r *reader) readNotes(data []byte) {
	if !eachNote(data, r.readNote) {
		r.warn("the notes are cut off")
	}
}

func (r *reader) readNote(typ uint32, desc []byte) {
	switch typ {
	case noteTask:
		r.readTask(desc)
	case noteDumpInfo:
		r.readDumpInfo(desc)
	case noteExtra:
		r.readExtra(words(desc))
	case noteTaskInfo:
		r.readTaskInfo(desc)
	case notePanic:
		r.readPanic(desc)
	}
}

// machineOfNotes tells the architecture from the size of the tasks' notes, for a header that lies.
func machineOfNotes(notes [][]byte) symbol.Machine {
	var m symbol.Machine
	for _, n := range notes {
		eachNote(n, func(typ uint32, desc []byte) {
			switch {
			case typ != noteTask || m != 0:
			case len(desc) == xtensaTask:
				m = symbol.Xtensa
			case len(desc) == riscvTask:
				m = symbol.RISCV
			}
		})
	}
	return m
}

// readTask reads a PRSTATUS note: the TCB's address and the registers.
func (r *reader) readTask(desc []byte) {
	if len(desc) < taskRegisters {
		r.warn("the note of a task is too short")
		return
	}
	if len(r.dump.tasks) >= maxTasks {
		r.warn("only the first %d tasks were read", maxTasks)
		return
	}
	t := task{tcb: words(desc).get(taskTCB / 4)}
	if regs := words(desc[taskRegisters:]); r.dump.Machine == symbol.Xtensa {
		t.context = xtensaNote(regs)
	} else {
		t.context = riscvContext(regs)
	}
	if t.context.short {
		r.warn("the registers of the task with the TCB 0x%08x are cut off", t.tcb)
	}
	r.dump.tasks = append(r.dump.tasks, t)
}

// readDumpInfo reads the version of the container, as its header has it, and the app's hash: u32 version, char sha[66].
// The 4 bytes of another note of this type are the chip's revision.
func (r *reader) readDumpInfo(desc []byte) {
	const size = 4
	version, ok := words(desc).at(0)
	switch {
	case !ok:
		r.warn("the note about the dump is too short")
		return
	case len(desc) == size:
		r.dump.Revision = revision(version)
		return
	}
	r.readVersion(version)
	sha, _, _ := bytes.Cut(desc[size:], []byte{0})
	text := strings.ToLower(string(sha))
	if _, err := hex.DecodeString(text[:len(text)&^1]); err != nil || len(text) > 2*32 || len(text) < leastHash {
		if len(text) > 0 {
			r.warn("the hash of the app %.80q is none", text)
		}
		return
	}
	if !isNoHash(text) {
		r.dump.ELFHash = text
	}
}

// isNoHash knows the hash of a build that did not write one: zeros of older Arduino builds, or what erased flash reads.
func isNoHash(text string) bool {
	for _, digit := range []string{"0", "1", "f"} {
		if strings.Trim(text, digit) == "" {
			return true
		}
	}
	return false
}

// readVersion learns from the note what the header of a naked ELF would have said.
func (r *reader) readVersion(version uint32) {
	if r.container.version != 0 {
		return
	}
	if c, ok := findContainer(uint16(version)); ok && !c.binary {
		r.dump.Container = c.name()
		r.chip, r.chipKnown = Chip(version>>16), true
	}
}

// readTaskInfo reads: u32 index, flags, TCB, stack's start, stack's length; char name[16]. It follows the tasks' notes.
func (r *reader) readTaskInfo(desc []byte) {
	const (
		badTCB, badStack = 1, 2
		nameOffset       = 20
	)
	w := words(desc)
	tcb, ok := w.at(2)
	if !ok {
		r.warn("the information about a task is too short")
		return
	}
	for i := range r.dump.tasks {
		if t := &r.dump.tasks[i]; t.tcb == tcb {
			flags := w.get(1)
			t.badTCB = t.badTCB || flags&badTCB != 0
			t.fake = t.fake || flags&badStack != 0
			if len(desc) > nameOffset {
				t.name = cstring(desc[nameOffset:])
			}
		}
	}
}

// readPanic keeps the panic handler's text. It may come twice, once from the watchdog and once from abort.
func (r *reader) readPanic(desc []byte) {
	text, _, _ := bytes.Cut(desc[:min(len(desc), maxPanicText)], []byte{0})
	s := strings.TrimSpace(strings.ToValidUTF8(string(text), "\uFFFD"))
	switch {
	case s == "" || strings.Contains(r.dump.Panic, s) || len(r.dump.Panic) > maxPanicText:
	case r.dump.Panic == "":
		r.dump.Panic = s
	default:
		r.dump.Panic += "\n" + s
	}
}

// cstring is a name in a fixed field: up to its NUL, and as much of it as is text.
func cstring(b []byte) string {
	b, _, _ = bytes.Cut(b[:min(len(b), maxNameLength)], []byte{0})
	return strings.ToValidUTF8(string(b), "\uFFFD")
}
