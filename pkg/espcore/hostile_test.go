package espcore

import (
	"bytes"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

func TestADumpThatClaimsTooManySegmentsIsReadAsFarAsItGoes(t *testing.T) {
	s := sampleOf(5, 0x0104)
	elf := s.dump.elf()
	le.PutUint16(elf[44:], 65535)
	r := s.decode(t, elf)
	if !warned(r, "headers of") {
		t.Errorf("%q", r.Warnings)
	}
}

// TestADumpOfTooManySegmentsKeepsItsNotes has the notes about the crash behind more memory than is read.
func TestADumpOfTooManySegmentsKeepsItsNotes(t *testing.T) {
	s := sampleOf(5, 0x0104)
	for i := range uint32(maxSegments + 900) {
		s.dump.memory = append(s.dump.memory, blank(0x3FD00000+8*i, 4))
	}
	s.dump.note(notePanic, []byte("abort() was called"))
	r := s.decode(t, s.dump.container(true))
	if r.ELFMatch != Exact || r.Panic == "" || !warned(r, "only the first 4096 of") {
		t.Errorf("%s, panic %q, %q", r.ELFMatch, r.Panic, r.Warnings)
	}
}

func TestOverlappingSegmentsAreReadAsGDBReadsThem(t *testing.T) {
	s := sampleOf(5, 0x0104)
	over := blank(riscvTop, 0x100)
	over.put(riscvTop+12, 0xBAD)
	s.dump.memory = append(s.dump.memory, over)
	checkSample(t, s, s.decode(t, s.dump.container(true)))
}

// TestTheWorstDumpEndsAtTheBoundOfItsSteps has the largest upload do the most work that it can. The work is counted, not
// timed: without the bound the walks alone would take millions of steps, and go test's own deadline ends them.
func TestTheWorstDumpEndsAtTheBoundOfItsSteps(t *testing.T) {
	const upload = 1 << 20
	p := riscvSample(5, 0x0102).program
	// A stack full of return addresses, of which none leads to a root, and many tasks that all must search it.
	s := riscvSample(5, 0x0102)
	dead := p.function("dead", 32, frame(112)...)
	p.at(dead+4, riscvJAL...)
	stack := blank(0x3FC80000, upload/4)
	for at := stack.addr; at < stack.end(); at += 4 {
		stack.put(at, dead+8)
	}
	s.dump.tasks = nil
	for i := range uint32(maxTasks) {
		s.dump.tasks = append(s.dump.tasks, testTask{
			tcb: sampleTCB + 0x100*i, tcbData: make([]byte, 0x60), pc: riscvROM, regs: map[int]uint32{1: riscvROM, 2: stack.addr + 4*i},
		})
	}
	for range maxSegments / 2 {
		s.dump.memory = append(s.dump.memory, blank(0x3FF00000, 64))
	}
	s.dump.memory = append(s.dump.memory, stack)
	data := s.dump.container(true)
	if len(data) > upload {
		t.Fatalf("%d bytes", len(data))
	}
	r := Decode(mustRead(t, data), p.index(t), Options{})
	if !warned(r, "too tangled") || len(r.Tasks) != maxTasks {
		t.Errorf("%d tasks, %q", len(r.Tasks), r.Warnings)
	}
}

// TestMemoryIsBoundedByTheDump decodes dumps that claim much.
func TestMemoryIsBoundedByTheDump(t *testing.T) {
	claims := map[string][]byte{}
	for _, c := range containers {
		for _, chip := range []Chip{0, 5} {
			b := sampleOf(chip, c.version).dump.container(true)
			for i := 8; i+4 <= len(b) && i < 400; i += 4 {
				claim := bytes.Clone(b)
				le.PutUint32(claim[i:], 0xFFFFFFF0)
				claims[c.name()+chip.String()+string(rune(i))] = claim
			}
		}
	}
	for name, b := range claims {
		allocated := testing.AllocsPerRun(1, func() {
			d, err := Read(b)
			if (d == nil) == (err == nil) {
				t.Errorf("%q: %v and %v", name, d, err)
			}
			if err == nil {
				Decode(d, nil, Options{})
			}
		})
		if allocated > 5000 {
			t.Errorf("%q: %.0f allocations for %d bytes", name, allocated, len(b))
		}
	}
}

func TestTextCannotSteerATerminal(t *testing.T) {
	s := sampleOf(5, 0x0104)
	s.dump.notes = append(s.dump.notes, taskInfo(sampleTCB, 0, "a\x1b[2Jb\x9b\r"))
	s.dump.note(notePanic, []byte("abort \x1b]0;evil\x07\nsecond line"))
	var out bytes.Buffer
	if err := s.decode(t, s.dump.container(true)).WriteText(&out); err != nil {
		t.Fatal(err)
	}
	for _, r := range out.String() {
		if r < ' ' && r != '\n' || r >= 0x7F && r < 0xA0 {
			t.Fatalf("%q is in %q", r, out.String())
		}
	}
	if !bytes.Contains(out.Bytes(), []byte("\n             second line\n")) {
		t.Errorf("%s", out.String())
	}
}

func TestReportsAreBoundedByTheLimits(t *testing.T) {
	s := sampleOf(5, 0x0104)
	for i := range uint32(3 * maxTasks) {
		s.dump.tasks = append(s.dump.tasks, testTask{tcb: 0x3FFC0000 + i, tcbData: []byte{1, 2, 3, 4}})
	}
	for range 1000 {
		s.dump.note(notePanic, bytes.Repeat([]byte{'x'}, 2*maxPanicText))
		s.dump.note(noteDumpInfo, append(wordsOf(0), "rubbish"...))
	}
	r := s.decode(t, s.dump.container(true))
	if len(r.Tasks) != maxTasks || len(r.Panic) > 3*maxPanicText || len(r.Warnings) > maxWarnings+1 {
		t.Errorf("%d tasks, %d bytes of panic text, %d warnings", len(r.Tasks), len(r.Panic), len(r.Warnings))
	}
	if s.dump.machine != symbol.RISCV || !warned(r, "only the first 256 tasks") {
		t.Errorf("%q", r.Warnings)
	}
}
