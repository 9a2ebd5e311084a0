package systemd

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestALogThatNobodyReadsHoldsUpNobodyAndSaysLaterWhatWasLost(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	q := NewQueue()
	log := slog.New(slog.NewTextHandler(q.Writer(w), nil))
	q.SayLost(func(lost uint64) { log.Warn("lost", "lines", lost) })
	const most = 3 * mostLines
	for i := range most { // returns though nobody reads
		log.Info("line", "number", i)
	}
	dropped := q.Dropped()
	if dropped < most-mostLines-2000 || dropped > most-mostLines { // the pipe takes a thousand lines or so
		t.Fatalf("%d of %d lines dropped", dropped, most)
	}
	if q.Close(time.Millisecond) {
		t.Fatal("all is said to be written, and nobody has read")
	}

	q.mu.Lock()
	q.closed = false // as if the stop had not come
	q.mu.Unlock()
	lines := bufio.NewScanner(r)
	var numbers int
	for lines.Scan() {
		if _, number, ok := strings.Cut(lines.Text(), "number="); ok {
			if number != strconv.Itoa(numbers) {
				t.Fatalf("line %d is %q", numbers, lines.Text())
			}
			numbers++
			continue
		}
		if want := fmt.Sprintf("level=WARN msg=lost lines=%d", dropped); !strings.HasSuffix(lines.Text(), want) {
			t.Fatalf("%q, want %q", lines.Text(), want)
		}
		break
	}
	if numbers+int(dropped) != most {
		t.Errorf("%d lines read and %d lost of %d", numbers, dropped, most)
	}
	log.Info("line after")
	if !q.Close(time.Minute) {
		t.Error("not all written to a reader who reads")
	}
	if !lines.Scan() || !strings.Contains(lines.Text(), "line after") {
		t.Errorf("the last line is %q", lines.Text())
	}
}

func TestHugeLinesFillTheQueueByTheirBytes(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	q := NewQueue()
	for range 10 {
		if n, err := q.Writer(w).Write(make([]byte, 1<<20)); n != 1<<20 || err != nil {
			t.Fatal(n, err)
		}
	}
	if n := q.Dropped(); n != 6 {
		t.Errorf("%d dropped, want those beyond %d bytes", n, mostLineBytes)
	}
}

func TestAStuckJournalHoldsUpNobody(t *testing.T) {
	path, _ := datagrams(t) // the kernel takes some datagrams that nobody reads, then the sender waits
	flood := filepath.Join(t.TempDir(), "flood")
	build := exec.Command("go", "build", "-ldflags", "-X github.com/coreos/go-systemd/v22/journal.journalSocket="+path, "-o", flood, "./testdata/flood")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), flood).CombinedOutput()
	if err != nil || string(out) != "some dropped: true all written: false\n" {
		t.Errorf("%v: %s", err, out)
	}
}
