package espcore

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// seeds are dumps of all containers, our own real one, and the others where they are there.
func seeds(f *testing.F) [][]byte {
	own, _ := ownCrash(f)
	lines := consoleLines(f)
	all := [][]byte{
		own, gzipped(own), zipped(f, []string{"core"}, own), wide(strings.Join(lines, "\n"), false, true), []byte(xxd(own)), []byte(hexdumpC(own)),
		[]byte("{" + each(own, 16, func(_ int, b []byte) string { return cBytes(b) }) + "}"), asJSON(f, map[string]any{"log": strings.Join(lines, "\n")}),
		[]byte(wrapAt(strings.Join(lines, ""), 61)), []byte(prefixed(lines, func(i int) string { return fmt.Sprintf("I (%d) core: ", i) }, "\n")),
		[]byte(startLine + "\n" + lines[0] + "\n" + startLine + "\n" + strings.Join(lines, "\n")), []byte(ownPanicText(f)),
		[]byte("Backtrace: 0x400d1234:0x3ffb1230 0x400d1244:0x3ffb1250"),
	}
	for _, c := range containers {
		for _, chip := range []Chip{0, 5} {
			dump := sampleOf(chip, c.version).dump.container(true)
			all = append(all, dump)
			if !c.binary {
				all = append(all, dump[24:])
			}
			if c.version == 0x0102 {
				all = append(all, asHex(dump), asConsole(dump, c.trailer, "\n"))
			}
		}
	}
	real, err := filepath.Glob("../../../shared/fixtures/coredumps/*/core.b64")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range real {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// check decodes a dump in every way: a result and an error never both, and memory bounded by the input.
func check(t *testing.T, data []byte, ix *symbol.Index) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	d, err := Read(data)
	runtime.ReadMemStats(&after)
	// What is packed may be much larger, and so may a hexdump's gaps; each form that text may have is tried.
	least, times := 2<<20, 64
	if bytes.Contains(data, gzipMagic) || bytes.Contains(data, zipMagic) || bytes.ContainsAny(data, "*=") || bytes.Contains(data, []byte("00")) {
		least = 8 * leastInflated
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(least+times*len(data)) {
		t.Fatalf("%d bytes of memory for %d bytes of dump", grown, len(data))
	}
	if (d == nil) == (err == nil) {
		t.Fatalf("%v and %v", d, err)
	}
	id, idErr := Identify(bytes.NewReader(data), int64(len(data)))
	if (err == nil) != (idErr == nil) {
		t.Fatalf("read %v, identified %v", err, idErr)
	}
	if err != nil {
		return
	}
	if id != d.Identity {
		t.Fatalf("read %+v, identified %+v", d.Identity, id)
	}
	for _, index := range []*symbol.Index{nil, ix} {
		r := Decode(d, index, Options{})
		if r.Reason == "" || len(r.Fingerprint) != 16 || len(r.Tasks) > maxTasks || len(r.Warnings) > maxWarnings+1 {
			t.Fatalf("%+v", r)
		}
		for _, task := range r.Tasks {
			if len(task.Frames) > 4*(mostInnermost+mostOutermost) {
				t.Fatalf("%d frames", len(task.Frames))
			}
		}
		if err := r.WriteText(io.Discard); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	_, elf := ownCrash(f)
	ix, _ := openELF(f, elf)
	f.Fuzz(func(t *testing.T, data []byte) { check(t, data, ix) })
}

// FuzzNotes reaches what FuzzRead would need luck for: the notes of a dump whose rest is right.
func FuzzNotes(f *testing.F) {
	for _, chip := range []Chip{0, 5} {
		s := sampleOf(chip, 0x0102)
		var notes []byte
		for _, n := range append(s.dump.notes, taskInfo(sampleTCB, 1, "main"), testNote{notePanic, []byte("abort()")}) {
			notes = s.dump.appendNote(notes, n)
		}
		f.Add(chip == 0, notes)
		f.Add(chip == 0, s.dump.appendNote(nil, testNote{noteTask, s.dump.registerNote(s.dump.tasks[0])}))
	}
	f.Fuzz(func(t *testing.T, xtensa bool, notes []byte) {
		chip := Chip(5)
		if xtensa {
			chip = 0
		}
		s := sampleOf(chip, 0x0102)
		s.dump.notes = nil
		elf := s.dump.elf()
		count := int(le.Uint16(elf[44:]))
		last := elf[elfHeader+programHeader*(count-1):]
		le.PutUint32(last[4:], uint32(len(elf)))
		le.PutUint32(last[16:], uint32(len(notes)))
		check(t, append(elf, notes...), s.program.index(t))
	})
}

// FuzzUnwind has any stack and any registers under programs whose rules are right: one of each architecture, and our own
// with DWARF.
func FuzzUnwind(f *testing.F) {
	const xtensa, riscv, ours = 0, 1, 2
	_, elf := ownCrash(f)
	own, _ := openELF(f, elf)
	programs := []*symbol.Index{xtensaSample(0, 0x0102).program.index(f), riscvSample(5, 0x0102).program.index(f), own}
	for kind, s := range []sample{xtensaSample(0, 0x0102), riscvSample(5, 0x0102)} {
		t := s.dump.tasks[0]
		var regs []byte
		for n := range 32 {
			regs = append(regs, wordsOf(t.regs[n])...)
		}
		f.Add(uint8(kind), t.pc, t.ps, regs, t.stack.addr, t.stack.data)
	}
	dump, _ := ownCrash(f)
	for _, t := range mustRead(f, dump).tasks {
		var regs []byte
		for n := range 32 {
			v, _ := t.context.general.Get(n)
			regs = append(regs, wordsOf(v)...)
		}
		f.Add(uint8(ours), t.context.pc, uint32(0), regs, t.stack.addr, t.stack.data)
	}
	f.Fuzz(func(t *testing.T, kind uint8, pc, ps uint32, regs []byte, addr uint32, stack []byte) {
		kind %= uint8(len(programs))
		s := riscvSample(5, 0x0102)
		if kind == xtensa {
			s = xtensaSample(0, 0x0102)
		}
		task := &s.dump.tasks[0]
		task.pc, task.ps, task.regs = pc, ps, map[int]uint32{}
		for n := range 32 {
			if v, ok := words(regs).at(n); ok && (n < xtensaRegisters || kind >= riscv) {
				task.regs[n] = v
			}
		}
		task.stack = segment{addr, stack}
		check(t, s.dump.elf(), programs[kind])
	})
}
