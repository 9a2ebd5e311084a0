// Command take runs a program in QEMU until it has crashed, reads the registers, control blocks and stacks of its tasks
// through QEMU's GDB stub, and writes them as the core dump that ESP-IDF would have written.
//
// usage: take ELF CORE
package main

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: take ELF CORE")
	}
	if err := take(os.Args[1], os.Args[2]); err != nil {
		log.Fatalf("take: %v", err)
	}
}

func take(program, dump string) error {
	p, err := openProgram(program)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "take")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	socket := filepath.Join(folder, "gdb")
	qemu := exec.Command("qemu-system-riscv32", "-M", "virt", "-bios", "none", "-nographic", "-monitor", "none",
		"-serial", "none", "-kernel", program, "-S", "-gdb", "unix:"+socket+",server=on,wait=off")
	qemu.Stderr = os.Stderr
	if err := qemu.Start(); err != nil {
		return err
	}
	defer func() {
		_ = qemu.Process.Kill() // it is gone when it has ended by itself
		_ = qemu.Wait()
	}()
	s, err := dialStub(socket)
	if err != nil {
		return err
	}
	defer s.conn.Close()
	if err := s.runTo(p.symbols["crash_halted"]); err != nil {
		return err
	}
	core, err := pack(s, p)
	if err != nil {
		return err
	}
	return os.WriteFile(dump, core, 0o644)
}

// program is what has to be known of the ELF.
type program struct {
	symbols map[string]uint32
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
	}
	for _, name := range []string{"crash_halted", "tasks", "pxCurrentTCB", "panic_frame"} {
		if p.symbols[name] == 0 {
			return nil, fmt.Errorf("%s has no %s", path, name)
		}
	}
	return p, nil
}

var le = binary.LittleEndian
