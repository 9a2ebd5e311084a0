package dropfolder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// whole is how the tests' bundles end; what is a bundle is not this package's matter.
const whole = "END"

// gate records what is handed over and answers as the test says.
type gate struct {
	mu     sync.Mutex
	bodies []string
	answer func(body string) error
}

func (g *gate) accept(_ context.Context, body io.Reader, size int64) (string, error) {
	b, err := io.ReadAll(body)
	if err != nil || int64(len(b)) != size {
		return "", fmt.Errorf("%d bytes of %d: %w", len(b), size, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bodies = append(g.bodies, string(b))
	if g.answer == nil {
		return "demo 1.0.0", nil
	}
	return "", g.answer(string(b))
}

func (g *gate) taken() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.bodies)
}

// folder is one that nobody watches yet.
func folder(t *testing.T, g *gate, change func(*Options)) (f *Folder, log *syncBuffer) {
	t.Helper()
	log = &syncBuffer{}
	o := Options{
		Dir: filepath.Join(t.TempDir(), "drop"), Accept: g.accept, KeepDone: time.Hour, StalledAfter: 2 * time.Second,
		Complete: func(r io.ReaderAt, size int64) (bool, error) {
			b, err := io.ReadAll(io.NewSectionReader(r, 0, size))
			return strings.HasSuffix(string(b), whole), err
		},
		Logger: slog.New(slog.NewTextHandler(log, nil)), Beat: func() {}, Observe: func(time.Duration, error) {},
		Rejected: func(context.Context, string, string) {},
	}
	if change != nil {
		change(&o)
	}
	f, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return f, log
}

