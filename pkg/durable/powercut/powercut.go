// Package powercut loses what was not synced, for tests of what must last.
//
// A [Recorder] stands between durable and the kernel and notes each thing that was done to the disk. At every point of
// that record [Recorder.Cut] lays out what a disk may hold after the power went there, in a folder of its own: the content
// that was synced, under the names whose directory was synced. A test opens its store on each of them and asks for what
// had been acknowledged by then.
//
// A file system may have written more than it was asked to. [Names] is the worst of that: names that were not synced are
// there, and the content behind them is not.
package powercut

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/durable"
)

// Loss is what a power cut takes.
type Loss int

// The losses.
const (
	All   Loss = iota // whatever was not synced
	Names             // content that was not synced; names are written early
)

func (l Loss) String() string { return [...]string{"all", "content under its new name"}[l] }

// Recorder is a durable.Disk that notes what was done below a folder.
type Recorder struct {
	durable.Kernel
	root string

	mu    sync.Mutex // guards what follows
	steps []step
	files map[fileID]*file
}

// fileID names an inode for as long as it is open or has a name.
type fileID struct{ device, inode uint64 }

// file is an inode's content as it was last synced.
type file struct{ synced []byte }

type step struct {
	what  string
	names map[string]entry // the names as they are now, relative to root
	safe  map[string]entry // those that were synced
	acked []string         // what the test had acknowledged
}

// entry is what a name stands for: a directory, or a file with the content that had been synced.
type entry struct {
	dir     bool
	id      fileID
	content []byte
}

// Record notes what durable does below root until the test ends. What lies there now is taken as synced.
func Record(t testing.TB, root string) *Recorder {
	t.Helper()
	r := &Recorder{root: root, files: map[fileID]*file{}}
	first := step{what: "before anything", names: map[string]entry{}, safe: map[string]entry{}}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		known := entry{dir: e.IsDir()}
		if known.id, err = identify(path); err != nil {
			return err
		}
		if !known.dir {
			if known.content, err = os.ReadFile(path); err != nil {
				return err
			}
			r.files[known.id] = &file{synced: known.content}
		}
		first.names[r.relative(path)], first.safe[r.relative(path)] = known, known
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.steps = []step{first}
	t.Cleanup(durable.Use(r))
	return r
}

func (r *Recorder) relative(path string) string {
	rel, err := filepath.Rel(r.root, path)
	if err != nil {
		return path
	}
	return rel
}

// note adds a step. change gets the names as they are, and those that are safe.
func (r *Recorder) note(what string, change func(names, safe map[string]entry)) {
	last := r.steps[len(r.steps)-1]
	next := step{what: what, names: clone(last.names), safe: clone(last.safe), acked: last.acked}
	change(next.names, next.safe)
	r.steps = append(r.steps, next)
}

func clone(m map[string]entry) map[string]entry {
	c := make(map[string]entry, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

// Acknowledge notes that the store has said of name that it lasts.
func (r *Recorder) Acknowledge(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note("acknowledged "+name, func(_, _ map[string]entry) {})
	last := &r.steps[len(r.steps)-1]
	last.acked = append(last.acked[:len(last.acked):len(last.acked)], name)
}

// Create notes a new file.
func (r *Recorder) Create(dir, pattern string) (*os.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := r.Kernel.Create(dir, pattern)
	if err != nil {
		return nil, err
	}
	id, err := identify(f.Name())
	if err != nil {
		return nil, err
	}
	r.files[id] = &file{}
	r.note("made "+r.relative(f.Name()), func(names, _ map[string]entry) { names[r.relative(f.Name())] = entry{id: id} })
	return f, nil
}

// Sync notes the content that is safe from now on, under whatever names.
func (r *Recorder) Sync(f *os.File) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.Kernel.Sync(f); err != nil {
		return err
	}
	content, err := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	id := idOf(info)
	r.note("synced "+r.relative(f.Name()), func(names, safe map[string]entry) {
		for _, all := range []map[string]entry{names, safe} {
			for name, e := range all {
				if !e.dir && e.id == id {
					e.content = content
					all[name] = e
				}
			}
		}
	})
	return nil
}

// Rename notes a name that took another's place.
func (r *Recorder) Rename(from, to string) error {
	return r.renamed("renamed", from, to, r.Kernel.Rename)
}

// RenameNew notes a new name.
func (r *Recorder) RenameNew(from, to string) error {
	return r.renamed("renamed", from, to, r.Kernel.RenameNew)
}

func (r *Recorder) renamed(what, from, to string, do func(string, string) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := do(from, to); err != nil {
		return err
	}
	r.note(what+" "+r.relative(from)+" to "+r.relative(to), func(names, _ map[string]entry) {
		move(names, r.relative(from), r.relative(to))
	})
	return nil
}

// move gives an entry another name; what is below a directory goes with it.
func move(tree map[string]entry, from, to string) {
	for name, e := range clone(tree) {
		if below, is := strings.CutPrefix(name, from); is && (below == "" || below[0] == filepath.Separator) {
			delete(tree, name)
			tree[to+below] = e
		}
	}
}

// Link notes a second name.
func (r *Recorder) Link(from, to string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.Kernel.Link(from, to); err != nil {
		return err
	}
	r.note("linked "+r.relative(from)+" as "+r.relative(to), func(names, _ map[string]entry) {
		names[r.relative(to)] = names[r.relative(from)]
	})
	return nil
}

// Remove notes a name that is gone.
func (r *Recorder) Remove(path string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.Kernel.Remove(path); err != nil {
		return err
	}
	r.note("removed "+r.relative(path), func(names, _ map[string]entry) { delete(names, r.relative(path)) })
	return nil
}

// MakeDir notes a new directory.
func (r *Recorder) MakeDir(dir string, mode os.FileMode) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.Kernel.MakeDir(dir, mode); err != nil {
		return err
	}
	id, err := identify(dir)
	if err != nil {
		return err
	}
	r.note("made "+r.relative(dir), func(names, _ map[string]entry) { names[r.relative(dir)] = entry{dir: true, id: id} })
	return nil
}

// SyncDir notes the names that are safe from now on: those in the directory, not the ones below them.
func (r *Recorder) SyncDir(dir string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.Kernel.SyncDir(dir); err != nil {
		return err
	}
	r.note("synced the names in "+r.relative(dir), func(names, safe map[string]entry) {
		before := clone(safe)
		for name := range before {
			if filepath.Dir(name) == r.relative(dir) {
				drop(safe, name)
			}
		}
		for name, e := range names {
			if filepath.Dir(name) != r.relative(dir) {
				continue
			}
			safe[name] = e
			if e.dir {
				keep(safe, before, name, e.id)
			}
		}
	})
	return nil
}

// drop takes a name away with all that is below it.
func drop(tree map[string]entry, name string) {
	for other := range tree {
		if other == name || strings.HasPrefix(other, name+string(filepath.Separator)) {
			delete(tree, other)
		}
	}
}

// keep takes over what was safe in a directory under whatever name it had.
func keep(safe, before map[string]entry, name string, id fileID) {
	for old, e := range before {
		if !e.dir || e.id != id {
			continue
		}
		for other, below := range before {
			if rest, is := strings.CutPrefix(other, old+string(filepath.Separator)); is {
				safe[filepath.Join(name, rest)] = below
			}
		}
		return
	}
	// Its own name was not safe before, and it may have been synced for itself.
	for other, below := range before {
		if strings.HasPrefix(other, name+string(filepath.Separator)) {
			safe[other] = below
		}
	}
}
