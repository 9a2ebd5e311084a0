// Command gotest runs `go test` and says at the end what it passed over. usage: gotest GO ARGUMENT…
//
// It prints what go test itself prints: a line for each package, and all that a failing test said. After that come the
// figures that tests have logged ("figure: …"), and how many tests were skipped and why. It ends as go test ends.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

func main() {
	code, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(args []string, out io.Writer) (code int, err error) {
	if len(args) == 0 {
		return 0, errors.New("usage: gotest GO ARGUMENT…")
	}
	// A Ctrl-C reaches go test as well; what it says until it ends is still printed.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGTERM)
	cmd := exec.Command(args[0], append([]string{"test", "-json"}, args[1:]...)...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	account := newAccount(out)
	lines := bufio.NewReader(events)
	for {
		line, readErr := lines.ReadBytes('\n')
		var e event
		switch {
		case len(line) == 0:
		case json.Unmarshal(line, &e) != nil:
			fmt.Fprintf(out, "%s", line) // what a tool prints by itself
		default:
			account.note(e)
		}
		if readErr != nil {
			break
		}
	}
	err = cmd.Wait()
	account.end()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil // killed by a signal it has no code
	}
	return 0, err
}
