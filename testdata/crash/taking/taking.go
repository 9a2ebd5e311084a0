// Package taking runs a program in QEMU until it has crashed, reads the registers, control blocks and stacks of its tasks
// through QEMU's GDB stub, and makes of them the core dump that ESP-IDF would have written.
//
// It knows the programs by their symbols: tasks (an array of control blocks), pxCurrentTCB, panic_frame and crash_halted,
// where the processor waits to be looked at. Where they are there it also uses s_panic_abort_details (the panic text),
// port_uxInterruptNesting and isr_stack_end (a crash in an interrupt handler).
package taking

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Options are what a run may have beside the program.
type Options struct {
	ROM   string            // a further ELF that is loaded; "" for none
	Words map[string]uint32 // variables and their values, written before the first instruction
}

// Run gives the dump of a program that crashes.
func Run(program string, options Options) ([]byte, error) {
	p, err := openProgram(program)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "take")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	socket := filepath.Join(folder, "gdb")
	args := []string{
		"-M", "virt", "-bios", "none", "-nographic", "-monitor", "none", "-serial", "none", "-kernel", program, "-S",
		"-gdb", "unix:" + socket + ",server=on,wait=off",
	}
	if options.ROM != "" {
		args = append(args, "-device", "loader,file="+options.ROM)
	}
	qemu := exec.Command("qemu-system-riscv32", args...)
	qemu.Stderr = os.Stderr
	if err := qemu.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = qemu.Process.Kill() // it is gone when it has ended by itself
		_ = qemu.Wait()
	}()
	s, err := dialStub(socket)
	if err != nil {
		return nil, err
	}
	defer s.conn.Close()
	for name, value := range options.Words {
		if p.symbols[name] == 0 {
			return nil, fmt.Errorf("%s has no %s", program, name)
		}
		if err := s.write(p.symbols[name], value); err != nil {
			return nil, err
		}
	}
	if err := s.runTo(p.symbols["crash_halted"]); err != nil {
		return nil, err
	}
	return pack(s, p)
}

// program is what has to be known of the ELF.
type program struct {
	symbols map[string]uint32
	tasks   uint32 // bytes of the array of control blocks
	sha256  string
}

func openProgram(path string) (*program, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	file, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	symbols, err := file.Symbols()
	if err != nil {
		return nil, err
	}
	p := &program{symbols: map[string]uint32{}, sha256: hex.EncodeToString(sum[:])}
	for _, s := range symbols {
		p.symbols[s.Name] = uint32(s.Value)
		if s.Name == "tasks" {
			p.tasks = uint32(s.Size)
		}
	}
	for _, name := range []string{"crash_halted", "tasks", "pxCurrentTCB", "panic_frame"} {
		if p.symbols[name] == 0 {
			return nil, fmt.Errorf("%s has no %s", path, name)
		}
	}
	return p, nil
}

var le = binary.LittleEndian
