package gateway

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// taken is a file with all blocks that a disk has left; it is removed by the caller.
func taken(t *testing.T, disk string) string {
	t.Helper()
	f, err := os.Create(filepath.Join(disk, "taken"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size, piece := int64(0), int64(1<<30); piece >= 4096; {
		if err := unix.Fallocate(int(f.Fd()), 0, size, piece); err != nil {
			piece /= 2
		} else {
			size += piece
		}
	}
	return f.Name()
}

func TestTheBallastIsGivenUpInHalvesAndMadeAgainWhenTwiceAsMuchIsFree(t *testing.T) {
	disk := smallDisk(t, "size=256m")
	var log strings.Builder
	b := newBallast(disk, slog.New(slog.NewTextHandler(&log, nil)))
	holds := func(want int64) {
		t.Helper()
		var stat unix.Stat_t
		if err := unix.Stat(b.path, &stat); err != nil && want > 0 || err == nil && (stat.Size != want || stat.Blocks*512 != want) {
			t.Errorf("the ballast has %d bytes and %d of them on the disk, want %d (%v)", stat.Size, stat.Blocks*512, want, err)
		}
	}
	keep := func() {
		t.Helper()
		if err := b.keep(); err != nil {
			t.Error(err)
		}
	}
	keep()
	holds(ballastBytes)
	b.forStart()
	holds(ballastBytes) // there is room
	others := taken(t, disk)
	b.short()
	holds(ballastBytes / 2)
	b.short()
	holds(ballastBytes / 2)
	keep()
	holds(ballastBytes / 2) // half of it is free, and not twice as much
	more := filepath.Join(disk, "more")
	if err := os.WriteFile(more, make([]byte, 32<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	b.forStart()
	holds(0)
	keep()
	holds(0)
	if err := os.Remove(others); err != nil {
		t.Fatal(err)
	}
	keep()
	holds(ballastBytes)
	if n := strings.Count(log.String(), "\n"); n != 4 {
		t.Errorf("made, given up twice and made again is said in %d lines:\n%s", n, &log)
	}
}

func TestAStartOnAFullDiskGivesUpTheBallastAndServes(t *testing.T) {
	disk := smallDisk(t, "size=256m")
	cfg := settings(t, "state_dir="+filepath.Join(disk, "state"))
	path := filepath.Join(cfg.StateDir, "ballast")
	eventually := func(what string, so func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !so(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("not %s within a minute", what)
			}
		}
	}
	whole := func() bool {
		info, err := os.Stat(path)
		return err == nil && info.Size() == ballastBytes
	}
	t.Run("a gateway that has room", func(t *testing.T) {
		start(t, cfg)
		eventually("made", whole)
	})
	others := taken(t, disk)
	t.Run("the start after it was taken", func(t *testing.T) {
		_, address := start(t, cfg)
		if whole() {
			t.Error("the ballast is there on a full disk")
		}
		if status, body := get(t, address+"/metrics"); status != http.StatusOK {
			t.Errorf("%d %s", status, body)
		}
		if err := os.Remove(others); err != nil {
			t.Fatal(err)
		}
		eventually("made again", whole)
	})
}
