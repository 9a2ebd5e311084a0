package symbol

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// built opens a program of testdata/builds, which its make.sh makes.
func built(t testing.TB, name string) *Index {
	t.Helper()
	return openBytes(t, builtBytes(t, name))
}

func builtBytes(t testing.TB, name string) []byte {
	t.Helper()
	packed, err := os.ReadFile(filepath.Join("testdata", "builds", name+".elf.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// everyFrame are the frames of all code of a program, each function once.
func everyFrame(x *Index) []Frame {
	var all []Frame
	for _, a := range x.executable.areas {
		for pc := a.lo; uint64(pc) < a.hi; pc += 2 {
			for _, f := range x.Frames(pc) {
				if !slices.ContainsFunc(all, func(g Frame) bool { return g.Function == f.Function && g.Qualified == f.Qualified }) {
					all = append(all, f)
				}
			}
		}
	}
	return all
}
