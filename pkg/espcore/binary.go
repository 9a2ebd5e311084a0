package espcore

import (
	"fmt"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// currentTask is what the device writes over the exit word of the crashed task's frame, on Xtensa
// (COREDUMP_CURR_TASK_MARKER).
const currentTask = 0xDEADBEEF

// readBinary reads a bin payload:
//
//	tasks_num × { u32 tcb, stack_top, stack_end; TCB[tcb_sz]; stack[(|end-top| + 3) &^ 3] }
//	segs_num  × { u32 addr, size; data }
//
// The crashed task comes first. There is no hash of the app and no panic text.
func (r *reader) readBinary() error {
	const tasksField, tcbField, segmentsField = 2, 3, 4
	head := words(r.head)
	tasks, tcbSize := head.get(tasksField), head.get(tcbField)
	if tasks == 0 || len(r.payload) < 12 {
		return fmt.Errorf("%w: a bin container without tasks", ErrFormat)
	}
	rest := taker{data: r.payload}
	for i := uint32(0); i < tasks && !rest.short; i++ {
		if i == maxTasks {
			r.warn("only the first %d tasks were read", maxTasks)
			return nil
		}
		r.readBinaryTask(&rest, tcbSize)
	}
	if r.container.header > 4*segmentsField {
		for i := uint32(0); i < head.get(segmentsField) && !rest.short && i < maxSegments; i++ {
			addr, size := rest.word(), rest.word()
			r.dump.memory.add(segment{addr: addr, data: rest.take(uint64(size))})
		}
	}
	if rest.short {
		r.warn("the dump is cut off")
	}
	return nil
}

func (r *reader) readBinaryTask(rest *taker, tcbSize uint32) {
	tcb, top, end := rest.word(), rest.word(), rest.word()
	if rest.short {
		return
	}
	low, high := min(top, end), max(top, end)
	t := task{tcb: tcb}
	r.dump.memory.add(segment{addr: tcb, data: rest.take(uint64(tcbSize))})
	t.stack = segment{addr: low, data: rest.take((uint64(high-low) + 3) &^ 3)}
	r.dump.memory.add(t.stack)
	frame, crashed := words(t.stack.data), len(r.dump.tasks) == 0
	if crashed {
		r.dump.crashedTCB, r.dump.crashedSaid = tcb, true
		if frame.get(0) == currentTask { // chip ids lie
			r.dump.Machine = symbol.Xtensa
		}
	}
	if r.dump.Machine == symbol.Xtensa {
		t.context = xtensaFrame(frame)
		if crashed {
			r.dump.exception = xtensaException(frame)
		}
	} else {
		t.context = riscvContext(frame)
	}
	r.judgeStack(&t)
	if t.context.short {
		r.warn("the registers of the task with the TCB 0x%08x are cut off", t.tcb)
	}
	r.dump.tasks = append(r.dump.tasks, t)
}

// taker takes one thing after the other, and what is left where that is less.
type taker struct {
	data  []byte
	short bool
}

func (t *taker) take(n uint64) []byte {
	if n > uint64(len(t.data)) {
		n, t.short = uint64(len(t.data)), true
	}
	out := t.data[:n:n]
	t.data = t.data[n:]
	return out
}

func (t *taker) word() uint32 { return words(t.take(4)).get(0) }
