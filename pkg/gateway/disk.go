package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// SpaceOf says what is free and what there is on a folder's file system, in bytes. One that is read-only is ErrFull: no
// store begins to write there. Where inodes run out before the bytes do, each that is free counts as a MiB, so that they
// meet the same reserve and rotation makes room for them, too.
func SpaceOf(dir string) func() (free, total int64, err error) {
	return func() (int64, int64, error) {
		stat, err := statFS(dir)
		if err != nil {
			return 0, 0, err
		}
		if stat.Flags&unix.ST_RDONLY != 0 {
			return 0, 0, fleet.Full("the disk is read-only: nothing is stored in %s", dir)
		}
		return min(freeBytes(stat), freeInodes(stat)<<20), int64(stat.Blocks) * blockSize(stat), nil
	}
}

func statFS(dir string) (stat unix.Statfs_t, err error) {
	if err := unix.Statfs(dir, &stat); err != nil {
		return stat, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return stat, nil
}

func blockSize(stat unix.Statfs_t) int64 { return int64(stat.Bsize) } //nolint:unconvert // 32 bits wide on ARM

// freeBytes counts the blocks that a file system keeps for root when that is who asks: a ballast that is given up may
// become such blocks first.
func freeBytes(stat unix.Statfs_t) int64 {
	if os.Geteuid() == 0 {
		return int64(stat.Bfree) * blockSize(stat)
	}
	return int64(stat.Bavail) * blockSize(stat)
}

// freeInodes is as many as there are bytes for where the file system counts none, as Btrfs does.
func freeInodes(stat unix.Statfs_t) int64 {
	if stat.Files == 0 {
		return freeBytes(stat)>>20 + 1
	}
	return int64(min(stat.Ffree, 1<<30))
}

// storage watches the disks that the stores write to, and the stores.
type storage struct {
	dirs   []string
	faults []func() string             // a store that writes nothing more after a failed sync says so, else ""
	again  func(context.Context) error // does what could not be done while nothing was stored
	debt   *debt
	logger *slog.Logger
}

// trouble says what takes nothing, and why.
func (s *storage) trouble() []string {
	said := s.diskTrouble()
	for _, fault := range s.faults {
		if t := fault(); t != "" {
			said = append(said, t)
		}
	}
	return said
}

// diskTrouble says which disks take nothing, and why. Folders of one file system are one line.
func (s *storage) diskTrouble() []string {
	var said []string
	seen := map[unix.Fsid]bool{}
	for _, dir := range s.dirs {
		stat, err := statFS(dir)
		switch {
		case err != nil:
			said = append(said, err.Error())
			continue
		case seen[stat.Fsid]:
			continue
		}
		seen[stat.Fsid] = true
		switch {
		case stat.Flags&unix.ST_RDONLY != 0:
			said = append(said, dir+" is read-only: nothing new is stored")
		case freeBytes(stat) < Reserve:
			said = append(said, fmt.Sprintf("less than %d MiB is free in %s: nothing new is stored", Reserve>>20, dir))
		case freeInodes(stat) < Reserve>>20:
			said = append(said, fmt.Sprintf("fewer than %d inodes are free in %s: nothing new is stored until files are removed", Reserve>>20, dir))
		}
	}
	return said
}

const (
	settled    = 5 * time.Second  // without trouble: a disk that is all but full has room for a moment again and again
	leastPause = 30 * time.Second // between two times that everything on the disk is compared with the index
	mostPause  = 10 * time.Minute
)

// run says in the log when something is not stored any more, and when everything is again: once each, however many
// requests are refused in between. What the index is behind by it catches up on when there is room, until that has worked.
func (s *storage) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	seen := map[string]time.Time{} // when each reason was there last
	var paid time.Time
	pause := leastPause
	failing := failing{}
	for {
		now := time.Now()
		if s.look(now, seen) {
			s.debt.owed.Store(true)
			pause = leastPause
		}
		if len(seen) == 0 && now.Sub(paid) >= pause && s.debt.owed.Swap(false) {
			err := s.debt.of(s.again(ctx))
			if failing.began("again", err) && ctx.Err() == nil && !fleet.Told(err) {
				s.logger.Error("files and records not made to agree", "error", err)
			}
			paid = time.Now()
			if pause = min(2*pause, mostPause); err == nil {
				pause = leastPause
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look notes the reasons that there are now, and reports that all of them have gone for good.
func (s *storage) look(now time.Time, seen map[string]time.Time) (over bool) {
	for _, reason := range s.trouble() {
		if _, told := seen[reason]; !told {
			s.logger.Error("nothing is stored", "reason", reason)
		}
		seen[reason] = now
	}
	if len(seen) == 0 {
		return false
	}
	maps.DeleteFunc(seen, func(_ string, last time.Time) bool { return now.Sub(last) >= settled })
	if len(seen) == 0 {
		s.logger.Info("everything is stored again")
	}
	return len(seen) == 0
}

// signing rotates the signing keys where there is room for more than the key.
type signing struct {
	*auth.Keys
	dir string
}

func (s signing) Rotate() error {
	free, _, err := SpaceOf(s.dir)()
	if err == nil && free < Reserve {
		err = fleet.Full("no room for a key: less than %d MiB is free in %s", Reserve>>20, filepath.Clean(s.dir))
	}
	if err != nil {
		return err
	}
	return s.Keys.Rotate()
}
