package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/config"
)

// here runs the program in this process.
func here(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// acting are the commands that do something; groups only name others.
func acting(t *testing.T) (all []*cobra.Command) {
	t.Helper()
	root, _ := newRoot()
	walk(root, func(cmd *cobra.Command) {
		if !cmd.Hidden && (!cmd.HasSubCommands() || cmd.Flags().Lookup("format") != nil) {
			all = append(all, cmd)
		}
	})
	return all
}

func TestEveryCommandHasAnExample(t *testing.T) {
	seen := 0
	for _, cmd := range acting(t) {
		if !strings.HasPrefix(cmd.Example, "  slipway ") {
			t.Errorf("%s has none", cmd.CommandPath())
		}
		_, name, _ := strings.Cut(cmd.CommandPath(), " ")
		if examples[name] != "" {
			seen++
		}
	}
	if seen != len(examples) {
		t.Errorf("%d examples are of commands that there are, of %d", seen, len(examples))
	}
}

// words splits an example as a shell does, up to a pipe.
func shellWords(line string) (all []string) {
	line, _, _ = strings.Cut(line, " | ")
	line, _, _ = strings.Cut(line, " > ")
	line, _, _ = strings.Cut(line, " && ")
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			all = append(all, part)
		} else {
			all = append(all, strings.Fields(part)...)
		}
	}
	return all
}

