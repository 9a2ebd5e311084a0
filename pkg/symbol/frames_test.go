package symbol

import (
	"path"
	"strconv"
	"testing"
)

func TestFramesNamesEachAddressOfTheFixturesAsGDBDid(t *testing.T) {
	for _, chip := range chips {
		t.Run(chip, func(t *testing.T) {
			x := openFixture(t, chip)
			checked := 0
			for _, task := range gdbTasks(t, chip) {
				for i := 0; i < len(task.Frames); i++ {
					f := task.Frames[i]
					if f.PC == nil || f.File == nil {
						continue
					}
					pc64, err := strconv.ParseUint(*f.PC, 0, 32)
					if err != nil {
						t.Fatal(err)
					}
					pc := uint32(pc64)
					if i > 0 { // a return address
						pc--
					}
					for _, got := range x.Frames(pc) {
						want := task.Frames[i]
						if want.File == nil {
							t.Fatalf("%s: %#x: frame %d is %q, GDB has no file", task.Task, pc, i, got.Function)
						}
						if got.Function != want.Function || path.Base(got.File) != path.Base(*want.File) || got.Line != want.Line {
							t.Errorf("%s: %#x: %s at %s:%d, GDB has %s at %s:%d", task.Task, pc, got.Function, got.File, got.Line, want.Function, *want.File, want.Line)
						}
						checked++
						if got.Inlined {
							i++
						}
					}
				}
			}
			if checked < 5 {
				t.Errorf("only %d frames compared", checked)
			}
		})
	}
}
