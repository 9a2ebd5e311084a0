package taking

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"time"
)

// stub speaks the GDB remote protocol ("Debugging with GDB", appendix E) with QEMU.
type stub struct {
	conn net.Conn
	in   *bufio.Reader
}

// dialStub waits until QEMU listens.
func dialStub(socket string) (*stub, error) {
	deadline := time.Now().Add(10 * time.Second)
	for {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			return &stub{conn, bufio.NewReader(conn)}, conn.SetDeadline(deadline)
		}
		starting := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
		if !starting || time.Now().After(deadline) {
			return nil, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// ask sends a command and gives the answer.
func (s *stub) ask(format string, args ...any) (string, error) {
	command := fmt.Sprintf(format, args...)
	var sum byte
	for _, b := range []byte(command) {
		sum += b
	}
	if _, err := fmt.Fprintf(s.conn, "$%s#%02x", command, sum); err != nil {
		return "", err
	}
	if _, err := s.in.ReadString('$'); err != nil {
		return "", err
	}
	answer, err := s.in.ReadString('#')
	if err != nil {
		return "", err
	}
	if _, err := s.in.Discard(2); err != nil { // the checksum: the socket is local
		return "", err
	}
	if _, err := s.conn.Write([]byte("+")); err != nil {
		return "", err
	}
	answer = strings.TrimSuffix(answer, "#")
	if len(answer) == 3 && answer[0] == 'E' {
		return "", fmt.Errorf("QEMU answers %s to %s", answer, command)
	}
	return answer, nil
}

// runTo runs the program until it comes to an address.
func (s *stub) runTo(addr uint32) error {
	if _, err := s.ask("Z0,%x,2", addr); err != nil {
		return err
	}
	if _, err := s.ask("c"); err != nil {
		return err
	}
	const pc = 32
	regs, err := s.registers()
	if err != nil {
		return err
	}
	if regs[pc] != addr {
		return fmt.Errorf("it stopped at %#x and not at %#x", regs[pc], addr)
	}
	return nil
}

// registers gives x0 to x31 and pc.
func (s *stub) registers() ([33]uint32, error) {
	var regs [33]uint32
	answer, err := s.ask("g")
	if err != nil {
		return regs, err
	}
	b, err := hex.DecodeString(answer)
	if err != nil {
		return regs, err
	}
	if len(b) < 4*len(regs) {
		return regs, fmt.Errorf("QEMU gives %d bytes of registers", len(b))
	}
	for i := range regs {
		regs[i] = le.Uint32(b[4*i:])
	}
	return regs, nil
}

// memory is read in pieces: QEMU's answer has room for 2048 bytes.
func (s *stub) memory(addr, size uint32) ([]byte, error) {
	const most = 1024
	var out []byte
	for n := uint32(0); n < size; {
		piece := min(size-n, most)
		answer, err := s.ask("m%x,%x", addr+n, piece)
		if err != nil {
			return nil, err
		}
		b, err := hex.DecodeString(answer)
		if err != nil {
			return nil, err
		}
		if len(b) != int(piece) {
			return nil, fmt.Errorf("QEMU gives %d of %d bytes at %#x", len(b), piece, addr+n)
		}
		out = append(out, b...)
		n += piece
	}
	return out, nil
}

func (s *stub) word(addr uint32) (uint32, error) {
	b, err := s.memory(addr, 4)
	if err != nil {
		return 0, err
	}
	return le.Uint32(b), nil
}

func (s *stub) write(addr, value uint32) error {
	_, err := s.ask("M%x,4:%x", addr, le.AppendUint32(nil, value))
	return err
}

// text reads a C string.
func (s *stub) text(addr uint32) (string, error) {
	const most = 200 // bytes; a panic text is shorter
	var out []byte
	for n := range uint32(most) {
		b, err := s.memory(addr+n, 1)
		if err != nil {
			return "", err
		}
		if b[0] == 0 {
			break
		}
		out = append(out, b[0])
	}
	return string(out), nil
}
