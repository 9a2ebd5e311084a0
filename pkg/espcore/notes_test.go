package espcore

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func warned(r *Report, part string) bool {
	return slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, part) })
}

func TestNotesAreKnownByTypeAndNeverByName(t *testing.T) {
	s := sampleOf(0, 0x0100)
	s.dump.junk = true
	checkSample(t, s, s.decode(t, s.dump.container(true)))
}

// taskInfo is a note of type 678.
func taskInfo(tcb, flags uint32, name string) testNote {
	desc := append(wordsOf(0, flags, tcb, 0, 0), make([]byte, 16)...)
	copy(desc[20:], name)
	return testNote{noteTaskInfo, desc}
}

func TestTaskInfoNamesTasksAndFlagsBrokenOnes(t *testing.T) {
	s := sampleOf(9, 0x0103)
	s.dump.notes = append(s.dump.notes, taskInfo(sampleTCB, 0, "main"), taskInfo(sampleIdle, 2, "IDLE0"), taskInfo(0x1234, 3, "stranger"))
	r := s.decode(t, s.dump.container(true))
	if r.Tasks[0].Name != "main" || r.Tasks[0].Corrupt || r.Tasks[1].Name != "IDLE0" || !r.Tasks[1].Corrupt {
		t.Errorf("%+v", r.Tasks)
	}
	if len(r.Tasks[1].Frames) > 0 || !warned(r, `the stack of the task "IDLE0" was corrupt`) {
		t.Errorf("frames %v, warnings %q", r.Tasks[1].Frames, r.Warnings)
	}
}

func TestAMadeUpStackHasNoFrames(t *testing.T) {
	for _, chip := range []Chip{0, 18} {
		s := sampleOf(chip, 0x0102)
		idle := &s.dump.tasks[1]
		idle.stack = blank(0x20000000+160, 160)
		idle.pc, idle.regs = 0x20000000, map[int]uint32{0: 0, 2: 0x20000000 + 160}
		r := s.decode(t, s.dump.container(true))
		if len(r.Tasks[1].Frames) > 0 || !r.Tasks[1].Corrupt || r.Tasks[1].StackUsed != 0 {
			t.Errorf("%s: %+v", chip, r.Tasks[1])
		}
		if got := backtrace(&r.Tasks[0]); got != "crash work app_main start" {
			t.Errorf("%s: %s", chip, got)
		}
	}
}

func TestAnotherTaskThanTheFirstMayHaveCrashed(t *testing.T) {
	s := sampleOf(13, 0x0104)
	s.dump.tasks[0], s.dump.tasks[1] = s.dump.tasks[1], s.dump.tasks[0]
	checkSample(t, s, s.decode(t, s.dump.container(true)))
}

func TestACrashedTaskThatIsNotInTheDumpIsSaid(t *testing.T) {
	s := sampleOf(13, 0x0104)
	s.dump.notes = []testNote{{noteExtra, wordsOf(0xDEADBEEF, 0)}}
	r := s.decode(t, s.dump.container(true))
	if r.Tasks[0].Crashed || r.Tasks[1].Crashed || len(r.Registers) > 0 || !warned(r, "the crashed task is not in the dump") {
		t.Errorf("%+v", r)
	}
	if r.Reason == "" || r.Fingerprint == "" {
		t.Errorf("reason %q, fingerprint %q", r.Reason, r.Fingerprint)
	}
}

func TestTheWatchdogsTextNamesWhoStarved(t *testing.T) {
	const text = "Task watchdog got triggered. The following tasks/users did not reset the watchdog in time:\n" +
		" - IDLE0 (CPU 0)\n - wifi (ap) (CPU 0/1)\n - user"
	const aborted = "abort() was called at PC 0x4200c3d5 on core 0"
	s := sampleOf(9, 0x0103)
	// The device does not account for the 4 bytes of padding: the second note is clipped.
	s.dump.notes = append(s.dump.notes, testNote{notePanic, []byte(text)}, testNote{notePanic, []byte(aborted)})
	elf := s.dump.elf()
	phdr := elfHeader + programHeader*(int(le.Uint16(elf[44:]))-1)
	le.PutUint32(elf[phdr+16:], le.Uint32(elf[phdr+16:])-4)
	r := s.decode(t, elf)
	want := []Starved{{"IDLE0", "CPU 0"}, {"wifi (ap)", "CPU 0/1"}, {"user", ""}}
	if !reflect.DeepEqual(r.Starved, want) {
		t.Errorf("starved: %+v, want %+v", r.Starved, want)
	}
	if r.Kind != KindTaskWatchdog || r.Panic != text+"\n"+strings.TrimSuffix(aborted, " 0") || r.Reason != r.Panic {
		t.Errorf("kind %q, panic %q, reason %q", r.Kind, r.Panic, r.Reason)
	}
	if !warned(r, "the notes are cut off") {
		t.Errorf("warnings %q", r.Warnings)
	}
}

