package espcore

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

const (
	elfHeader     = 52
	programHeader = 32
	segmentLoad   = 1 // PT_LOAD
	segmentNote   = 4 // PT_NOTE
)

// readELF reads an ELF payload: a NOTE with a note a task, the crashed one first, for each task a LOAD of its TCB and
// one of its stack, further memory, and a last NOTE about the crash.
func (r *reader) readELF() error {
	p := r.payload
	if len(p) < elfHeader || !bytes.HasPrefix(p, elfMagic) {
		return fmt.Errorf("%w: %d bytes where an ELF core file should be", ErrFormat, len(p))
	}
	head := words(p)
	if m := machineOf(binary.LittleEndian.Uint16(p[elfMachineOffset:])); m != 0 {
		if r.dump.Machine != 0 && r.dump.Machine != m {
			r.warn("the container says %s, but the core file is of %s", r.chip, m)
		}
		r.dump.Machine = m
	}
	start, count := int64(head.get(7)), int(binary.LittleEndian.Uint16(p[44:]))
	if there := max(0, int64(len(p))-start) / programHeader; int64(count) > there {
		r.warn("the headers of %d segments are missing", int64(count)-there)
		count = int(there)
	}
	var notes [][]byte
	left := len(p)         // notes that lie over each other are no more work than the file is long
	for i := range count { // before any memory: with too many segments the last note is behind the limit
		if h := words(p[start+int64(i)*programHeader:]); h.get(0) == segmentNote && left > 0 {
			n := r.part(int64(h.get(1)), int64(h.get(4)))
			n = n[:min(len(n), left)]
			left -= len(n)
			notes = append(notes, n)
		}
	}
	for i := range count {
		h := words(p[start+int64(i)*programHeader:])
		if h.get(0) != segmentLoad {
			continue
		}
		if len(r.loads) == maxSegments {
			r.warn("only the first %d of %d segments were read", maxSegments, count)
			break
		}
		s := segment{addr: h.get(2), data: r.part(int64(h.get(1)), int64(h.get(4)))}
		r.loads = append(r.loads, s)
		r.dump.memory.add(s)
	}
	if r.dump.Machine == 0 {
		r.dump.Machine = machineOfNotes(notes)
	}
	for _, n := range notes {
		r.readNotes(n)
	}
	r.findStacks()
	return nil
}

// part is n bytes of the payload from offset at, or what is there of them.
func (r *reader) part(at, n int64) []byte {
	size := int64(len(r.payload))
	if at > size || n > size-at {
		r.warn("the core file is cut off")
		at = min(at, size)
		n = size - at
	}
	return r.payload[at : at+n : at+n]
}

// findStacks gives each task its stack: the LOAD behind that of its TCB. Where whole memories are dumped there are no
// such LOADs, and the stack pointer finds the stack.
func (r *reader) findStacks() {
	owner := make(map[uint32]int, len(r.dump.tasks))
	for i, t := range r.dump.tasks {
		owner[t.tcb] = i
	}
	for i, s := range r.loads[:max(0, len(r.loads)-1)] {
		at, ok := owner[s.addr]
		if !ok || len(r.dump.tasks[at].stack.data) > 0 {
			continue
		}
		next := r.loads[i+1]
		if _, isTCB := owner[next.addr]; !isTCB {
			r.dump.tasks[at].stack = next
		}
	}
	for i := range r.dump.tasks {
		r.judgeStack(&r.dump.tasks[i])
	}
}

// judgeStack sets t.fake when ESP-IDF wrote a substitute for a corrupt stack, and t.yielded for an Xtensa task that was
// switched out voluntarily.
func (r *reader) judgeStack(t *task) {
	const madeUp, madeUpEnd = 0x20000000, 0x30000000 // COREDUMP_FAKE_STACK_START, _LIMIT
	if start := t.stack.addr; start >= madeUp && start < madeUpEnd || t.context.pc == madeUp {
		t.fake = true
		return
	}
	exit, ok := words(t.stack.data).at(0)
	crashed := r.dump.crashedSaid && t.tcb == r.dump.crashedTCB
	if r.dump.Machine == symbol.Xtensa && !crashed && (!ok || exit == 0) {
		t.yielded = t.context.pc>>30 != xtensaCode>>30 || r.container.binary
	}
}