// TestEveryCommandEndsWithTheExitCodeForWhatIsWrong runs each one's first example where no gateway is: 4 of those that ask it; and
// with a flag that there is not: 2.
func TestEveryCommandEndsWithTheExitCodeForWhatIsWrong(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv(socketEnv, "nobody.sock")
	if err := os.WriteFile("devices.csv", []byte("pump,a1b2c3d4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	elsewhere := map[string]int{ // that read files, which are not here, or this machine only
		"version": exitDone, "config show": exitDone, "logout": exitFailed,
		"config check": exitUsage, "firmware add": exitNotFound, "firmware inspect": exitNotFound, "decode": exitNotFound,
		"backup restore": exitNotFound, "backup check": exitNotFound,
	}
	not := []string{"serve", "catalog new", "simulate", "login", "backup create", "backup key"} // they have tests of their own
	for _, cmd := range acting(t) {
		_, name, _ := strings.Cut(cmd.CommandPath(), " ")
		if slices.Contains(not, name) {
			continue
		}
		first, _, _ := strings.Cut(strings.TrimSpace(cmd.Example), "\n")
		if first == "" {
			continue // which the test above says
		}
		args := shellWords(first)[1:]
		for i, arg := range args {
			args[i] = strings.Replace(arg, config.DefaultFile, "slipway.yaml", 1) // this machine may have one
		}
		want, other := elsewhere[name]
		if !other {
			want = exitNoDaemon
		}
		if code, _, errOut := here(t, args...); code != want {
			t.Errorf("%s: %d, want %d\n%s", first, code, want, errOut)
		}
		if code, _, errOut := here(t, append(slices.Clone(args), "--colour")...); code != exitUsage || !strings.Contains(errOut, "--help") {
			t.Errorf("%s --colour: %d\n%s", first, code, errOut)
		}
	}
}

func TestWhatCannotBeUndoneIsAskedAboutAndAScriptSaysYes(t *testing.T) {
	t.Setenv(socketEnv, "nobody.sock")
	asking := 0
	for _, cmd := range acting(t) {
		if cmd.Flags().Lookup("yes") == nil {
			continue
		}
		asking++
		args := slices.DeleteFunc(shellWords(strings.TrimSpace(cmd.Example))[1:], func(arg string) bool { return arg == "--yes" })
		if code, _, errOut := here(t, args...); code != exitUsage || !strings.Contains(errOut, "add --yes") {
			t.Errorf("%v: %d %s", args, code, errOut)
		}
	}
	if asking < 7 {
		t.Errorf("%d commands ask", asking)
	}
}

// played is a gateway that answers each path with one JSON.
func played(t *testing.T, answers map[string]string) (flags []string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, known := answers[r.URL.Path]
		if !known {
			http.Error(w, `{"error":"there is no such thing"}`, http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	return []string{"--url", server.URL, "--token", "x"}
}

func TestStatusOfAGatewayInTroubleEndsWithOne(t *testing.T) {
	for answer, want := range map[string]int{
		`{"version":"1","healthy":false,"trouble":["the disk is full"]}`: exitFailed,
		`{"version":"1","healthy":true}`:                                 exitDone,
	} {
		code, out, _ := here(t, append(played(t, map[string]string{"/api/status": answer}), "status")...)
		if code != want || !strings.Contains(out, "slipway 1 is ") {
			t.Errorf("%s: %d %s", answer, code, out)
		}
	}
}

func TestAListIsPickedByColumnAndRefusesATimeThatCannotBeMeant(t *testing.T) {
	flags := played(t, map[string]string{"/api/coredumps": `{"coredumps":[
		{"name":"c","device_key":"aaaaaaa3","uploaded_at":"2026-05-06T12:00:00Z","size":3145728},
		{"name":"b","device_key":"aaaaaaa2","uploaded_at":"2026-05-05T12:00:00Z","size":1024},
		{"name":"a","device_key":"aaaaaaa1","uploaded_at":"2026-05-04T12:00:00Z","size":7}],"next":null}`})
	for _, test := range []struct {
		flags string
		want  string
	}{
		{"--columns device,size", "DEVICE    SIZE\naaaaaaa3  3.0 MiB\naaaaaaa2  1.0 KiB\naaaaaaa1  7 B\n"},
	} {
		code, out, errOut := here(t, append(append(slices.Clone(flags), "dump", "list"), strings.Fields(test.flags)...)...)
		if code != exitDone || out != test.want {
			t.Errorf("%s: %d %s\n%s", test.flags, code, errOut, out)
		}
	}
	for wrong, want := range map[string]string{
		"--columns colour": "want device, name, model", "--since yesterday": "want how long ago", "--since 1h --until 2h": "is before", "--columns device --format json": "JSON has them all",
	} {
		code, _, errOut := here(t, append(append(slices.Clone(flags), "dump", "list"), strings.Fields(wrong)...)...)
		if code != exitUsage || !strings.Contains(errOut, want) {
			t.Errorf("%s: %d %s", wrong, code, errOut)
		}
	}
}

// TestEveryListAsksTheGatewayForItsTime finds lists by their flag --limit. What lies in the time the gateway says.
func TestEveryListAsksTheGatewayForItsTime(t *testing.T) {
	var asked url.Values
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query()
		_, _ = w.Write([]byte(`{"models":[],"builds":[],"devices":[],"coredumps":[],"crashes":[],"tokens":[],"events":[],"drops":[],"wanted":[],"webhooks":[],"rollouts":[],"adoptions":[],"next":null}`))
	}))
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	t.Setenv(socketEnv, socket)
	lists := 0
	for _, cmd := range acting(t) {
		if cmd.Flags().Lookup("limit") == nil {
			continue
		}
		lists++
		asked = nil
		args := strings.Fields(strings.TrimPrefix(cmd.CommandPath(), "slipway "))
		if cmd.Args(cmd, nil) != nil {
			args = append(args, "pump")
		}
		code, _, errOut := here(t, append(args, "--since", "7d", "--until", "2026-05-04T12:00:00+02:00", "--limit", "3")...)
		if code != exitUsage || !strings.Contains(errOut, "is before") || asked != nil {
			t.Errorf("%v: %d %s, asked for %v", args, code, errOut, asked)
		}
		code, _, errOut = here(t, append(args, "--since", "2026-05-04T12:00:00+02:00", "--until", "90m", "--limit", "3")...)
		if code != exitDone || asked.Get("since") != "2026-05-04T12:00:00+02:00" || asked.Get("until") != "90m" || asked.Get("limit") != "3" {
			t.Errorf("%v: %d %s, asked for %v", args, code, errOut, asked)
		}
	}
	if lists < 13 {
		t.Errorf("%d lists", lists)
	}
}

func TestATableIsCutToTheTerminalAndNeverForAPipe(t *testing.T) {
	table := func(width int) string {
		p := &paper{width: width}
		c := newColumns(p, "DEVICE", "NAME", "REASON")
		c.row("a1b2c3d4", "Press 7", "assert failed: queue.c:42 (the queue of the valves is full)")
		c.row("b1b2c3d4", "Prüfstand im Keller", "")
		c.flush()
		return p.String()
	}
	if whole := table(0); !strings.Contains(whole, "valves is full)\n") || strings.Contains(whole, "…") {
		t.Errorf("a pipe:\n%s", whole)
	}
	for _, width := range []int{60, 40, 30, 12, 5} {
		for line := range strings.Lines(table(width)) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > width {
				t.Errorf("%d characters on a terminal of %d:\n%s", n, width, line)
			}
		}
	}
	if cut := table(40); !strings.Contains(cut, "a1b2c3d4  Press 7") || strings.Count(cut, "…") == 0 || strings.Count(cut, "\n") != 3 {
		t.Errorf("40 characters:\n%s", cut)
	}
}