// watched starts a folder and stops it with the test. It scans at the start only, so that what is found later was found by
// an event.
func watched(t *testing.T, g *gate, change func(*Options)) (dir string, log *syncBuffer) {
	t.Helper()
	f, log := folder(t, g, change)
	f.scanEvery = time.Hour
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f.options.Dir, log
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func drop(t *testing.T, dir, name, body string) {
	t.Helper()
	hidden := filepath.Join(dir, "."+name)
	if err := os.WriteFile(hidden, []byte(body), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(hidden, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// patience only bounds a hang: the slowest machine is far below it.
const patience = 2 * time.Minute

// eventually waits until what holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func exists(parts ...string) func() bool {
	return func() bool {
		_, err := os.Stat(filepath.Join(parts...))
		return err == nil
	}
}

func TestABundleThatIsRenamedInIsTakenWithoutAScan(t *testing.T) {
	var g gate
	dir, _ := watched(t, &g, nil)
	drop(t, dir, "demo.zip", "demo"+whole)
	eventually(t, "accepted", exists(dir, "accepted", "demo.zip"))
}

func TestABundleThatIsCopiedInSlowlyIsTakenOnlyWhenItIsWhole(t *testing.T) {
	var g gate
	f, _ := folder(t, &g, nil)
	now := time.Now()
	f.now = func() time.Time { return now }
	file, err := os.Create(filepath.Join(f.options.Dir, "demo.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for range 30 { // together far longer than StalledAfter: growth counts
		if _, err := file.WriteString("more "); err != nil {
			t.Fatal(err)
		}
		now = now.Add(f.options.StalledAfter - time.Millisecond)
		f.scan(t.Context())
		if g.taken() > 0 || exists(f.options.Dir, "rejected", "demo.zip")() {
			t.Fatal("taken or rejected while it grew")
		}
	}
	if _, err := file.WriteString(whole); err != nil {
		t.Fatal(err)
	}
	f.scan(t.Context())
	if !exists(f.options.Dir, "accepted", "demo.zip")() {
		t.Error("not accepted when it was whole")
	}
}

func TestABundleThatIsNeverCompletedIsRejectedAsIncomplete(t *testing.T) {
	var g gate
	f, _ := folder(t, &g, nil)
	now := time.Now()
	f.now = func() time.Time { return now }
	drop(t, f.options.Dir, "half.zip", "half")
	drop(t, f.options.Dir, "empty.zip", "")
	f.scan(t.Context())
	now = now.Add(f.options.StalledAfter - time.Millisecond)
	f.scan(t.Context())
	if !exists(f.options.Dir, "half.zip")() || !exists(f.options.Dir, "empty.zip")() {
		t.Error("rejected before its time")
	}
	now = now.Add(time.Millisecond)
	f.scan(t.Context())
	if !exists(f.options.Dir, "rejected", "empty.zip.reason.txt")() {
		t.Error("the empty one is not rejected")
	}
	reason, err := os.ReadFile(filepath.Join(f.options.Dir, "rejected", "half.zip.reason.txt"))
	if err != nil || !strings.Contains(string(reason), "incomplete") || g.taken() != 0 {
		t.Errorf("%s, %v, %d taken", reason, err, g.taken())
	}
}

func TestWhatIsNoBundleYetIsLeftAlone(t *testing.T) {
	var g gate
	dir, log := watched(t, &g, nil)
	for _, name := range []string{".hidden.zip", "a.part", "b.tmp", "c.filepart", "d.CRDOWNLOAD"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(whole), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(dir, "link.zip")); err != nil {
		t.Fatal(err)
	}
	drop(t, dir, "good.zip", whole)
	eventually(t, "accepted", exists(dir, "accepted", "good.zip"))
	// The scan that took good.zip comes to the link after it.
	eventually(t, "told in the journal that the link is none", func() bool { return strings.Contains(log.String(), "link.zip") })
	if g.taken() != 1 {
		t.Errorf("%d taken", g.taken())
	}
}

func TestARejectedBundleLiesBesideItsReasonAndAnErrorIsTriedAgain(t *testing.T) {
	g := gate{answer: func(body string) error {
		switch {
		case strings.HasPrefix(body, "refused"):
			return fleet.Refused("sdkconfig is missing")
		case strings.HasPrefix(body, "taken"):
			return fleet.Taken("version 1.0.0 has other bytes")
		}
		return fleet.Full("no room")
	}}
	f, log := folder(t, &g, nil)
	now, dir := time.Now(), f.options.Dir
	f.now = func() time.Time { return now }
	drop(t, dir, "refused.zip", "refused"+whole)
	drop(t, dir, "taken.zip", "taken"+whole)
	drop(t, dir, "full.zip", "full"+whole)
	f.scan(t.Context())
	if !exists(dir, "rejected", "taken.zip.reason.txt")() {
		t.Error("no reason for taken.zip")
	}
	for tries, later := range []time.Duration{firstRetry - time.Millisecond, time.Millisecond, 2*firstRetry - time.Millisecond, time.Millisecond} {
		now = now.Add(later)
		f.scan(t.Context())
		if got, want := strings.Count(log.String(), "file=full.zip"), 1+(tries+1)/2; got != want {
			t.Errorf("tried %d times at %s, want %d", got, now, want)
		}
	}
	if !exists(dir, "full.zip")() {
		t.Error("a bundle without room did not stay")
	}
	reason, err := os.ReadFile(filepath.Join(dir, "rejected", "refused.zip.reason.txt"))
	if err != nil || !strings.Contains(string(reason), "sdkconfig is missing") {
		t.Errorf("%s, %v", reason, err)
	}
}

func TestWhatWasDroppedBeforeTheStartIsTaken(t *testing.T) {
	var g gate
	dir, _ := watched(t, &g, func(o *Options) {
		if err := os.MkdirAll(o.Dir, 0o770); err != nil {
			t.Fatal(err)
		}
		drop(t, o.Dir, "early.zip", whole)
	})
	eventually(t, "accepted", exists(dir, "accepted", "early.zip"))
}

func TestATakenNameGetsANumberBeforeItsExtension(t *testing.T) {
	var g gate
	dir, _ := watched(t, &g, nil)
	for i := range 3 {
		drop(t, dir, "demo.zip", fmt.Sprint(i, whole))
		eventually(t, "taken", func() bool { return g.taken() == i+1 && !exists(dir, "demo.zip")() })
	}
	for _, name := range []string{"demo.zip", "demo-2.zip", "demo-3.zip"} {
		if !exists(dir, "accepted", name)() {
			t.Error("missing:", name)
		}
	}
}

func TestAThousandFilesAtOnceAreAllHandled(t *testing.T) {
	var g gate
	dir, _ := watched(t, &g, nil)
	for i := range 1000 {
		drop(t, dir, fmt.Sprintf("%04d.zip", i), whole)
	}
	eventually(t, "all taken", func() bool {
		done, err := os.ReadDir(filepath.Join(dir, "accepted"))
		return err == nil && len(done) == 1000
	})
}

func TestDoneFilesGoWhenTheyAreOld(t *testing.T) {
	f, err := Open(Options{Dir: t.TempDir(), KeepDone: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(f.options.Dir, acceptedDir, "old.zip")
	if err := os.WriteFile(old, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.sweep()
	if _, err := os.Stat(old); err != nil {
		t.Error("a young file went")
	}
	f.now = func() time.Time { return time.Now().Add(f.options.KeepDone) }
	f.sweep()
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Error("an old file stayed")
	}
}
