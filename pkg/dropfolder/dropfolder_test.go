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

// watched starts a folder and stops it with the test.
func watched(t *testing.T, g *gate, change func(*Options)) (dir string, log *syncBuffer) {
	t.Helper()
	log = &syncBuffer{}
	o := Options{
		Dir: filepath.Join(t.TempDir(), "drop"), Accept: g.accept, KeepDone: time.Hour, StalledAfter: 2 * time.Second,
		Complete: func(r io.ReaderAt, size int64) (bool, error) {
			b, err := io.ReadAll(io.NewSectionReader(r, 0, size))
			return strings.HasSuffix(string(b), whole), err
		},
		Logger: slog.New(slog.NewTextHandler(log, nil)), Beat: func() {}, Observe: func(time.Duration, error) {},
	}
	if change != nil {
		change(&o)
	}
	f, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return o.Dir, log
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

// within waits until what holds, and fails when it does not in time.
func within(t *testing.T, d time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", d, what)
		}
	}
}

func exists(parts ...string) func() bool {
	return func() bool {
		_, err := os.Stat(filepath.Join(parts...))
		return err == nil
	}
}

func TestABundleThatIsRenamedInIsTakenWithinASecond(t *testing.T) {
	var g gate
	dir, _ := watched(t, &g, nil)
	drop(t, dir, "demo.zip", "demo"+whole)
	within(t, time.Second, "accepted", exists(dir, "accepted", "demo.zip"))
}

func TestABundleThatIsCopiedInSlowlyIsTakenOnlyWhenItIsWhole(t *testing.T) {
	var g gate
	dir, _ := watched(t, &g, nil)
	f, err := os.Create(filepath.Join(dir, "demo.zip"))
	if err != nil {
		t.Fatal(err)
	}
	for range 30 { // three seconds, longer than StalledAfter: growth counts
		if _, err := f.WriteString("more "); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		if g.taken() > 0 {
			t.Fatal("taken while it grew")
		}
	}
	if _, err := f.WriteString(whole); err != nil {
		t.Fatal(err)
	}
	f.Close()
	within(t, time.Second, "accepted", exists(dir, "accepted", "demo.zip"))
}

func TestABundleThatIsNeverCompletedIsRejectedAsIncomplete(t *testing.T) {
	var g gate
	dir, _ := watched(t, &g, nil)
	drop(t, dir, "half.zip", "half")
	drop(t, dir, "empty.zip", "")
	within(t, 5*time.Second, "rejected", exists(dir, "rejected", "half.zip.reason.txt"))
	within(t, time.Second, "rejected", exists(dir, "rejected", "empty.zip.reason.txt"))
	reason, err := os.ReadFile(filepath.Join(dir, "rejected", "half.zip.reason.txt"))
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
	within(t, time.Second, "accepted", exists(dir, "accepted", "good.zip"))
	if g.taken() != 1 {
		t.Errorf("%d taken", g.taken())
	}
	if !strings.Contains(log.String(), "link.zip") {
		t.Errorf("nothing of the link in the journal: %s", log)
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
	dir, log := watched(t, &g, nil)
	drop(t, dir, "refused.zip", "refused"+whole)
	drop(t, dir, "taken.zip", "taken"+whole)
	drop(t, dir, "full.zip", "full"+whole)
	within(t, 2*time.Second, "rejected", exists(dir, "rejected", "refused.zip.reason.txt"))
	within(t, 2*time.Second, "rejected", exists(dir, "rejected", "taken.zip.reason.txt"))
	within(t, 8*time.Second, "a second try", func() bool { return strings.Count(log.String(), "file=full.zip") == 2 })
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
	within(t, time.Second, "accepted", exists(dir, "accepted", "early.zip"))
}

func TestATakenNameGetsANumberBeforeItsExtension(t *testing.T) {
	var g gate
	dir, _ := watched(t, &g, nil)
	for i := range 3 {
		drop(t, dir, "demo.zip", fmt.Sprint(i, whole))
		within(t, time.Second, "taken", func() bool { return g.taken() == i+1 && !exists(dir, "demo.zip")() })
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
	within(t, 30*time.Second, "all taken", func() bool {
		done, err := os.ReadDir(filepath.Join(dir, "accepted"))
		return err == nil && len(done) == 1000
	})
}

func TestDoneFilesGoWhenTheyAreOld(t *testing.T) {
	f, err := Open(Options{Dir: t.TempDir(), KeepDone: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(f.Dir, acceptedDir, "old.zip")
	if err := os.WriteFile(old, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.sweep()
	if _, err := os.Stat(old); err != nil {
		t.Error("a young file went")
	}
	time.Sleep(60 * time.Millisecond)
	f.sweep()
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Error("an old file stayed")
	}
}
