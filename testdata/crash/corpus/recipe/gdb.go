package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/slipway-gateway/slipway/testdata/crash/corpus"
)

// ask gives GDB the ELF and the ELF core file in the dump, and reads the backtraces of all threads.
func ask(elf, core []byte) ([]corpus.Task, error) {
	folder, err := os.MkdirTemp("", "gdb")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	const containerHead = 12 // bytes before the core file
	program, dump := filepath.Join(folder, "elf"), filepath.Join(folder, "core")
	if err := os.WriteFile(program, elf, 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(dump, core[containerHead:], 0o600); err != nil {
		return nil, err
	}
	command := exec.Command("gdb-multiarch", "-nx", "-batch", "-ex", "set width 0", "-ex", "set auto-load off",
		"-ex", "file "+program, "-ex", "core-file "+dump, "-ex", "thread apply all -ascending backtrace")
	command.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "DEBUGINFOD_URLS=")
	command.Stderr = nil
	out, err := command.Output()
	if err != nil {
		return nil, err
	}
	tasks, err := parse(string(out))
	if err != nil {
		return nil, fmt.Errorf("%w in what GDB printed:\n%s", err, out)
	}
	return tasks, nil
}

var (
	threadLine = regexp.MustCompile(`^Thread \d+ \((?:LWP|process) (-?\d+)\):$`)
	frameLine  = regexp.MustCompile(`^#\d+ +(?:(0x[0-9a-f]+) in )?(.*)$`)
	placeLine  = regexp.MustCompile(`^(.*\)) at (.*):(\d+)$`)
)

func parse(text string) ([]corpus.Task, error) {
	var tasks []corpus.Task
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if m := threadLine.FindStringSubmatch(line); m != nil {
			tcb, err := strconv.ParseInt(m[1], 10, 64)
			if err != nil {
				return nil, err
			}
			tasks = append(tasks, corpus.Task{TCB: uint32(tcb)})
			continue
		}
		m := frameLine.FindStringSubmatch(line)
		if m == nil || len(tasks) == 0 {
			continue
		}
		f, err := parseFrame(m[1], m[2])
		if err != nil {
			return nil, err
		}
		t := &tasks[len(tasks)-1]
		// Behind a caller that is no code GDB guesses, and not the same at each run: the answer ends there.
		if last := len(t.Frames) - 1; last > 0 && t.Frames[last].Function == "??" {
			continue
		}
		t.Frames = append(t.Frames, f)
	}
	if len(tasks) == 0 {
		return nil, fmt.Errorf("no thread")
	}
	return tasks, nil
}

// parseFrame reads "function (a=1, b=2) at file:line"; what stands behind the arguments may be missing.
func parseFrame(pc, rest string) (corpus.Frame, error) {
	f := corpus.Frame{PC: pc}
	if m := placeLine.FindStringSubmatch(rest); m != nil {
		rest, f.File = m[1], m[2]
		f.Line, _ = strconv.Atoi(m[3]) // digits
	}
	open := strings.Index(rest, " (")
	if open < 1 || !strings.HasSuffix(rest, ")") {
		return f, fmt.Errorf("no arguments in %q", rest)
	}
	f.Function = rest[:open]
	for _, a := range split(rest[open+2 : len(rest)-1]) {
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			return f, fmt.Errorf("no value in %q", a)
		}
		f.Args = append(f.Args, corpus.Arg{Name: name, Value: value})
	}
	return f, nil
}

// split parts arguments at their commas, of which there are some in texts, brackets and structures.
func split(text string) []string {
	var out []string
	depth, quoted, from := 0, false, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case strings.IndexByte("([{<", c) >= 0:
			depth++
		case strings.IndexByte(")]}>", c) >= 0:
			depth--
		case c == ',' && depth == 0:
			out = append(out, strings.TrimSpace(text[from:i]))
			from = i + 1
		}
	}
	if rest := strings.TrimSpace(text[from:]); rest != "" {
		out = append(out, rest)
	}
	return out
}
