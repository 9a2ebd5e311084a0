package decoding

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/slipway-gateway/slipway/pkg/espcore"
)

// Limits are what a worker can die of: the names that Decoder.Killed is called with.
var Limits = []string{"memory", "cpu", "stack", "wall", "output", "crash"}

// Decoder is the parent's side. Its zero value runs this binary's own `worker` command.
type Decoder struct {
	Command []string           // of the worker; nil: this executable with "worker"
	Killed  func(limit string) // called when a worker died, with one of Limits

	wall time.Duration // of a test; 0 is mostWall
}

// Identify looks at the containers of a batch of dump files.
func (d *Decoder) Identify(ctx context.Context, dumps []string) ([]espcore.Identified, error) {
	found := make([]espcore.Identified, len(dumps))
	err := d.run(ctx, request{Identify: true, Dumps: dumps}, func(i int, a answer) {
		found[i] = espcore.Identified{ELFHash: a.ELFHash, Failure: a.Failure}
	})
	return found, err
}

// Decode decodes a batch of dump files with one ELF, or with none where elf is "". It calls done once a dump, in order,
// with a report or with the reason why there is none.
func (d *Decoder) Decode(ctx context.Context, elf, model string, dumps []string, done func(i int, r *espcore.Report, failure string)) error {
	return d.run(ctx, request{ELF: elf, Model: model, Dumps: dumps}, func(i int, a answer) {
		done(i, a.Report, a.Failure)
	})
}

// run starts workers until each dump has an answer: one where none misbehaves, one more for each that kills its own.
func (d *Decoder) run(ctx context.Context, req request, done func(i int, a answer)) error {
	for first := 0; first < len(req.Dumps); {
		rest := req
		rest.Dumps = req.Dumps[first:]
		answered, death, err := d.runOnce(ctx, rest, func(i int, a answer) { done(first+i, a) })
		if err != nil {
			return err
		}
		first += answered
		if death != "" && first < len(req.Dumps) {
			done(first, answer{Failure: death})
			first++
		}
	}
	return nil
}

// runOnce runs one worker. It returns how many dumps got their answer and, where the worker died before the last, why.
func (d *Decoder) runOnce(ctx context.Context, req request, done func(i int, a answer)) (answered int, death string, err error) {
	input, err := json.Marshal(req)
	if err != nil {
		return 0, "", err
	}
	cmd := d.command()
	cmd.Stdin = bytes.NewReader(input)
	stderr := &headOf{most: mostStderr}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, "", err
	}
	if err := cmd.Start(); err != nil {
		return 0, "", fmt.Errorf("start the decode worker: %w", err)
	}
	wall := cmp.Or(d.wall, mostWall)
	late := time.AfterFunc(wall, func() { _ = cmd.Process.Kill() })
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()

	for answered < len(req.Dumps) {
		a, readErr := readAnswer(stdout)
		if readErr == nil && a.Index != answered {
			readErr = fmt.Errorf("an answer about dump %d, want %d", a.Index, answered)
		}
		if readErr != nil {
			timely := late.Stop()
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if ctx.Err() != nil {
				return answered, "", ctx.Err()
			}
			limit, why := causeOfDeath(cmd.ProcessState, stderr.String(), timely, readErr)
			if d.Killed != nil {
				d.Killed(limit)
			}
			return answered, why, nil
		}
		late.Reset(wall)
		if !a.Begun {
			done(answered, a)
			answered++
		}
	}
	late.Stop()
	_ = cmd.Process.Kill() // it has said all that counts
	_ = cmd.Wait()
	return answered, "", nil
}

// command starts the very binary that runs, also after an upgrade has replaced it on disk, and gives it nothing of this
// process's environment: no notify socket, no listeners, no watchdog, no settings.
func (d *Decoder) command() *exec.Cmd {
	argv := d.Command
	if argv == nil {
		argv = []string{"/proc/self/exe", "worker"}
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Args[0] = "slipway" // what a process list shows
	cmd.Env = []string{"GOTRACEBACK=single"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C on the terminal is the gateway's to handle
	return cmd
}

// causeOfDeath says in the words of the limits why a worker ended early.
func causeOfDeath(state *os.ProcessState, stderr string, timely bool, readErr error) (limit, why string) {
	switch {
	case !timely:
		return "wall", fmt.Sprintf("the decoder took longer than %s and was stopped", mostWall)
	case strings.HasPrefix(stderr, usedUp),
		state.UserTime()+state.SystemTime() >= (mostCPU-1)*time.Second: // killed before it said so, by a clock that is coarser than the limit
		return "cpu", fmt.Sprintf("the decoder used more than %d s of processor time and was stopped", mostCPU)
	case strings.Contains(stderr, "stack exceeds"):
		return "stack", fmt.Sprintf("the decoder needed more than %d MiB of stack and was stopped", mostStack>>20)
	case strings.Contains(stderr, "out of memory"), strings.Contains(stderr, "cannot allocate memory"):
		return "memory", fmt.Sprintf("the decoder needed more than %d MiB of memory and was stopped", mostMemory>>20)
	case !errors.Is(readErr, io.EOF) && !errors.Is(readErr, io.ErrUnexpectedEOF):
		return "output", fmt.Sprintf("the decoder's answer was refused: %v", readErr)
	}
	why = "the decoder died: " + state.String()
	if line, _, _ := strings.Cut(strings.TrimSpace(stderr), "\n"); line != "" {
		why += ": " + line
	}
	return "crash", why
}

// headOf keeps the first bytes that a dying worker prints: Go says why at the top.
type headOf struct {
	buf  bytes.Buffer
	most int
}

func (t *headOf) Write(p []byte) (int, error) {
	t.buf.Write(p[:min(len(p), t.most-t.buf.Len())])
	return len(p), nil
}

func (t *headOf) String() string { return t.buf.String() }
