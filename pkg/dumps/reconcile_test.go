package dumps

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func reconcile(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestReconcileLeavesAnUploadThatIsHalfSent(t *testing.T) {
	dir, index := t.TempDir(), newIndex()
	s := openStore(t, dir, index, nil)
	r, w := io.Pipe()
	type answer struct {
		dump fleet.Dump
		err  error
	}
	answers := make(chan answer)
	go func() {
		d, err := s.Write(context.Background(), fleet.Dump{Device: "aaaaaaaa"}, r, 10)
		answers <- answer{d, err}
	}()
	if _, err := w.Write([]byte("12345")); err != nil { // returns once the store has read it
		t.Fatal(err)
	}
	reconcile(t, s)
	if _, err := w.Write([]byte("67890")); err != nil {
		t.Fatal(err)
	}
	w.Close() //nolint:errcheck // of a pipe: it never fails
	a := <-answers
	if a.err != nil {
		t.Fatalf("the upload: %v", a.err)
	}
	if index.count("aaaaaaaa") != 1 || len(pairs(t, dir, "aaaaaaaa")) != 1 {
		t.Errorf("%s is not there", a.dump.Name())
	}
}

// between calls back after each name that is given, as a rebuild that comes at the worst moment.
type between struct {
	durable.Disk
	then func()
}

func (b *between) RenameNew(from, to string) error {
	err := b.Disk.RenameNew(from, to)
	b.then()
	return err
}

func TestReconcileLeavesAPairThatIsBeingLanded(t *testing.T) {
	dir, index := t.TempDir(), newIndex()
	s := openStore(t, dir, index, nil)
	rounds := 0
	defer durable.Use(&between{durable.Kernel{}, func() {
		rounds++
		reconcile(t, s)
	}})()
	d := upload(t, s, "aaaaaaaa", "12345")
	if rounds != 2 {
		t.Errorf("%d names were given, want 2", rounds)
	}
	if left := pairs(t, dir, "aaaaaaaa"); len(left) != 1 || left[0] != string(d.Name()) || index.count("aaaaaaaa") != 1 {
		t.Errorf("left: %v", left)
	}
	if _, err := os.Stat(filepath.Join(dir, quarantine)); err == nil {
		t.Error("something went to quarantine")
	}
}

func TestReconcileMakesDiskMemoryAndIndexAgree(t *testing.T) {
	dir, index := t.TempDir(), newIndex()
	s := openStore(t, dir, index, nil)
	whole := upload(t, s, "aaaaaaaa", "whole")
	cut := upload(t, s, "aaaaaaaa", "cut short")
	lone := upload(t, s, "aaaaaaaa", "without its sidecar")
	orphan := upload(t, s, "aaaaaaaa", "without its dump")
	upload(t, s, "bbbbbbbb", "directory gone")
	other := openStore(t, t.TempDir(), newIndex(), nil)
	brought := upload(t, other, "cccccccc", "brought by hand")
	device := filepath.Join(dir, "aaaaaaaa")
	for _, err := range []error{
		os.Truncate(s.Path("aaaaaaaa", cut.Name()), 3),
		os.Remove(filepath.Join(device, string(lone.Name())+sidecarSuffix)),
		os.Remove(s.Path("aaaaaaaa", orphan.Name())),
		os.RemoveAll(filepath.Join(dir, "bbbbbbbb")),
		os.Rename(filepath.Join(other.options.Dir, "cccccccc"), filepath.Join(dir, "cccccccc")),
		os.WriteFile(filepath.Join(device, ".1.part"), []byte("an upload on its way"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	delete(index.dumps["aaaaaaaa"], whole.Name()) // the index is behind
	for range 2 {                                 // the second time nothing is left to do
		reconcile(t, s)
		if left := pairsBeside(t, dir, "aaaaaaaa", ".1.part"); len(left) != 1 || left[0] != string(whole.Name()) || index.count("aaaaaaaa") != 1 {
			t.Errorf("left: %v", left)
		}
		if index.count("bbbbbbbb") != 0 || index.count("cccccccc") != 1 {
			t.Errorf("index: %v", index.dumps)
		}
		if want := whole.Size + brought.Size + 2*sidecarRoom; s.Usage() != want {
			t.Errorf("usage %d, want %d", s.Usage(), want)
		}
		if _, err := os.Stat(filepath.Join(device, ".1.part")); err != nil {
			t.Errorf("the upload on its way: %v", err)
		}
	}
}

func TestReconcileReadsNoPairThatTheIndexHas(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, newIndex(), nil)
	d := upload(t, s, "aaaaaaaa", "12345")
	if err := os.WriteFile(s.Path("aaaaaaaa", d.Name()), []byte("54321"), 0o600); err != nil { // the background check finds it
		t.Fatal(err)
	}
	reconcile(t, s)
	if n := len(pairs(t, dir, "aaaaaaaa")); n != 1 {
		t.Errorf("%d pairs: it was hashed", n)
	}
}

// leaving removes a dump just before the index is told of it.
type leaving struct {
	*shortIndex
	remove func(fleet.Dump)
}

func (x *leaving) RecordDumps(ctx context.Context, dumps []fleet.Dump) error {
	for _, d := range dumps {
		x.remove(d)
	}
	return x.shortIndex.RecordDumps(ctx, dumps)
}

func TestReconcileDoesNotIndexADumpThatWasRemovedMeanwhile(t *testing.T) {
	index := &leaving{shortIndex: newIndex()}
	s := openStore(t, t.TempDir(), index, nil)
	d := upload(t, s, "aaaaaaaa", "12345")
	delete(index.dumps["aaaaaaaa"], d.Name())
	index.remove = func(d fleet.Dump) {
		if err := s.Remove(t.Context(), d.Device, d.Name()); err != nil {
			t.Error(err)
		}
	}
	reconcile(t, s)
	if index.count("aaaaaaaa") != 0 {
		t.Error("the index has a dump that is gone")
	}
}

func TestUploadsAndRemovalsGoOnWhileReconcileRuns(t *testing.T) {
	dir, index := t.TempDir(), newIndex()
	s := openStore(t, dir, index, func(o *Options) { o.KeepPerDevice = 5 })
	over := make(chan error)
	go func() {
		var err error
		for i := range 60 {
			body := bytes.Repeat([]byte{byte(i)}, 100)
			if _, one := s.Write(context.Background(), fleet.Dump{Device: "aaaaaaaa"}, bytes.NewReader(body), 100); one != nil {
				err = errors.Join(err, one)
			}
		}
		over <- err
	}()
	for done := false; !done; {
		select {
		case err := <-over:
			if err != nil {
				t.Error(err)
			}
			done = true
		default:
			reconcile(t, s)
		}
	}
	left := pairs(t, dir, "aaaaaaaa")
	if len(left) != 5 || index.count("aaaaaaaa") != 5 || s.Usage() != 5*(100+sidecarRoom) {
		t.Errorf("%d pairs, %d in the index: %s", len(left), index.count("aaaaaaaa"), strings.Join(left, " "))
	}
	if _, err := os.Stat(filepath.Join(dir, quarantine)); err == nil {
		t.Error("something went to quarantine")
	}
}
