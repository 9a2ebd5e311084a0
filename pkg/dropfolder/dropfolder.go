// Package dropfolder watches the folder into which people and scripts drop firmware bundles, and hands each over once it
// is whole.
//
// A file that is renamed in is taken at once, one that is copied in slowly only when its last byte is there; the package
// sees that by the ZIP's end record, as the kernel reports both in the same way. Whatever happens to a file is
// in the journal: an accepted one lies in accepted/, a rejected one in rejected/ beside its reason, and one that could
// not be taken for another reason, such as a full disk, stays and is tried again.
//
// It trusts no name and no file type: only regular files, opened without following links.
package dropfolder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Options are the folder and what is done with its files.
type Options struct {
	Dir string
	// Accept takes a whole bundle. fleet.ErrRefused and fleet.ErrTaken reject the file; any other error is tried again.
	Accept func(ctx context.Context, body io.Reader, size int64) (summary string, err error)
	// Complete reports that the file ends as a whole bundle does.
	Complete     func(r io.ReaderAt, size int64) (bool, error)
	Rejected     func(ctx context.Context, name, reason string) // is told of a file before it goes to the rejected ones
	KeepDone     time.Duration                                  // age at which accepted and rejected files go
	StalledAfter time.Duration                                  // without growth, after which a file that is not whole is rejected
	Logger       *slog.Logger
	Beat         func()                              // a sign of life, at each turn of the loop and for each block of a bundle that is read
	Observe      func(took time.Duration, err error) // one bundle handled
}

// The pace of the loop.
const (
	lookAgain  = 500 * time.Millisecond // at files that are not whole yet
	scanEvery  = 30 * time.Second       // network shares send no events
	firstRetry = 5 * time.Second
	mostRetry  = 5 * time.Minute

	// foreignAfter is how long a file that starts as no bundle does may still change before it is rejected.
	foreignAfter = 3 * time.Second

	acceptedDir = "accepted"
	rejectedDir = "rejected"
)

// Folder is the drop folder; one goroutine, Run's, owns all that it knows but for what it tells of.
type Folder struct {
	options   Options
	waiting   map[string]*candidate // by name
	now       func() time.Time
	scanEvery time.Duration
	watch     *watch // nil until Run

	mu   sync.Mutex        // guards what follows
	left map[string]string // names that are not taken, and why
	gone string            // why the folder itself cannot be read; "": it can
}

// candidate is a file that has not been taken yet.
type candidate struct {
	size     int64
	modified time.Time
	changed  time.Time // when it was last seen to differ
	retryAt  time.Time // after an error that is not the file's
	backoff  time.Duration
}

// Open makes the folder and those below it. On a disk that takes nothing it does without.
func Open(o Options) (*Folder, error) {
	for _, dir := range []string{o.Dir, filepath.Join(o.Dir, acceptedDir), filepath.Join(o.Dir, rejectedDir)} {
		if err := os.MkdirAll(dir, 0o770); err != nil && !errors.Is(fleet.OfDisk(err), fleet.ErrFull) {
			return nil, fmt.Errorf("make the drop folder: %w", err)
		}
	}
	return &Folder{options: o, waiting: map[string]*candidate{}, left: map[string]string{}, now: time.Now, scanEvery: scanEvery}, nil
}

// Run watches until ctx ends. What was dropped while nobody watched is found by the first scan.
func (f *Folder) Run(ctx context.Context) error {
	f.watch = newWatch(f.options.Dir, f.options.Logger)
	defer f.watch.stop()
	f.scan(ctx)
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	scan := time.NewTicker(f.scanEvery)
	defer scan.Stop()
	for {
		f.options.Beat()
		select {
		case <-ctx.Done():
			return nil
		case event := <-f.watch.events:
			if event.gone {
				f.watch.lost()
			}
			if event.overflow {
				f.scan(ctx)
			} else {
				f.look(ctx, event.name)
			}
		case <-look.C:
			for name := range f.waiting {
				f.look(ctx, name)
			}
		case <-scan.C:
			f.scan(ctx)
			f.sweep()
		}
	}
}

