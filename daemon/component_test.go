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

// buildComponent compiles the component for ESP-IDF into the program of a device, as it is or with what keeps a promise
// taken away.
func buildComponent(t testing.TB, changes ...change) string {
	t.Helper()
	cc := compiler(t, cmp.Or(os.Getenv("CC"), "gcc"))
	dir := t.TempDir()
	source, err := os.ReadFile(filepath.Join(clientDir, "esp-idf", "slipway.c"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		if n := bytes.Count(source, []byte(c.line)); n != 1 {
			t.Fatalf("slipway.c has %d times %q: the control takes away nothing", n, c.line)
		}
		source = bytes.Replace(source, []byte(c.line), []byte(c.instead), 1)
	}
	path := filepath.Join(dir, "slipway.c")
	if err := os.WriteFile(path, source, 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "device")
	args := append([]string{"-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"}, sanitizers...)
	for _, include := range []string{"stub", "esp-idf", "host"} {
		args = append(args, "-I"+filepath.Join(clientDir, include))
	}
	hosted, err := filepath.Glob(filepath.Join(clientDir, "host", "*.c"))
	if err != nil {
		t.Fatal(err)
	}
	args = append(append(args, hosted...), path, "-o", program)
	if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
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
