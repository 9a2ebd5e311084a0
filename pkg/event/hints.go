package event

import (
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Everything stands for all nouns, where it is not known what has changed.
const Everything = "everything"

// betweenHints is the time between two hints: a storm of dumps wakes those who look twice a second. A dump hints when it comes and
// once it is read: with a second between them, and one until the page asks again, it would be shown too late.
const betweenHints = 500 * time.Millisecond

// Hints say of which nouns something has changed, to pages that are open: a further dump of a known crash is no event, and
// what is shown of it is another count. A hint is not stored and follows from nothing; it names no object and no person.
type Hints struct {
	feed Feed
	run  string // of this process: marks of another one have missed everything

	mu       sync.Mutex        // guards what follows
	revision uint64            // counts the changes
	changed  map[string]uint64 // by noun: the revision of its newest change
	hinted   time.Time
	due      *time.Timer // of the next hint, nil where none is due
}

// NewHints has told nobody anything.
func NewHints() *Hints { return &Hints{run: rand.Text()[:8], changed: map[string]uint64{}} }

// Changed hints at nouns: at once, or half a second after the hint before.
func (h *Hints) Changed(nouns ...string) {
	if len(nouns) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.revision++
	for _, noun := range nouns {
		h.changed[noun] = h.revision
	}
	if h.due == nil {
		h.due = time.AfterFunc(max(0, betweenHints-time.Since(h.hinted)), h.hint)
	}
}

func (h *Hints) hint() {
	h.mu.Lock()
	h.due, h.hinted = nil, time.Now()
	h.mu.Unlock()
	h.feed.Wake()
}

// Mark is where somebody is who has seen all that has changed until now.
func (h *Hints) Mark() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mark()
}

func (h *Hints) mark() string { return h.run + "-" + strconv.FormatUint(h.revision, 10) }

// Since are the nouns of which something has changed since a mark, and the mark of now. Of a mark that this process has
// not made that is [Everything].
func (h *Hints) Since(mark string) (nouns []string, now string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	run, number, _ := strings.Cut(mark, "-")
	seen, err := strconv.ParseUint(number, 10, 64)
	if err != nil || run != h.run || seen > h.revision {
		return []string{Everything}, h.mark()
	}
	for noun, revision := range h.changed {
		if revision > seen {
			nouns = append(nouns, noun)
		}
	}
	slices.Sort(nouns)
	return nouns, h.mark()
}

// Watch returns what is sent to once something has changed, at most twice a second, and closed at the end. stop gives it
// back.
func (h *Hints) Watch() (woken <-chan struct{}, stop func()) { return h.feed.Watch() }

// End ends all watching, now and later.
func (h *Hints) End() { h.feed.End() }
