package gateway

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ballastBytes are enough to open the catalog on a disk that is full otherwise, and for what it writes behind its own back
// when a disk fills at once.
const ballastBytes = 64 << 20

// ballast is room that no other process takes, as a file holds it: what a ship throws overboard. A start on a full disk gives
// it up and serves; the catalog is given half of it when it has begun to write and finds that somebody has taken the
// disk. It is made again when twice as much is free.
type ballast struct {
	path   string
	space  func() (free, total int64, err error)
	logger *slog.Logger

	mu      sync.Mutex // guards the file, and failing
	failing failing
}

func newBallast(stateDir string, logger *slog.Logger) *ballast {
	return &ballast{path: filepath.Join(stateDir, "ballast"), space: SpaceOf(stateDir), logger: logger, failing: failing{}}
}

// lighten leaves no more than so many bytes of it.
func (b *ballast) lighten(left int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	info, err := os.Stat(b.path)
	if err != nil || info.Size() <= left && left > 0 {
		return
	}
	if left == 0 {
		err = os.Remove(b.path) // its inode may be what is missing
	} else {
		err = os.Truncate(b.path, left)
	}
	if b.failing.began("give up", err) { // which is asked for each millisecond
		b.logger.Error("ballast not given up", "file", b.path, "error", err)
	}
	if err != nil {
		return
	}
	b.logger.Warn("disk full, ballast given up", "file", b.path, "bytes", info.Size()-left, "left", left)
}

// short gives up what a catalog needs that has begun to write; the rest is for the next start.
func (b *ballast) short() { b.lighten(ballastBytes / 2) }

// forStart gives all of it up where a start needs it.
func (b *ballast) forStart() {
	if free, _, err := b.space(); err == nil && free < Reserve {
		b.lighten(0)
	}
}

// keep makes it unless it is there, when twice as much is free.
func (b *ballast) keep() error {
	free, _, err := b.space()
	if err != nil || free < 2*ballastBytes {
		return nil //nolint:nilerr // no room, or none that anybody knows of: whoever stores something says so
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f, err := os.OpenFile(b.path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() >= ballastBytes {
		return err
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, ballastBytes)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return os.Remove(b.path) // a file system that promises no blocks
	}
	if err == nil {
		b.logger.Info("ballast made", "file", b.path, "bytes", ballastBytes)
	}
	return err
}

// run makes it again when there is room.
func (b *ballast) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		b.note(b.keep())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (b *ballast) note(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failing.began("make", err) {
		b.logger.Warn("no ballast made", "file", b.path, "error", err)
	}
}
