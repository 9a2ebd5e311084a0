//go:build faults

package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/testdata/crash"
)

// stored is a gateway's state folder, in memory.
type stored struct {
	files map[string]storedFile // by path below the folder
	holds string
}

type storedFile struct {
	content []byte // without the zeros at its end
	size    int64
	mode    fs.FileMode
	changed time.Time
}

// rotting is a gateway with everything in it, as a stop leaves it or as a kill does.
func rotting(t *testing.T, killed bool) (*running, *stored) {
	t.Helper()
	g, _ := filled(t)
	g.start()
	for n := range 3 { // lines of a log that is still there
		g.cli("device", "add", "--model", "demo", "--key", fmt.Sprintf("rotten%02d", n))
	}
	zip, err := crash.Bundle("valve")
	if err != nil {
		t.Fatal(err)
	}
	g.cli("model", "add", "valve")
	g.drop("valve.zip", zip)
	g.within(10*time.Second, "the bundle", func() bool { return g.exists("drop", "accepted", "valve.zip") })
	s := &stored{holds: g.holds()}
	if killed {
		time.Sleep(6 * time.Second) // until the counts are copied
		g.kill()
	} else {
		g.stop()
	}
	s.files = map[string]storedFile{}
	err = filepath.WalkDir(g.state, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(g.state, path)
		s.files[name] = storedFile{bytes.Clone(bytes.TrimRight(b, "\x00")), int64(len(b)), info.Mode().Perm(), info.ModTime()}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return g, s
}

// lay makes the state folder what it was. Hard links become files of their own.
func (s *stored) lay(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for name, f := range s.files {
		path := filepath.Join(dir, name)
		for _, err := range []error{
			os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, f.content, f.mode), os.Truncate(path, f.size), os.Chtimes(path, f.changed, f.changed),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// holds is everything that somebody who asks the gateway gets to see of what it stores.
func (g *running) holds() string {
	g.t.Helper()
	var all strings.Builder
	for _, list := range []string{"model list", "device list", "firmware list", "dump list"} {
		out, err := g.tryCLI(append(strings.Fields(list), "--format", "json")...)
		fmt.Fprintln(&all, list, out, err)
	}
	for _, path := range []string{"/ca.crt", "/.well-known/jwks.json"} {
		a, err := g.tryAsk("GET", path, "", nil)
		fmt.Fprintf(&all, "%s %x %v\n", path, sha256.Sum256(a.body), err)
	}
	for _, pattern := range []string{"assets/*.bin", "assets/*/*.bin", "assets/*/*.zip", "coredumps/????????/*.dmp"} {
		paths, _ := filepath.Glob(filepath.Join(g.state, pattern))
		for _, path := range paths {
			b, err := os.ReadFile(path)
			fmt.Fprintf(&all, "%s %x %v\n", path, sha256.Sum256(b), err)
		}
	}
	return all.String()
}

// befell starts the gateway on what is left and says what it made of that: as before, trouble, refused, or in capitals what
// must never be.
func (g *running) befell(s *stored, program string) string {
	g.t.Helper()
	g.program = program
	code, says, started := g.startOrEnd()
	if !started {
		switch {
		case strings.Contains(says, "goroutine ") || strings.Contains(says, "panic") || strings.Contains(says, ".go:"):
			return "A GO TRACE"
		case code != exitFailed || !strings.Contains(says, "slipway backup restore ") || !strings.Contains(says, "slipway catalog new --without-backup"):
			return "AN END WITHOUT ADVICE: " + says
		}
		return "refused"
	}
	defer g.stop()
	g.within(testPatience, "everything verified", func() bool { return strings.Contains(g.log.String(), "stored data verified") })
	holds := g.holds()
	status, err := g.tryCLI("status")
	switch same := holds == s.holds; {
	case strings.Contains(g.log.String(), "goroutine "):
		return "A GO TRACE"
	case strings.Contains(status, "trouble: "):
		return "trouble"
	case same && strings.Contains(g.log.String(), "mended"):
		return "mended"
	case same && err == nil:
		return "as before"
	}
	return "SILENT LOSS"
}

// startOrEnd starts the gateway, which may end before it is ready.
func (g *running) startOrEnd() (code int, says string, started bool) {
	g.t.Helper()
	probe := exec.Command(cmp.Or(g.program, "slipway"), g.arguments()...)
	var said lockedBuffer
	probe.Stderr = &said
	if err := probe.Start(); err != nil {
		g.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- probe.Wait() }()
	for {
		select {
		case <-ended: //nolint:errcheck // it was killed
			return probe.ProcessState.ExitCode(), said.String(), false
		case <-time.After(20 * time.Millisecond):
		}
		if strings.Contains(said.String(), "gateway ready") {
			g.cmd, g.ended, g.log = probe, ended, &said
			g.urls = map[string]string{}
			if m := regexp.MustCompile(`"listens_on":"http=([^" ]+)"`).FindStringSubmatch(said.String()); m != nil {
				g.url = "http://" + m[1]
			}
			return 0, "", true
		}
	}
}

func bad(verdict string) bool { return strings.ToUpper(verdict[:1]) == verdict[:1] }

func tally(seen map[string]int) string {
	var all []string
	for _, v := range slices.Sorted(maps.Keys(seen)) {
		all = append(all, fmt.Sprintf("%d %s", seen[v], v))
	}
	return strings.Join(all, ", ")
}

// TestFaultsALostFile removes each file of a filled state folder in turn, and its folders.
func TestFaultsALostFile(t *testing.T) {
	for _, killed := range []bool{false, true} {
		g, s := rotting(t, killed)
		names := slices.Sorted(maps.Keys(s.files))
		names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, "drop/") })
		if killed {
			names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, "catalog/") })
		}
		names = append(names, "catalog", "keys")
		row := newFault(t, "lost file", map[bool]string{true: "catalog, killed", false: "all, stopped"}[killed], len(names))
		seen := map[string]int{}
		for _, name := range names {
			s.lay(t, g.state)
			if err := os.RemoveAll(filepath.Join(g.state, name)); err != nil {
				t.Fatal(err)
			}
			v := g.befell(s, "")
			seen[strings.SplitN(v, ":", 2)[0]]++
			t.Logf("without %s: %s", name, v)
			if bad(v) {
				t.Errorf("without %s: %s", name, v)
			}
		}
		row.found("%s", tally(seen))
		s.lay(t, g.state)
		if err := os.RemoveAll(filepath.Join(g.state, "catalog")); err != nil {
			t.Fatal(err)
		}
		v := g.befell(s, without(t, "pkg/gateway/serve.go", "		MayBegin: func() error { return mayBegin(cfg) },\n", ""))
		if !bad(v) {
			v = ""
		}
		row.noticed("without the question whether it is new", strings.ToLower(v))
	}
}