func TestCorruptNotesAreClippedOrLeftOut(t *testing.T) {
	for name, c := range map[string]struct {
		note    testNote
		warning string
	}{
		"hash of rubbish":  {testNote{noteDumpInfo, append(wordsOf(0), "not a hash\x00..."...)}, "is none"},
		"hash too short":   {testNote{noteDumpInfo, append(wordsOf(0), "abc\x00...."...)}, "is none"},
		"info too short":   {testNote{noteDumpInfo, []byte{1}}, "note about the dump"},
		"extra too short":  {testNote{noteExtra, nil}, "information about the crash"},
		"task too short":   {testNote{noteTask, make([]byte, 20)}, "note of a task is too short"},
		"registers cut":    {testNote{noteTask, make([]byte, 100)}, "registers of the task"},
		"task info":        {testNote{noteTaskInfo, make([]byte, 8)}, "information about a task"},
		"unknown type":     {testNote{12345, make([]byte, 9)}, ""},
		"panic of nothing": {testNote{notePanic, []byte{0, 0, 0, 0}}, ""},
	} {
		s := sampleOf(5, 0x0102)
		s.dump.notes = append([]testNote{c.note}, s.dump.notes...)
		r := s.decode(t, s.dump.container(true))
		if got := backtrace(&r.Tasks[0]); got != "crash work app_main start" {
			t.Errorf("%s: %s", name, got)
		}
		if c.warning == "" && len(r.Warnings) > 0 || !warned(r, c.warning) && c.warning != "" {
			t.Errorf("%s: warnings %q, want one of %q", name, r.Warnings, c.warning)
		}
	}
}

func TestANoteOfFourBytesIsTheRevision(t *testing.T) {
	s := sampleOf(16, 0x0101)
	s.dump.note(noteDumpInfo, wordsOf(102))
	if r := s.decode(t, s.dump.container(true)); r.ChipRevision != "v1.2" || r.ELFMatch != Exact {
		t.Errorf("revision %q, match %q", r.ChipRevision, r.ELFMatch)
	}
}

func TestAnInterruptHandlersCrashIsSaid(t *testing.T) {
	s := sampleOf(2, 0x0103)
	le.PutUint32(s.dump.notes[0].desc[4*37:], 1)
	if r := s.decode(t, s.dump.container(true)); !r.InISR {
		t.Error("Xtensa: not in an interrupt handler")
	}
	s = sampleOf(12, 0x0103)
	s.dump.notes[0].desc = wordsOf(sampleTCB, 1)
	if r := s.decode(t, s.dump.container(true)); !r.InISR {
		t.Error("RISC-V: not in an interrupt handler")
	}
	s.dump.notes[0].desc = wordsOf(sampleTCB) // as old versions have it
	if r := s.decode(t, s.dump.container(true)); r.InISR || backtrace(&r.Tasks[0]) != "crash work app_main start" {
		t.Errorf("%+v", r)
	}
}

func TestRegistersAreNamedAndKeepTheirOrder(t *testing.T) {
	for chip, want := range map[Chip]string{
		0: "pc ps lbeg lend lcount sar a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 a10 a11 a12 a13 a14 a15 exccause excvaddr eps2 epc1 epc7",
		5: "pc ra sp gp tp t0 t1 t2 fp s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6 " +
			"mstatus mtvec mcause mtval mhartid",
	} {
		s := sampleOf(chip, 0x0102)
		r := s.decode(t, s.dump.container(true))
		var names []string
		for _, reg := range r.Registers {
			names = append(names, reg.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s\nwant %s", chip, got, want)
		}
		b, err := json.Marshal(r.Registers)
		var back Registers
		if err != nil || json.Unmarshal(b, &back) != nil || !reflect.DeepEqual(back, r.Registers) {
			t.Errorf("%s: %s came back as %v", chip, b, back)
		}
		if v, ok := r.Registers.Get("pc"); !ok || v != s.dump.tasks[0].pc {
			t.Errorf("%s: pc is %#x", chip, v)
		}
	}
}
