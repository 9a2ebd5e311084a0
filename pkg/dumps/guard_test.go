package dumps

import (
	"context"
	"errors"
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
