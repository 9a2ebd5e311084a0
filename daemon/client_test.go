package main

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// answering is a socket on which every request gets the same answer.
func answering(t *testing.T, answer http.HandlerFunc) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "slw") // a socket's path is short, and a test's folder is not
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: answer}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
		os.RemoveAll(dir)
	})
	return l.Addr().String()
}

func TestAnAnswerDecidesTheExitCodeAndWhatIsSaid(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		code   int
		says   string
	}{
		"not found": {refusing(404, `{"error":"there is no model \"fan\"","code":"unknown","details":{},"correlationId":"c1"}`), exitNotFound,
			"slipway: there is no model \"fan\"\n"},
		"refused": {refusing(409, `{"error":"model demo has devices","correlationId":"c1"}`), exitFailed, "slipway: model demo has devices\n"},
		"broken": {refusing(500, `{"error":"internal server error","correlationId":"c1"}`), exitFailed,
			"slipway: internal server error (the journal has more under c1)\n"},
		"no JSON error":     {refusing(502, "<html>"), exitFailed, "slipway: the gateway answers 502 Bad Gateway\n"},
		"no JSON":           {refusing(200, "<html>"), exitFailed, "slipway: the gateway's answer is not the expected JSON"},
		"hangs up":          {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, exitFailed, "slipway: the gateway hung up before it answered: EOF\n"},
		"steers a terminal": {refusing(200, `{"code":"demo","name":"a\u001b[2Jb"}`), exitDone, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			code := run(t.Context(), []string{"model", "show", "fan", "--socket", answering(t, test.answer)}, strings.NewReader(""), &out, &errOut)
			if code != test.code || !strings.HasPrefix(errOut.String(), test.says) {
				t.Errorf("ended with %d and %q, want %d and %q", code, errOut.String(), test.code, test.says)
			}
			if strings.Contains(out.String(), "\x1b") {
				t.Errorf("printed %q", out.String())
			}
		})
	}
}

func refusing(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func TestJSONIsPrintedAsTheAPIHasIt(t *testing.T) {
	socket := answering(t, refusing(http.StatusOK, `{"zeta":1,"code":"demo","unknown_to_us":{"a":[1.50]}}`))
	var out, errOut bytes.Buffer
	code := run(t.Context(), []string{"model", "show", "demo", "--format", "json", "--socket", socket}, nil, &out, &errOut)
	want := "{\n  \"zeta\": 1,\n  \"code\": \"demo\",\n  \"unknown_to_us\": {\n    \"a\": [\n      1.50\n    ]\n  }\n}\n"
	if code != exitDone || out.String() != want {
		t.Errorf("ended with %d and %q\n%s", code, out.String(), errOut.String())
	}
}

func TestEveryCommandThatPrintsTakesFormat(t *testing.T) {
	without := map[string]bool{
		"slipway serve":        true, // logs
		"slipway audit export": true, // prints what audit verify reads
		"slipway dump get":     true, // prints the dump, or the name of its file
	}
	var look func(*cobra.Command)
	look = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			look(sub)
		}
		if !cmd.HasSubCommands() && !cmd.Hidden && (cmd.Flag("format") == nil) != without[cmd.CommandPath()] {
			t.Errorf("%s: --format: %v", cmd.CommandPath(), cmd.Flag("format"))
		}
	}
	root, _ := newRoot()
	look(root)
}
