package decoding

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/slipway-gateway/slipway/pkg/espcore"
	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// Work is the worker's whole life: it limits itself, then reads one request and answers it. It is what the hidden
// command `slipway worker` runs.
func Work(in io.Reader, out io.Writer) error {
	if err := limit(); err != nil {
		return fmt.Errorf("limit the worker: %w", err)
	}
	var req request
	if err := json.NewDecoder(bufio.NewReader(in)).Decode(&req); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	w := &worker{request: req, out: out}
	if req.ELF != "" && len(req.Dumps) > 0 {
		// Whatever the ELF does to the worker is booked to the first dump.
		if err := writeAnswer(out, answer{Begun: true}); err != nil {
			return err
		}
		if err := w.openELF(); err != nil {
			w.elfFailure = fmt.Sprintf("read the ELF: %v", err)
		}
	}
	for i, path := range req.Dumps {
		if err := writeAnswer(out, answer{Index: i, Begun: true}); err != nil {
			return err
		}
		a := w.answer(path)
		a.Index = i
		if err := writeAnswer(out, a); err != nil {
			return err
		}
	}
	return nil
}

type worker struct {
	request
	out        io.Writer
	index      *symbol.Index
	elfSHA256  string
	elfFailure string
}

func (w *worker) openELF() error {
	elf, sum, err := MapSummed(w.ELF)
	if err != nil {
		return err
	}
	w.elfSHA256 = sum
	w.index, err = symbol.Open(elf, elf.Size())
	return err
}

// answer decodes one dump. This is one of the two places in the house that recover: a panic over one dump must not cost
// the others of the batch.
func (w *worker) answer(path string) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(os.Stderr, "panic over %s: %v\n%s", path, p, debug.Stack())
			a = answer{Failure: fmt.Sprintf("the decoder panicked: %v", p)}
		}
	}()
	data, err := readDump(path)
	if err != nil {
		return answer{Failure: err.Error()}
	}
	dump, err := espcore.Read(data)
	if err != nil {
		return answer{Failure: err.Error()}
	}
	if w.Identify {
		return answer{ELFHash: dump.ELFHash}
	}
	if w.elfFailure != "" {
		return answer{Failure: w.elfFailure}
	}
	return answer{Report: espcore.Decode(dump, w.index, espcore.Options{ELFSHA256: w.elfSHA256, Model: w.Model})}
}

func readDump(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var data bytes.Buffer
	data.Grow(int(min(info.Size(), mostDump)) + bytes.MinRead) // in one piece: growing to it cost a seventh of a dump's decoding
	if _, err := data.ReadFrom(io.LimitReader(f, mostDump+1)); err != nil {
		return nil, err
	}
	if data.Len() > mostDump {
		return nil, fmt.Errorf("the dump is larger than %d bytes", mostDump)
	}
	return data.Bytes(), nil
}
