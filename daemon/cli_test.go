package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// TestScripts runs the scripts of testdata: the real main as people call it, with a gateway where they start one.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUpScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "ready": ready, "capture": capture, "upload": uploadDump, "columns": sameColumns,
			"asks": asks, "leaves": leaves, "awaits": awaits,
		},
	})
}

// setUpScript gives each script a socket with a short path, one time zone, and the sample firmware.
func setUpScript(e *testscript.Env) error {
	short, err := os.MkdirTemp("", "slw")
	if err != nil {
		return err
	}
	e.Defer(func() { os.RemoveAll(short) })
	e.Setenv("SLIPWAY_SOCKET", filepath.Join(short, "s"))
	e.Setenv("TZ", "Asia/Kolkata") // half an hour off: a time that was not converted is seen
	for name, version := range map[string]string{"demo-1.zip": "1.0.0", "demo-2.zip": "2.0.0", "demo-4.zip": "4.0.0"} {
		zip, err := firmware.Bundle("demo", version)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(e.WorkDir, name), zip, 0o600); err != nil {
			return err
		}
	}
	image, err := firmware.Build{Code: "demo", Version: "3.0.0"}.Image()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(e.WorkDir, "demo-3.bin"), image, 0o600)
}

// exits CODE PROGRAM…: the program ends with that code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s ended with %d, want %d\n%s%s", strings.Join(args[1:], " "), got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// ready waits for the gateway that the script has started.
func ready(ts *testscript.TestScript, _ bool, _ []string) {
	for end := time.Now().Add(testPatience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ts.Exec("slipway", "status") == nil {
			return
		}
	}
	ts.Fatalf("no gateway within %s: %s", testPatience, ts.ReadFile("stderr"))
}

// capture NAME PATTERN: the environment variable becomes the pattern's group in what was printed last.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("no %s in %s", args[1], ts.ReadFile("stdout"))
	}
	ts.Setenv(args[0], m[1])
}

// upload TOKEN FILE: a device uploads a core dump.
func uploadDump(ts *testscript.TestScript, _ bool, args []string) {
	req, err := http.NewRequest(http.MethodPost, gatewayOf(ts)+"/api/iot/coredump?chip=esp32c3&firmware_version=1.0.0", strings.NewReader(ts.ReadFile(args[1])))
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+args[0])
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode != http.StatusCreated {
		ts.Fatalf("%s: %s", resp.Status, body)
	}
}

// gatewayOf is the address of the gateway that the script has started.
func gatewayOf(ts *testscript.TestScript) string {
	ts.Check(ts.Exec("slipway", "status"))
	m := regexp.MustCompile(`http=(\S+)`).FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("the gateway listens nowhere")
	}
	return "http://" + m[1]
}

// asks TOKEN VERSION: a device asks what it is to run until that is the version.
func asks(ts *testscript.TestScript, _ bool, args []string) {
	req, err := http.NewRequest(http.MethodGet, gatewayOf(ts)+"/api/iot/firmware-version", nil)
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+args[0])
	var told struct {
		Version string `json:"firmware_version"`
	}
	for end := time.Now().Add(testPatience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		resp, err := http.DefaultClient.Do(req)
		ts.Check(err)
		err = json.NewDecoder(resp.Body).Decode(&told)
		resp.Body.Close()
		ts.Check(err)
		if told.Version == args[1] {
			return
		}
	}
	ts.Fatalf("the device is offered %q, want %s", told.Version, args[1])
}

// leaves KIND…: what people did since the last call has left these events, in this order, and no others.
func leaves(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("slipway", "events", "--format", "json"))
	var all struct {
		Events []fleet.Event `json:"events"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &all))
	seen, _ := strconv.Atoi(ts.Getenv("SEEN"))
	var kinds []string
	for _, e := range all.Events[min(seen, len(all.Events)):] {
		if e.Actor.Type == fleet.Person {
			kinds = append(kinds, string(e.Kind))
		}
	}
	ts.Setenv("SEEN", strconv.Itoa(len(all.Events)))
	if seen > 0 && !slices.Equal(kinds, args) {
		ts.Fatalf("left are the events %v, want %v", kinds, args)
	}
}

// awaits PATTERN PROGRAM…: the program is called until it prints a line like that.
func awaits(ts *testscript.TestScript, _ bool, args []string) {
	line := regexp.MustCompile("(?m)" + args[0])
	for end := time.Now().Add(testPatience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ts.Exec(args[1], args[2:]...) == nil && line.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("%s never prints %s\n%s%s", strings.Join(args[1:], " "), args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
}

// columns: in every line of what was printed last, columns begin where the heading's do.
func sameColumns(ts *testscript.TestScript, _ bool, _ []string) {
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile("stdout"), "\n"), "\n")
	for _, start := range regexp.MustCompile(`\S+( \S+)*`).FindAllStringIndex(lines[0], -1) {
		for _, line := range lines[1:] {
			if len(line) <= start[0] || start[0] > 0 && line[start[0]-1] != ' ' || line[start[0]] == ' ' {
				ts.Fatalf("%q is not in the columns of %q", line, lines[0])
			}
		}
	}
}