func TestValuesAreCompletedAndSilenceIsNoError(t *testing.T) {
	flags := played(t, map[string]string{
		"/api/device-models":             `{"models":[{"code":"pump","name":"Pump \u001b[31m"},{"code":"valve"}],"next":null}`,
		"/api/device-models/pump/builds": `{"builds":[{"firmware_version":"1.4.1"},{"firmware_version":"1.4.2"}],"next":null}`,
		"/api/builds":                    `{"builds":[{"firmware_version":"1.4.1"},{"firmware_version":"2.0.0"}],"next":null}`,
		"/api/devices":                   `{"devices":[{"device_key":"a1b2c3d4","model_code":"pump","name":"Press 7","line_effective":"hall3","labels":["hot"]},{"device_key":"b1b2c3d4","line_effective":"hall3"}],"next":null}`,
		"/api/crashes":                   `{"crashes":[{"fingerprint":"3f2a9c0d11223344","model_code":"pump","top_frame":"app_main"}],"next":null,"total":1}`,
		"/api/webhooks":                  `{"webhooks":[{"id":"1f2e3d4c","name":"tickets","url":"https://tickets.example/hooks/in-the-address"}],"next":null}`,
		"/api/coredumps":                 `{"coredumps":[{"name":"coredump_1","firmware_version":"1.4.2"}],"next":null}`,
	})
	for _, test := range []struct{ typed, want string }{
		{"model show ", "pump\tPump"},
		{"firmware publish pump ", "1.4.1\n1.4.2\n"},
		{"firmware publish pump 1.4.2", "1.4.2\n:4"},
		{"device list --version ", "1.4.1\n2.0.0\n"},
		{"device list --line ", "hall3\n:4"},
		{"device list --label ", "hot\n:4"},
		{"device list --crash ", "3f2a9c0d11223344\tpump app_main\n"},
		{"device list --state s", "silent\n:4"},
		{"device show a", "a1b2c3d4\tpump Press 7\n:4"},
		{"crash show ", "3f2a9c0d11223344\tpump app_main\n"},
		{"crash merge 3f2a9c0d11223344 ", ":4"},
		{"crash list --state i", "ignored\n:4"},
		{"dump show a1b2c3d4 ", "latest\ncoredump_1\t1.4.2\n"},
		{"rollout plan pump ", "standard\nurgent\nsmall\n"},
		{"rollout list --state ha", "halted\n:4"},
		{"events --kind crash,dev", "crash,device\n"},
		{"webhook set ", "1f2e3d4c\ttickets.example tickets\n"},
		{"webhook rm 1f2e3d4c ", ":4"},
		{"device rm a1b2c3d4 ", ":4"},
	} {
		typed := strings.Split(test.typed, " ")
		code, out, errOut := here(t, append(append([]string{cobra.ShellCompRequestCmd}, flags...), typed...)...)
		if code != exitDone || !strings.Contains(out, test.want) || strings.Contains(out, "\x1b") || strings.HasPrefix(test.want, ":") && !strings.HasPrefix(out, test.want) {
			t.Errorf("%q: %d %q, want %q\n%s", test.typed, code, out, test.want, errOut)
		}
	}
	// A gateway that never answers, and none.
	deaf := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer deaf.Close()
	t.Setenv(socketEnv, "")
	for _, flags := range [][]string{{"--url", deaf.URL, "--token", "x"}, {"--socket", "nobody.sock"}} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		var out, errOut bytes.Buffer
		code := run(ctx, append(append([]string{cobra.ShellCompRequestCmd}, flags...), "device", "show", ""), strings.NewReader(""), &out, &errOut)
		if ctx.Err() != nil || code != exitDone || !strings.HasPrefix(out.String(), ":4") || strings.Contains(out.String()+errOut.String(), "gateway") {
			t.Errorf("%v: %d %q %q", flags, code, out.String(), errOut.String())
		}
		cancel()
	}
}

func TestProgressSaysHowFarAnUploadIsOnATerminalOnly(t *testing.T) {
	cmd := &cobra.Command{}
	var quiet bytes.Buffer
	cmd.SetErr(&quiet)
	body := http.NoBody
	if got := withProgress(cmd, body, 7); got != body {
		t.Error("a pipe is told of progress")
	}
	p := &progress{size: 4 << 20, done: 1 << 20, started: time.Now().Add(-2 * time.Second)}
	if text := p.text(p.started.Add(2 * time.Second)); text != "1.0 MiB of 4.0 MiB, 25 %, 512 KiB/s" {
		t.Errorf("%q", text)
	}
	p.size = -1
	if text := p.text(p.started.Add(2 * time.Second)); text != "1.0 MiB, 512 KiB/s" {
		t.Errorf("%q", text)
	}
}