// scan looks at every name in the folder.
func (f *Folder) scan(ctx context.Context) {
	if f.watch != nil {
		f.watch.follow()
	}
	entries, err := os.ReadDir(f.options.Dir)
	f.note(err)
	if err != nil {
		return
	}
	present := make(map[string]bool, len(entries))
	for _, e := range entries {
		present[e.Name()] = true
		if ctx.Err() != nil {
			return
		}
		f.look(ctx, e.Name())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for name := range f.left {
		if !present[name] {
			delete(f.left, name)
		}
	}
}

// note says once that the folder cannot be read, and once that it can again: it was removed, moved away, or is a share that
// is not mounted.
func (f *Folder) note(err error) {
	why := ""
	if err != nil {
		why = err.Error()
		var part *fs.PathError // opening a directory and reading one that has gone meanwhile tell the same thing
		if errors.As(err, &part) {
			why = part.Path + ": " + part.Err.Error()
		}
	}
	f.mu.Lock()
	before := f.gone
	f.gone = why
	f.mu.Unlock()
	switch {
	case why != "" && why != before:
		f.options.Logger.Error("drop folder cannot be read, and nothing is taken until it is back", "dir", f.options.Dir, "error", err)
	case why == "" && before != "":
		f.options.Logger.Info("drop folder is back", "dir", f.options.Dir)
	}
}

// partial names are files that some program is still writing.
var partialSuffixes = []string{".part", ".tmp", ".filepart", ".crdownload"}

func ignored(name string) bool {
	if strings.HasPrefix(name, ".") || name == acceptedDir || name == rejectedDir {
		return true
	}
	for _, suffix := range partialSuffixes {
		if strings.HasSuffix(strings.ToLower(name), suffix) {
			return true
		}
	}
	return false
}

// look decides about one name: not yet, take it, or reject it as incomplete.
func (f *Folder) look(ctx context.Context, name string) {
	if ignored(name) {
		return
	}
	path := filepath.Join(f.options.Dir, name)
	info, err := os.Lstat(path)
	if err != nil {
		delete(f.waiting, name)
		f.settled(name)
		return
	}
	if !info.Mode().IsRegular() {
		f.tell(name, stays(info.Mode()))
		return
	}
	now := f.now()
	c := f.waiting[name]
	if c == nil {
		c = &candidate{changed: now, size: -1}
		f.waiting[name] = c
	}
	if c.size != info.Size() || !c.modified.Equal(info.ModTime()) {
		*c = candidate{size: info.Size(), modified: info.ModTime(), changed: now}
	}
	if now.Before(c.retryAt) {
		return
	}
	file, err := openRegular(path)
	if err != nil {
		f.tell(name, "it cannot be read: "+err.Error())
		return
	}
	defer file.Close()
	whole, err := f.options.Complete(file, info.Size())
	switch {
	case err != nil:
		f.tell(name, "it cannot be read: "+err.Error())
	case info.Size() > 0 && whole:
		f.settled(name)
		f.take(ctx, name, file, info.Size())
	case now.Sub(c.changed) >= f.options.StalledAfter:
		f.settled(name)
		f.options.Observe(0, errForeign)
		if what := foreign(file); what != "" {
			f.reject(ctx, name, "the file is "+what+". "+wanted)
			return
		}
		f.reject(ctx, name, unfinished(name, file, info.Size(), f.options.StalledAfter))
	case now.Sub(c.changed) >= min(f.options.StalledAfter, foreignAfter):
		if what := foreign(file); what != "" {
			f.settled(name)
			f.options.Observe(0, errForeign)
			f.reject(ctx, name, "the file is "+what+". "+wanted)
		}
	default:
		f.settled(name)
	}
}

var errForeign = errors.New("the file is not a bundle")

// tell writes once about a file that is not taken.
func (f *Folder) tell(name, why string) {
	why = printable(why)
	f.mu.Lock()
	known := f.left[name] == why
	f.left[name] = why
	f.mu.Unlock()
	if !known {
		f.options.Logger.Warn("dropped file not taken", "file", name, "reason", why)
	}
	delete(f.waiting, name) // the next scan looks again
}

// settled forgets that a name was not taken.
func (f *Folder) settled(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.left, name)
}

// Trouble says that the folder cannot be read, or what lies in it and is not taken, for whoever asks how the gateway is.
func (f *Folder) Trouble() []string {
	const most = 5 // are named; a folder full of links must not fill a screen
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone != "" {
		return []string{"the drop folder cannot be read, and nothing is taken until it is back: " + printable(f.gone)}
	}
	var trouble []string
	for _, name := range slices.Sorted(maps.Keys(f.left)) {
		if len(trouble) == most {
			return append(trouble, "more in the drop folder is not taken")
		}
		trouble = append(trouble, fmt.Sprintf("%q in the drop folder is not taken: %s", name, f.left[name]))
	}
	return trouble
}
