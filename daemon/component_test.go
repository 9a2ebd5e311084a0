package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clientDir is where the components for devices are, with what stands in for ESP-IDF and for a device.
const clientDir = "../testdata/client"

// compiler is the C compiler that the machine has; without one there is nothing to play.
func compiler(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && componentTools {
		t.Fatal(err)
	}
	if err != nil {
		t.Skipf("no %s: make test-component has it", name)
	}
	return path
}

// change is a line of the component's source and what a control has in its place.
type change struct{ line, instead string }

// deviceClient is a client for devices of the project's own, and how it is made into the program of a device.
type deviceClient struct {
	name   string
	readme string
	source string // what a control changes; it is compiled in a copy
	build  func(t testing.TB, source, program string) []*exec.Cmd
	resume bool // its downloads go on where they were cut
	most   int  // requests between two times that it says how long it waits
	steps  []string
}

// component is the one for ESP-IDF: a contact makes a request for a token and one a step, and once more with another token.
var component = deviceClient{
	name: "component for ESP-IDF", readme: "esp-idf/README.md", source: "esp-idf/slipway.c", build: buildComponent, resume: true, most: 11,
	steps: []string{"token", "configuration", "dump", "version", "firmware", "rest of a firmware"},
}

// sketch is the one for Arduino; it says so every ten minutes, in which each of four steps may have failed eight times.
var sketch = deviceClient{
	name: "sketch for Arduino", readme: "arduino/README.md", source: "arduino/slipway/slipway.ino", build: buildSketch, most: 40,
	steps: []string{"configuration", "dump", "version", "firmware"},
}

// program compiles the client, as it is or with what keeps a promise taken away.
func (c deviceClient) program(t testing.TB, changes ...change) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(clientDir, filepath.FromSlash(c.source)))
	if err != nil {
		t.Fatal(err)
	}
	for _, taken := range changes {
		if n := bytes.Count(text, []byte(taken.line)); n != 1 {
			t.Fatalf("%s has %d times %q: the control takes away nothing", c.source, n, taken.line)
		}
		text = bytes.Replace(text, []byte(taken.line), []byte(taken.instead), 1)
	}
	dir := t.TempDir()
	source, program := filepath.Join(dir, filepath.Base(c.source)), filepath.Join(dir, "device")
	if err := os.WriteFile(source, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range c.build(t, source, program) {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return program
}

// hosted are the sources of the host in a folder of it.
func hosted(t testing.TB, pattern ...string) []string {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join(append([]string{clientDir, "host"}, pattern...)...))
	if err != nil || len(sources) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	return sources
}

// warned are the flags of every compilation for the host.
func warned(more ...string) []string {
	args := []string{"-O1", "-g", "-Wall", "-Wextra", "-Werror", "-I" + filepath.Join(clientDir, "stub"), "-I" + filepath.Join(clientDir, "host")}
	return append(append(args, sanitizers...), more...)
}

func buildComponent(t testing.TB, source, program string) []*exec.Cmd {
	t.Helper()
	args := warned("-std=c11", "-I"+filepath.Join(clientDir, "esp-idf"), source, "-o", program)
	args = append(append(args, hosted(t, "*.c")...), hosted(t, "idf", "*.c")...)
	return []*exec.Cmd{exec.Command(compiler(t, cmp.Or(os.Getenv("CC"), "gcc")), args...)}
}

func buildSketch(t testing.TB, source, program string) []*exec.Cmd {
	t.Helper()
	cc, cxx := compiler(t, cmp.Or(os.Getenv("CC"), "gcc")), compiler(t, cmp.Or(os.Getenv("CXX"), "g++"))
	var cmds []*exec.Cmd
	var objects []string
	for _, c := range hosted(t, "*.c") {
		object := filepath.Join(filepath.Dir(program), filepath.Base(c)+".o")
		objects = append(objects, object)
		cmds = append(cmds, exec.Command(cc, warned("-std=c11", "-c", c, "-o", object)...))
	}
	args := warned("-std=c++17", "-I"+filepath.Join(clientDir, "host", "arduino"), "-I"+filepath.Dir(source), "-o", program)
	args = append(append(args, hosted(t, "arduino", "*.cpp")...), objects...)
	return append(cmds, exec.Command(cxx, args...))
}

// How a boot ends: exit codes of testdata/client/host.
const (
	bootTurnedOff = 0
	bootRestarted = 10
	bootPanicked  = 11
	bootLostPower = 12
	bootDead      = 20
)

const (
	slotSize = 256 << 10
	dumpArea = 64 << 10
)

// espDevice is a device whose firmware is the component: a program, and a folder for its flash.
type espDevice struct {
	t       testing.TB
	program string
	flash   string
}

// newESPDevice is one that was flashed with an image and enrolled.
func newESPDevice(t testing.TB, program string, image []byte, baseURL string, c credentials) *espDevice {
	t.Helper()
	d := &espDevice{t: t, program: program, flash: t.TempDir()}
	erased := func(size int, with []byte) []byte {
		return append(bytes.Clone(with), bytes.Repeat([]byte{0xff}, size-len(with))...)
	}
	for name, content := range map[string][]byte{
		"ota_0": erased(slotSize, image), "ota_1": erased(slotSize, nil), "coredump": erased(dumpArea, nil),
		"nvs/base_url": []byte(baseURL), "nvs/client_id": []byte(c.ID), "nvs/client_secret": []byte(c.Secret),
	} {
		path := filepath.Join(d.flash, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// espBoot is what one boot said, and how it ended.
type espBoot struct {
	code  int
	lines []string
}

func (b espBoot) String() string {
	return fmt.Sprintf("%s\nends with %d", strings.Join(b.lines, "\n"), b.code)
}

// all are the rests of the lines that begin with a word.
func (b espBoot) all(word string) []string {
	var rests []string
	for _, line := range b.lines {
		if rest, ok := strings.CutPrefix(line, word+" "); ok {
			rests = append(rests, rest)
		}
	}
	return rests
}

// boot runs the device from power-on until it ends; settings are those of testdata/client/host/main.c.
func (d *espDevice) boot(settings ...string) espBoot {
	d.t.Helper()
	cmd := exec.CommandContext(d.t.Context(), d.program, d.flash)
	for i := 0; i+1 < len(settings); i += 2 {
		cmd.Env = append(cmd.Env, "SLIPWAY_HOST_"+settings[i]+"="+settings[i+1])
	}
	cmd.WaitDelay = time.Minute
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		d.t.Fatalf("%v\n%s", err, out)
	}
	return espBoot{cmd.ProcessState.ExitCode(), strings.Split(strings.TrimSpace(string(out)), "\n")}
}

// dump is the SHA-256 of the core dump in the device's partition, "" where there is none.
func (d *espDevice) dump() string {
	d.t.Helper()
	area, err := os.ReadFile(filepath.Join(d.flash, "coredump"))
	if err != nil {
		d.t.Fatal(err)
	}
	size := int(area[0]) | int(area[1])<<8 | int(area[2])<<16 | int(area[3])<<24
	if size < 36 || size > len(area) {
		return ""
	}
	if sum := sha256.Sum256(area[:size-32]); !bytes.Equal(sum[:], area[size-32:size]) {
		return ""
	}
	return sumOf(area[:size])
}

// slot is an app partition's content.
func (d *espDevice) slot(n string) []byte {
	d.t.Helper()
	b, err := os.ReadFile(filepath.Join(d.flash, "ota_"+n))
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
