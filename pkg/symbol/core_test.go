package symbol

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"os"
	"strings"
	"testing"
)

// testCore is as much of an ESP-IDF core dump as it takes to ask for arguments: the tasks' registers and the memory.
type testCore struct {
	machine Machine
	tasks   []testTask
	memory  []testMemory
}

type testTask struct {
	tcb  uint32
	regs []uint32 // as the note has them
}

type testMemory struct {
	addr uint32
	data []byte
}

func readTestCore(t testing.TB, chip string) *testCore {
	t.Helper()
	text, err := os.ReadFile(fixture(t, chip, "core.b64"))
	if err != nil {
		t.Fatal(err)
	}
	var raw []byte
	for line := range strings.Lines(string(text)) {
		b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, b...)
	}
	_, raw, _ = bytes.Cut(raw, []byte("\x7fELF"))
	raw = append([]byte("\x7fELF"), raw...)
	le := binary.LittleEndian
	c := &testCore{machine: Machine(le.Uint16(raw[18:]))}
	for i := range int(le.Uint16(raw[44:])) {
		h := raw[int(le.Uint32(raw[28:]))+32*i:]
		data := raw[le.Uint32(h[4:]):][:le.Uint32(h[16:])]
		if le.Uint32(h) == 1 {
			c.memory = append(c.memory, testMemory{le.Uint32(h[8:]), data})
			continue
		}
		for len(data) >= 12 {
			name, size, typ := le.Uint32(data), le.Uint32(data[4:]), le.Uint32(data[8:])
			desc := data[12+(name+3)&^3:]
			if typ == 1 {
				task := testTask{tcb: le.Uint32(desc[24:])}
				for at := uint32(72); at+4 <= size; at += 4 {
					task.regs = append(task.regs, le.Uint32(desc[at:]))
				}
				c.tasks = append(c.tasks, task)
			}
			data = desc[(size+3)&^3:]
		}
	}
	return c
}

func (c *testCore) read(addr uint32, buf []byte) bool {
	for _, m := range c.memory {
		if addr >= m.addr && uint64(addr-m.addr)+uint64(len(buf)) <= uint64(len(m.data)) {
			copy(buf, m.data[addr-m.addr:])
			return true
		}
	}
	return false
}

func (c *testCore) word(addr uint32) (uint32, bool) {
	var b [4]byte
	ok := c.read(addr, b[:])
	return binary.LittleEndian.Uint32(b[:]), ok
}

// states walks a task's stack as far as the call-frame information or the register windows lead.
func (c *testCore) states(x *Index, task testTask) []*State {
	s := &State{PC: task.regs[0], Lookup: task.regs[0], Memory: c.read}
	if c.machine == Xtensa {
		for i := range 16 {
			s.Registers.Set(i, task.regs[64+i])
		}
	} else {
		for i := 1; i < 32; i++ {
			s.Registers.Set(i, task.regs[i])
		}
	}
	all := []*State{s}
	for len(all) < 64 {
		var next *State
		var ok bool
		if c.machine == Xtensa {
			next, ok = c.windowStep(x, s, task.regs[1], len(all) == 1)
		} else {
			next, ok = c.cfiStep(x, s, len(all) == 1)
		}
		if !ok {
			break
		}
		s.Caller = next
		s = next
		all = append(all, s)
	}
	return all
}

func (c *testCore) cfiStep(x *Index, s *State, innermost bool) (*State, bool) {
	rules, ok := x.CFI(s.Lookup)
	if !ok || rules.Kind(rules.Return) == Undefined || !innermost && rules.Kind(rules.Return) == Unspecified {
		return nil, false
	}
	u, ok := x.Unwind(s, rules)
	if !ok || !u.HasReturn || u.Return == 0 {
		return nil, false
	}
	for _, n := range []int{1, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 28, 29, 30, 31} {
		if u.Restored&(1<<n) == 0 || n == 1 {
			u.Registers.Forget(n)
		}
	}
	return &State{PC: u.Return, Lookup: u.Return - 1, Registers: u.Registers, Memory: c.read}, true
}

func (c *testCore) windowStep(x *Index, s *State, ps uint32, innermost bool) (*State, bool) {
	sp, _ := s.Registers.Get(1)
	ra, _ := s.Registers.Get(0)
	next := &State{Memory: c.read}
	var op [1]byte
	if x.Text(s.PC, op[:]) && op[0] == 0x36 && innermost {
		n := int(ps>>16&3) * 4
		ra, _ = s.Registers.Get(n)
		if ra == 0 {
			return nil, false
		}
		next.Registers = s.Registers
	} else {
		for i := range 4 {
			v, ok := c.word(sp - 16 + uint32(4*i))
			if !ok {
				return nil, false
			}
			next.Registers.Set(i, v)
		}
		up, _ := next.Registers.Get(1)
		n := ra >> 30 * 4
		if ra == 0 || n == 0 || up <= sp {
			return nil, false
		}
		if above, ok := c.word(up - 12); ok {
			for i := uint32(4); i < n; i++ {
				if v, ok := c.word(above - n*4 + 4*(i-4)); ok {
					next.Registers.Set(int(i), v)
				}
			}
		}
	}
	next.PC = 0x40000000 | ra&0x3fffffff
	next.Lookup = next.PC - 1
	return next, true
}

func argsText(args []Argument) string {
	var parts []string
	for _, a := range args {
		parts = append(parts, a.Name+"="+a.Value)
	}
	return strings.Join(parts, ", ")
}

func TestArgsPrintsTheParametersOfTheFixturesAsGDBDid(t *testing.T) {
	for _, chip := range []string{"esp32", "esp32c3", "esp32c6"} {
		t.Run(chip, func(t *testing.T) {
			x := openFixture(t, chip)
			core := readTestCore(t, chip)
			tasks := gdbTasks(t, chip)
			same, all := 0, 0
			for i, task := range core.tasks {
				want := tasks[i].Frames
				at := 0
				for _, s := range core.states(x, task) {
					for _, f := range x.Frames(s.Lookup) {
						for at < len(want) && (want[at].Function != f.Function || want[at].File == nil) {
							at++
						}
						if at == len(want) {
							break
						}
						all++
						expected := strings.ReplaceAll(want[at].Args, "<error reading variable: value has been optimized out>", OptimizedOut)
						if got := argsText(x.Args(f, s)); got == expected {
							same++
						} else {
							t.Errorf("%s: %s (%s), GDB has (%s)", tasks[i].Task, f.Function, got, expected)
						}
						at++
					}
				}
			}
			if all < 9 {
				t.Errorf("only %d frames compared", all)
			}
			t.Logf("%d of %d argument lists", same, all)
		})
	}
}
