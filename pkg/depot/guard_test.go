package depot

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// tired is a disk that syncs no directory while it fails.
type tired struct {
	durable.Kernel
	failing atomic.Bool
}

func (d *tired) SyncDir(dir string) error {
	if d.failing.Load() {
		return syscall.EIO
	}
	return d.Kernel.SyncDir(dir)
}

func TestAfterAFailedSyncNoFirmwareIsStoredUntilTheDiskWorks(t *testing.T) {
	disk := &tired{}
	defer durable.Use(disk)()
	h := open(t, nil)
	h.model(t, "pump")
	zip := bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"})
	accept := func() error {
		_, err := h.hand(t, fleet.Submission{Model: "pump"}, zip)
		return err
	}
	disk.failing.Store(true)
	for range 2 {
		if err := accept(); !errors.Is(err, fleet.ErrFull) || h.Fault() == "" {
			t.Fatalf("%v; %q", err, h.Fault())
		}
	}
	if left, err := filepath.Glob(filepath.Join(h.dir, "pump", "*")); err != nil || len(left) != 0 {
		t.Errorf("what nobody was told of lies there: %v, %v", left, err)
	}
	ctx, end := context.WithCancel(t.Context())
	mended := make(chan error, 1)
	go func() { mended <- h.Mend(ctx) }()
	disk.failing.Store(false)
	for h.Fault() != "" {
		time.Sleep(10 * time.Millisecond)
	}
	end()
	if err := <-mended; err != nil {
		t.Error(err)
	}
	if err := accept(); err != nil {
		t.Error(err)
	}
}
