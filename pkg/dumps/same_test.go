package dumps

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestTheSameBytesOfTheSameDeviceAreTheStoredDump(t *testing.T) {
	dir := t.TempDir()
	index := newIndex()
	s := openStore(t, dir, index, func(o *Options) { o.KeepPerDevice = 2 })
	oldest, first := upload(t, s, "aaaaaaaa", "oldest"), upload(t, s, "aaaaaaaa", "bytes")
	for _, again := range []func(){func() {}, func() { s = openStore(t, dir, index, nil) }, func() {
		s = openStore(t, dir, index, func(o *Options) { o.CleanStop = time.Now().Add(time.Hour) })
	}} {
		again()
		for range 5 {
			if d := upload(t, s, "aaaaaaaa", "bytes"); d.Name() != first.Name() || d.SHA256 != first.SHA256 {
				t.Errorf("a copy was stored as %s beside %s", d.Name(), first.Name())
			}
		}
	}
	if !there(t, s, oldest) || len(pairs(t, dir, "aaaaaaaa")) != 2 || index.count("aaaaaaaa") != 2 {
		t.Errorf("%v lie in the directory", pairs(t, dir, "aaaaaaaa"))
	}
	if d := upload(t, s, "bbbbbbbb", "bytes"); d.Device != "bbbbbbbb" || !there(t, s, d) {
		t.Error("another device with the same bytes has no dump of its own")
	}
	if err := s.Remove(t.Context(), "aaaaaaaa", first.Name()); err != nil {
		t.Fatal(err)
	}
	if d := upload(t, s, "aaaaaaaa", "bytes"); d.Name() == first.Name() || !there(t, s, d) {
		t.Error("after its removal the dump is not taken again")
	}
}

func TestCopiesThatComeAtOnceAreOneDump(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, newIndex(), nil)
	var wait sync.WaitGroup
	names := make([]fleet.DumpName, 16)
	for i := range names {
		wait.Go(func() { names[i] = upload(t, s, "aaaaaaaa", fmt.Sprint("dump ", i%2)).Name() })
	}
	wait.Wait()
	for i, name := range names {
		if name != names[i%2] {
			t.Errorf("copy %d is %s, the first %s", i, name, names[i%2])
		}
	}
	if len(pairs(t, dir, "aaaaaaaa")) != 2 {
		t.Errorf("%v", pairs(t, dir, "aaaaaaaa"))
	}
}

func TestADumpWhoseSidecarIsDamagedHasNoCopies(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, newIndex(), nil)
	first := upload(t, s, "aaaaaaaa", "bytes")
	if err := os.WriteFile(filepath.Join(dir, "aaaaaaaa", string(first.Name())+".json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if d := upload(t, s, "aaaaaaaa", "bytes"); d.Name() == first.Name() {
		t.Error("a damaged pair was taken for a stored one")
	}
}

func TestACopyPushesNobodyOut(t *testing.T) {
	index := newIndex()
	s := hall(t, 1000*pairBytes, new(int64), index, io.Discard)
	var all []fleet.Dump
	for i := range 100 { // as many as dumps.max_use allows
		all = append(all, upload(t, s, "aaaaaaaa", string([]byte{byte(i)})))
	}
	copied := upload(t, s, "aaaaaaaa", string([]byte{50}))
	if copied.Name() != all[50].Name() || !there(t, s, all[0]) {
		t.Errorf("%s is a copy of %s; the oldest is there: %v", copied.Name(), all[50].Name(), there(t, s, all[0]))
	}
	// Down to half of the reserve the bytes may come that turn out to be known.
	s.options.Reserve = 64 * mib
	s.options.Space = func() (int64, int64, error) { return s.options.Reserve/2 + 2*mib, 1 << 41, nil }
	if d := upload(t, s, "aaaaaaaa", string([]byte{50})); d.Name() != copied.Name() || !there(t, s, all[0]) {
		t.Error("at the reserve a copy pushed another dump out")
	}
	if _, err := s.Write(t.Context(), fleet.Dump{Device: "aaaaaaaa"}, strings.NewReader("new"), 3); err == nil {
		t.Error("below the reserve a new dump was taken, though no removal freed anything")
	}
}
