package taking

import (
	"crypto/sha256"
	"fmt"
)

// The layout of tskTaskControlBlock in the programs: what they append to it nobody reads.
const (
	tcbSize  = 76
	tcbTop   = 0
	tcbStack = 48
	tcbEnd   = 72
)

// taken is what a dump has of a task.
type taken struct {
	tcb       uint32
	tcbData   []byte
	stack     uint32
	stackData []byte
	registers []byte  // pc, x1 to x31
	own       segment // the stack that an interrupt has left; empty elsewhere
}

type segment struct {
	typ, addr uint32
	data      []byte
}

const typeLoad, typeNote = 1, 4

// takeTasks reads the tasks, the crashed one first. Each has its exception frame at the top of its stack.
func takeTasks(s *stub, p *program) ([]taken, error) {
	current, err := s.word(p.symbols["pxCurrentTCB"])
	if err != nil {
		return nil, err
	}
	frame, err := s.word(p.symbols["panic_frame"])
	if err != nil {
		return nil, err
	}
	size := uint32(tcbSize)
	if p.tasks%size != 0 {
		size += 4
	}
	var tasks []taken
	for tcb := p.symbols["tasks"]; tcb < p.symbols["tasks"]+p.tasks; tcb += size {
		t := taken{tcb: tcb}
		if t.tcbData, err = s.memory(t.tcb, size); err != nil {
			return nil, err
		}
		if le.Uint32(t.tcbData[tcbStack:]) == 0 {
			continue // nobody has made this one
		}
		if t.tcb == current {
			if err := t.takeCrashed(s, p, frame); err != nil {
				return nil, err
			}
			tasks = append([]taken{t}, tasks...)
			continue
		}
		t.stack, t.stackData, err = t.ownStack(s, le.Uint32(t.tcbData[tcbTop:]))
		if err != nil {
			return nil, err
		}
		t.registers = t.stackData[:32*4]
		tasks = append(tasks, t)
	}
	return tasks, nil
}

// ownStack reads a task's stack from an address on.
func (t *taken) ownStack(s *stub, from uint32) (uint32, []byte, error) {
	data, err := s.memory(from, le.Uint32(t.tcbData[tcbEnd:])-from)
	return from, data, err
}

// takeCrashed reads the task whose frame the panic handler has left: on the task's stack, or on that of the interrupts.
func (t *taken) takeCrashed(s *stub, p *program, frame uint32) (err error) {
	inISR, err := p.inISR(s)
	switch {
	case err != nil:
		return err
	case inISR:
		t.own.typ = typeLoad
		if t.own.addr, t.own.data, err = t.ownStack(s, le.Uint32(t.tcbData[tcbTop:])); err != nil {
			return err
		}
		t.stack = frame
		t.stackData, err = s.memory(frame, p.symbols["isr_stack_end"]-frame)
	default:
		t.stack, t.stackData, err = t.ownStack(s, frame)
	}
	if err != nil {
		return err
	}
	t.registers = t.stackData[:32*4]
	return checkFrame(s, t.registers)
}

func (p *program) inISR(s *stub) (bool, error) {
	at := p.symbols["port_uxInterruptNesting"]
	if at == 0 {
		return false, nil
	}
	depth, err := s.word(at)
	return depth != 0, err
}

// panicText is what the program gave panic_abort.
func (p *program) panicText(s *stub) (string, error) {
	at := p.symbols["s_panic_abort_details"]
	if at == 0 {
		return "", nil
	}
	text, err := s.word(at)
	if err != nil || text == 0 {
		return "", err
	}
	return s.text(text)
}

// checkFrame compares the frame with the registers that the panic handler has not changed.
func checkFrame(s *stub, frame []byte) error {
	regs, err := s.registers()
	if err != nil {
		return err
	}
	for n := 1; n < 32; n++ {
		const sp, t0, frameSize = 2, 5, 160
		want := regs[n]
		switch n {
		case t0:
			continue
		case sp:
			want += frameSize
		}
		if got := le.Uint32(frame[4*n:]); got != want {
			return fmt.Errorf("x%d is %#x in the frame and %#x in the processor", n, got, want)
		}
	}
	return nil
}

// pack writes a dump in the container 0x0104 of an ESP32-C3, components/espcoredump of ESP-IDF.
func pack(s *stub, p *program) ([]byte, error) {
	tasks, err := takeTasks(s, p)
	if err != nil {
		return nil, err
	}
	inISR, err := p.inISR(s)
	if err != nil {
		return nil, err
	}
	panicText, err := p.panicText(s)
	if err != nil {
		return nil, err
	}
	const (
		version, chip, revision = 0x0104, 5, 4
		headerSize              = 12
	)
	out := words(0, chip<<16|version, revision)
	out = append(out, core(tasks, notes(tasks, version|chip<<16, p.sha256, inISR, panicText))...)
	for len(out)%32 != 0 {
		out = append(out, 0)
	}
	le.PutUint32(out, uint32(len(out)+sha256.Size))
	sum := sha256.Sum256(out)
	return append(out, sum[:]...), nil
}

// notes are those behind the tasks: about the dump, about the crash, and what the program said of it.
func notes(tasks []taken, version uint32, sha string, inISR bool, panicText string) []byte {
	info := make([]byte, 72)
	le.PutUint32(info, version)
	copy(info[4:], sha[:16])
	isr := uint32(0)
	if inISR {
		isr = 1
	}
	out := append(makeNote("ESP_CORE_DUMP_INFO", 8266, info), makeNote("ESP_EXTRA_INFO", 677, words(tasks[0].tcb, isr))...)
	if panicText != "" {
		for len(panicText)%4 != 0 {
			panicText += "\x00"
		}
		out = append(out, makeNote("ESP_PANIC_DETAILS", 679, []byte(panicText))...)
	}
	return out
}

// core is the ELF core file.
func core(tasks []taken, about []byte) []byte {
	var status []byte
	for _, t := range tasks {
		note := make([]byte, 204)
		le.PutUint32(note[24:], t.tcb)
		copy(note[72:], t.registers)
		status = append(status, makeNote("CORE", 1, note)...)
	}
	segments := []segment{{typeNote, 0, status}}
	for _, t := range tasks {
		segments = append(segments, segment{typeLoad, t.tcb, t.tcbData}, segment{typeLoad, t.stack, t.stackData})
	}
	for _, t := range tasks {
		if len(t.own.data) > 0 {
			segments = append(segments, t.own)
		}
	}
	segments = append(segments, segment{typeNote, 0, about})

	const headerSize, entrySize, core, riscv = 52, 32, 4, 243
	head := append([]byte("\x7fELF\x01\x01\x01"), make([]byte, 9)...)
	head = append(head, words(core|riscv<<16, 1, 0, headerSize, 0, 0, headerSize|entrySize<<16, uint32(len(segments))|40<<16, 0)...)
	var body []byte
	for _, s := range segments {
		at := uint32(headerSize + entrySize*len(segments) + len(body))
		head = append(head, words(s.typ, at, s.addr, s.addr, uint32(len(s.data)), uint32(len(s.data)), 6, 0)...)
		body = append(body, s.data...)
	}
	return append(head, body...)
}

func makeNote(name string, typ uint32, data []byte) []byte {
	out := words(uint32(len(name)+1), uint32(len(data)), typ)
	out = append(append(out, name...), 0)
	for len(out)%4 != 0 {
		out = append(out, 0)
	}
	return append(out, data...)
}

func words(values ...uint32) []byte {
	var b []byte
	for _, v := range values {
		b = le.AppendUint32(b, v)
	}
	return b
}
