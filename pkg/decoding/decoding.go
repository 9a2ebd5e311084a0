// Package decoding runs the decoder in a process of its own, and is both sides of it.
//
// Dumps come from any device, ELF and DWARF from whoever builds. Whatever they do to the decoder, they do to a worker
// that holds no secret, has limits on memory, processor time and stack, and dies alone: [Decoder] names the dump that
// killed it and goes on with the next in a new one.
//
// The two sides speak over the worker's standard input and output: one JSON request, then frames of a four-byte
// big-endian length and a JSON answer. The parent reads at most [mostAnswer] bytes an answer and waits at most
// [mostWall] for the next.
package decoding

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/slipway-gateway/slipway/pkg/espcore"
)

// The limits of a worker.
const (
	mostMemory = 512 << 20        // RLIMIT_DATA; a 20 MB ELF needs a third of it
	mostCPU    = 10               // seconds, RLIMIT_CPU, a whole batch
	mostStack  = 64 << 20         // debug.SetMaxStack: RLIMIT_STACK does not bound goroutines
	mostWall   = 15 * time.Second // for one dump
	mostAnswer = 1 << 20          // bytes of report for one dump
	mostDump   = 4 << 20          // bytes of a dump's file: uploads end at dumps.max_bytes, far below
	mostStderr = 64 << 10         // bytes kept of what a dying worker prints
)

// request is what the worker is to do.
type request struct {
	ELF      string   `json:"elf,omitempty"` // path; without it dumps are decoded without symbols
	Model    string   `json:"model,omitempty"`
	Identify bool     `json:"identify,omitempty"`
	Dumps    []string `json:"dumps"` // paths
}

// answer says that a dump is begun, or what came of it.
type answer struct {
	Index   int             `json:"i"`
	Begun   bool            `json:"begun,omitempty"`
	ELFHash string          `json:"elf_hash,omitempty"`
	Report  *espcore.Report `json:"report,omitempty"`
	Failure string          `json:"failure,omitempty"`
}

func writeAnswer(w io.Writer, a answer) error {
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	_, err = w.Write(append(frame, body...))
	return err
}

func readAnswer(r io.Reader) (answer, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return answer{}, err
	}
	length := binary.BigEndian.Uint32(head[:])
	if length > mostAnswer {
		return answer{}, fmt.Errorf("an answer of %d bytes, more than %d", length, mostAnswer)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return answer{}, err
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return answer{}, fmt.Errorf("answer: %w", err)
	}
	return a, nil
}
