//go:build faults || live

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// without builds the program with lines of a file changed, each of which must stand in it once: what a row's control runs.
// changes are the code and what stands there instead, in turn. The tree itself stays as it is.
func without(t *testing.T, file string, changes ...string) (program string) {
	t.Helper()
	return compiled(t, map[string]string{file: changed(t, file, changes...)})
}

// shared are programs that the controls of several rows run, by what was changed in them, and sharedDir is where they lie.
var (
	sharing   sync.Mutex // guards both: rows may run beside each other
	shared    = map[string]string{}
	sharedDir string
)

// sharedWithout is without for the controls of several rows: it builds once.
func sharedWithout(t *testing.T, file, with, instead string) (program string) {
	t.Helper()
	sharing.Lock()
	defer sharing.Unlock()
	what := file + with
	if program, built := shared[what]; built {
		return program
	}
	if sharedDir == "" {
		dir, err := os.MkdirTemp("", "slw")
		if err != nil {
			t.Fatal(err)
		}
		sharedDir = dir
	}
	program = filepath.Join(sharedDir, fmt.Sprintf("slipway%d", len(shared)))
	if err := os.Rename(without(t, file, with, instead), program); err != nil {
		t.Fatal(err)
	}
	shared[what] = program
	return program
}

// changed is a file of the tree with lines changed.
func changed(t *testing.T, file string, changes ...string) string {
	t.Helper()
	code, err := os.ReadFile(filepath.Join("..", file))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(changes); i += 2 {
		with, instead := []byte(changes[i]), []byte(changes[i+1])
		if n := bytes.Count(code, with); n != 1 {
			t.Fatalf("%q stands %d times in %s, not once", with, n, file)
		}
		code = bytes.Replace(code, with, instead, 1)
	}
	return string(code)
}

// compiled builds the program with files in place of those of the tree, or beside them.
func compiled(t *testing.T, files map[string]string) (program string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir, replace := t.TempDir(), map[string]string{}
	for file, code := range files {
		path := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(path, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(root, file)] = path
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "slipway")
	yesterday := time.Now().Add(-24 * time.Hour).UTC().Format(time.RFC3339)
	tell(t, "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-ldflags", "-s -w -X main.built="+yesterday, "-o", program, ".")
	return program
}

// tell runs a command of the system.
func tell(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
