//go:build faults

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// without builds the program with lines of a file changed, each of which must stand in it once: what a row's control runs.
// changes are the code and what stands there instead, in turn. The tree itself stays as it is.
func without(t *testing.T, file string, changes ...string) (program string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	path, dir := filepath.Join(root, file), t.TempDir()
	code, err := os.ReadFile(path)
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
	changed := filepath.Join(dir, filepath.Base(file))
	if err := os.WriteFile(changed, code, 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "slipway")
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}
