package espcore

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// seeds are dumps of all containers, and the real ones where they are there.
func seeds(f *testing.F) [][]byte {
	var all [][]byte
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
	const least, times = 1 << 20, 16
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
		if r.Reason == "" || len(r.FingerprintV1) != 16 || len(r.Tasks) > maxTasks || len(r.Warnings) > maxWarnings+1 {
			t.Fatalf("%+v", r)
		}
		for _, task := range r.Tasks {
			if len(task.Frames) > 4*maxFrames {
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
	ix := riscvSample(5, 0x0102).program.index(f)
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

// FuzzUnwind has any stack and any registers under a program whose rules are right.
func FuzzUnwind(f *testing.F) {
	for _, chip := range []Chip{0, 5} {
		t := sampleOf(chip, 0x0102).dump.tasks[0]
		var regs []byte
		for n := range 32 {
			regs = append(regs, wordsOf(t.regs[n])...)
		}
		f.Add(chip == 0, t.pc, t.ps, regs, t.stack.data)
	}
	programs := map[bool]*symbol.Index{true: sampleOf(0, 0x0102).program.index(f), false: sampleOf(5, 0x0102).program.index(f)}
	f.Fuzz(func(t *testing.T, xtensa bool, pc, ps uint32, regs, stack []byte) {
		chip := Chip(5)
		if xtensa {
			chip = 0
		}
		s := sampleOf(chip, 0x0102)
		task := &s.dump.tasks[0]
		task.pc, task.ps, task.regs = pc, ps, map[int]uint32{}
		for n := range 32 {
			if v, ok := words(regs).at(n); ok && (n < 16 || !xtensa) {
				task.regs[n] = v
			}
		}
		task.stack.data = stack
		check(t, s.dump.elf(), programs[xtensa])
	})
}
