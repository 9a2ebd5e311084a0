package espcore

import (
	"testing"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// tcbOf lays a control block out: stack pointer @0, stack @4, its end @8, priority @12, name @16.
func tcbOf(addr uint32, name string, priority, top, start, end uint32) segment {
	s := blank(addr, 48)
	s.put(addr, top, start, end, priority)
	copy(s.data[16:], name)
	return segment{addr: addr, data: s.data}
}

func TestALayoutThatIsNotTheDumpsGivesNoNames(t *testing.T) {
	right := layout{memberTop: 0, memberStack: 4, memberEnd: 8, memberPriority: 12, memberName: 16}
	good := []segment{
		tcbOf(0x3FC90000, "pump", 5, 0x3FC80100, 0x3FC80000, 0x3FC80200),
		tcbOf(0x3FC91000, "IDLE", 0, 0x3FC81100, 0x3FC81000, 0x3FC81200),
		tcbOf(0x3FC92000, "valve", 5, 0x3FC82100, 0x3FC82000, 0x3FC82200),
	}
	damaged := append([]segment{tcbOf(0x3FC90000, "\x01\x80p", 5, 0x3FC80100, 0x3FC80000, 0x3FC80200)}, good[1:]...)
	for name, c := range map[string]struct {
		layout layout
		tcbs   []segment
		grade  Grade
		names  [3]string
	}{
		"the same in another build":       {right, good, Mismatch, [3]string{"pump", "IDLE", "valve"}},
		"the name is elsewhere":           {layout{memberTop: 0, memberStack: 4, memberEnd: 8, memberPriority: 12, memberName: 20}, good, Mismatch, [3]string{}},
		"the priority is elsewhere":       {layout{memberTop: 0, memberStack: 4, memberEnd: 8, memberPriority: 16, memberName: 16}, good, Mismatch, [3]string{}},
		"the stack is elsewhere":          {layout{memberTop: 16, memberStack: 4, memberEnd: 8, memberPriority: 12, memberName: 16}, good, Mismatch, [3]string{}},
		"one is damaged, of another":      {right, damaged, Mismatch, [3]string{}},
		"one is damaged, nobody knows":    {right, damaged, Unknown, [3]string{"", "IDLE", "valve"}},
		"one is damaged, of the same":     {right, damaged, Exact, [3]string{"", "IDLE", "valve"}},
		"all are wrong, and nobody knows": {layout{memberName: 0, memberPriority: 4}, good, Unknown, [3]string{}},
	} {
		d := &Dump{}
		for _, s := range c.tcbs {
			d.memory.add(s)
			d.tasks = append(d.tasks, task{tcb: s.addr})
		}
		n := decoder{dump: d, report: &Report{ELFMatch: c.grade}, layout: c.layout, program: program{machine: symbol.RISCV}}
		n.checkLayout()
		for i := range d.tasks {
			got := n.control(&d.tasks[i])
			if got.name != c.names[i] {
				t.Errorf("%s: task %d is %q", name, i, got.name)
			}
			if got.priority != nil && *got.priority >= mostPriorities {
				t.Errorf("%s: task %d has the priority %d", name, i, *got.priority)
			}
		}
		if left := n.layout == nil; left != (c.names == [3]string{}) || left != warned(n.report, "otherwise than the dump") {
			t.Errorf("%s: left out: %v, %q", name, left, n.report.Warnings)
		}
	}
}
