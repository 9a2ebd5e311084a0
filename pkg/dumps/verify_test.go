package dumps

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// damage changes a dump's bytes and leaves its size.
func damage(t *testing.T, s *Store, d fleet.Dump) {
	t.Helper()
	if err := os.WriteFile(s.Path(d.Device, d.Name()), bytes.Repeat([]byte("?"), int(d.Size)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// unreadable puts a folder in a dump's place: it is opened, and each read of it fails. restore puts the dump back.
func unreadable(t *testing.T, s *Store, d fleet.Dump) (restore func()) {
	t.Helper()
	path := s.Path(d.Device, d.Name())
	aside := filepath.Join(t.TempDir(), "aside")
	if err := errors.Join(os.Rename(path, aside), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(os.Remove(path), os.Rename(aside, path)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheCheckInTheBackgroundGoesOnWhenTheIndexHasNoRoom(t *testing.T) {
	x := &fullIndex{shortIndex: newIndex()}
	dir := t.TempDir()
	s := openStore(t, dir, x, nil)
	for _, key := range []fleet.DeviceKey{"aaaaaaaa", "bbbbbbbb"} {
		damage(t, s, upload(t, s, key, "bytes of "+string(key)))
	}
	x.full = true
	if err := s.Verify(t.Context()); !errors.Is(err, fleet.ErrFull) {
		t.Errorf("%v", err)
	}
	if moved, err := filepath.Glob(filepath.Join(dir, quarantine, "*", "*.dmp")); err != nil || len(moved) != 2 {
		t.Errorf("in quarantine: %v, %v", moved, err)
	}
	x.full = false
	if err := s.Reconcile(t.Context()); err != nil || x.count("aaaaaaaa")+x.count("bbbbbbbb") != 0 {
		t.Errorf("the index has %d and %d, %v", x.count("aaaaaaaa"), x.count("bbbbbbbb"), err)
	}
}

func TestADumpThatCannotBeReadIsTroubleAndStaysUntilItCan(t *testing.T) {
	dir := t.TempDir()
	x := newIndex()
	var journal bytes.Buffer
	logged := func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&journal, nil)) }
	s := openStore(t, dir, x, logged)
	kept := upload(t, s, "aaaaaaaa", "kept")
	other := upload(t, s, "bbbbbbbb", "other")
	restore := unreadable(t, s, kept)
	damage(t, s, other)
	stays := func(when string) {
		t.Helper()
		if !strings.Contains(s.Trouble(), "1 dumps cannot be read") {
			t.Errorf("%s: trouble %q", when, s.Trouble())
		}
		if x.count("aaaaaaaa") != 1 || len(pairs(t, dir, "aaaaaaaa")) != 1 {
			t.Errorf("%s: it was removed: the index has %d, the disk %v", when, x.count("aaaaaaaa"), pairs(t, dir, "aaaaaaaa"))
		}
	}
	for range 2 {
		if err := s.Verify(t.Context()); err != nil {
			t.Fatal(err)
		}
		stays("verified")
	}
	if x.count("bbbbbbbb") != 0 {
		t.Error("the damaged one behind it was not looked at")
	}
	if n := strings.Count(journal.String(), "cannot be read"); n != 1 {
		t.Errorf("said %d times: %s", n, &journal)
	}
	s = openStore(t, dir, x, logged)
	stays("at a start")
	if err := s.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	stays("reconciled")
	restore()
	if err := s.Verify(t.Context()); err != nil || s.Trouble() != "" {
		t.Errorf("once it can be read: %v, %q", err, s.Trouble())
	}
}

// A pair that cannot be moved is still there, and must not be lost from memory.
func TestADamagedDumpThatCannotBeMovedIsLookedAtAgain(t *testing.T) {
	dir := t.TempDir()
	x := newIndex()
	s := openStore(t, dir, x, nil)
	d := upload(t, s, "aaaaaaaa", "bytes")
	damage(t, s, d)
	inTheWay := filepath.Join(dir, quarantine)
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(t.Context()); err == nil || x.count("aaaaaaaa") != 1 || s.Usage() == 0 {
		t.Errorf("%v; the index has %d, %d bytes are used", err, x.count("aaaaaaaa"), s.Usage())
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(t.Context()); err != nil || x.count("aaaaaaaa") != 0 || s.Usage() != 0 {
		t.Errorf("%v; the index has %d, %d bytes are used", err, x.count("aaaaaaaa"), s.Usage())
	}
}

func TestADumpThatCannotBeRemovedStays(t *testing.T) {
	s := openStore(t, t.TempDir(), newIndex(), nil)
	d := upload(t, s, "aaaaaaaa", "bytes")
	gone := goneName(s.dir(d.Device), d.Name())
	if err := os.MkdirAll(filepath.Join(gone, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(context.Background(), d.Device, d.Name()); err == nil || s.Usage() == 0 {
		t.Errorf("%v; %d bytes are used", err, s.Usage())
	}
	if err := os.RemoveAll(gone); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(context.Background(), d.Device, d.Name()); err != nil {
		t.Error(err)
	}
}
