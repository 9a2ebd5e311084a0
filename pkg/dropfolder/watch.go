package dropfolder

import (
	"log/slog"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// watch is fsnotify on the folder. The kernel watches a directory and not its name: the one that is watched may be moved
// away, removed or covered by a mount, and another may lie at its place.
type watch struct {
	dir     string
	logger  *slog.Logger
	watcher *fsnotify.Watcher // nil: the kernel gives none, and the scans are left
	watched os.FileInfo       // the directory that is watched; nil: none
	events  chan event
	quit    chan struct{}
	done    chan struct{}
}

// event is a name in the folder that changed, or that events were lost, or that the directory itself changed or is gone.
type event struct {
	name     string
	overflow bool
	gone     bool
}

func newWatch(dir string, logger *slog.Logger) *watch {
	w := &watch{dir: dir, logger: logger, events: make(chan event), quit: make(chan struct{}), done: make(chan struct{})}
	var err error
	if w.watcher, err = fsnotify.NewWatcher(); err != nil {
		w.warn(err)
		close(w.done)
		return w
	}
	go w.run()
	return w
}

func (w *watch) warn(err error) {
	w.logger.Warn("drop folder is not watched, only scanned every 30 s", "error", err)
}

// lost says that the directory that was watched is gone. One that is made in its place may well have its number.
func (w *watch) lost() { w.watched = nil }

// follow has the directory watched that lies at the folder's place now. Before a scan, so that what comes after it is seen.
func (w *watch) follow() {
	if w.watcher == nil {
		return
	}
	now, err := os.Stat(w.dir)
	if err != nil {
		w.lost()
		return
	}
	if w.watched != nil && os.SameFile(now, w.watched) {
		return
	}
	w.watcher.Remove(w.dir) //nolint:errcheck // it may have gone by itself, with its directory
	if err := w.watcher.Add(w.dir); err != nil {
		w.warn(err)
	}
	w.watched = now
}

// run hands on what fsnotify tells, until stop.
func (w *watch) run() {
	defer close(w.done)
	for {
		var e event
		select {
		case <-w.quit:
			return
		case raw, open := <-w.watcher.Events:
			if !open {
				return
			}
			e = event{name: filepath.Base(raw.Name)}
			if filepath.Clean(raw.Name) == filepath.Clean(w.dir) { // what happens to the directory itself is told with its own name
				e.overflow, e.gone = true, raw.Has(fsnotify.Remove|fsnotify.Rename)
			}
		case err, open := <-w.watcher.Errors:
			if !open {
				return
			}
			w.logger.Warn("drop folder events lost", "error", err)
			e = event{overflow: true}
		}
		select {
		case <-w.quit:
			return
		case w.events <- e:
		}
	}
}

func (w *watch) stop() {
	close(w.quit)
	if w.watcher != nil {
		if err := w.watcher.Close(); err != nil {
			w.logger.Warn("drop folder watch not closed", "error", err)
		}
	}
	<-w.done
}
