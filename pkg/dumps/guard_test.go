package dumps

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// tired is a disk that syncs nothing while it fails, and counts how often it was asked to.
type tired struct {
	durable.Kernel
	failing atomic.Bool
	files   atomic.Bool // of files, too, and not only of directories
	asked   atomic.Int64
}

func (d *tired) Sync(f *os.File) error {
	d.asked.Add(1)
	if d.failing.Load() && d.files.Load() {
		return syscall.EIO
	}
	return d.Kernel.Sync(f)
}

func (d *tired) SyncDir(dir string) error {
	d.asked.Add(1)
	if d.failing.Load() {
		return syscall.EIO
	}
	return d.Kernel.SyncDir(dir)
}

func TestAfterAFailedSyncNoDumpIsStoredUntilTheDiskWorks(t *testing.T) {
	for what, files := range map[string]bool{"a file": true, "a directory": false} {
		t.Run(what, func(t *testing.T) {
			disk := &tired{}
			defer durable.Use(disk)()
			dir := t.TempDir()
			s := openStore(t, dir, newIndex(), nil)
			kept := upload(t, s, "aaaaaaaa", "kept")
			disk.failing.Store(true)
			disk.files.Store(files)
			for n := range 3 {
				before := disk.asked.Load()
				_, err := s.Write(t.Context(), fleet.Dump{Device: "aaaaaaaa", Model: "pump"}, strings.NewReader("lost"), 4)
				if !errors.Is(err, fleet.ErrFull) || s.Fault() == "" {
					t.Fatalf("%v; %q", err, s.Fault())
				}
				if n > 0 && disk.asked.Load() != before {
					t.Error("the disk was asked to sync again")
				}
			}
			if left, err := filepath.Glob(filepath.Join(dir, "aaaaaaaa", "*")); err != nil || len(left) != 2 {
				t.Errorf("what nobody was told of lies there: %v, %v", left, err)
			}
			if f, err := s.OpenDump("aaaaaaaa", kept.Name()); err != nil {
				t.Error(err)
			} else {
				f.Close()
			}
			ctx, end := context.WithCancel(t.Context())
			mended := make(chan error, 1)
			go func() { mended <- s.Mend(ctx) }()
			disk.failing.Store(false)
			for s.Fault() != "" {
				time.Sleep(10 * time.Millisecond)
			}
			end()
			if err := <-mended; err != nil {
				t.Error(err)
			}
			upload(t, s, "aaaaaaaa", "lost")
		})
	}
}

// fullIndex is one that takes nothing while it is full.
type fullIndex struct {
	*shortIndex
	full bool
}

func (x *fullIndex) RecordDumps(ctx context.Context, dumps []fleet.Dump) error {
	if x.full {
		return fleet.Full("no room")
	}
	return x.shortIndex.RecordDumps(ctx, dumps)
}

func (x *fullIndex) RemoveDump(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName) error {
	if x.full {
		return fleet.Full("no room")
	}
	return x.shortIndex.RemoveDump(ctx, key, name)
}

func TestAStartWhoseIndexHasNoRoomServesAndTellsItLater(t *testing.T) {
	root := t.TempDir()
	before := openStore(t, root, newIndex(), nil)
	lies := upload(t, before, "aaaaaaaa", "bytes")
	x := &fullIndex{shortIndex: newIndex(), full: true}
	for _, key := range []fleet.DeviceKey{"aaaaaaaa", "bbbbbbbb"} { // a pair that is gone, and a directory that is
		gone := lies
		gone.Device, gone.UploadedAt = key, lies.UploadedAt.Add(-time.Hour)
		x.RecordDumpLater(gone)
	}
	var journal bytes.Buffer
	s := openStore(t, root, x, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&journal, nil)) })
	f, err := s.OpenDump("aaaaaaaa", lies.Name())
	if err != nil {
		t.Fatalf("what lies there: %v", err)
	}
	f.Close()
	if said := journal.String(); strings.Count(said, "disk is full") != 1 || !strings.Contains(said, "devices=2") {
		t.Errorf("the journal: %s", said)
	}
	x.full = false
	if err := s.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(x.dumps["aaaaaaaa"]) != 1 || x.dumps["aaaaaaaa"][lies.Name()].Size != 5 || len(x.dumps["bbbbbbbb"]) != 0 {
		t.Errorf("with room again: %v", x.dumps)
	}
}
