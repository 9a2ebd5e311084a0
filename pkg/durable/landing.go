package durable

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
)

// temporary are the names of files on their way: they start with a dot, and a store removes them when it opens.
const temporary = ".*.part"

// Landing is a file on its way to its name. Until it has landed it lies under a temporary one; [Landing.Drop] removes it
// then. It may be written to until it lands, and is synced before that, again if it was written to since.
type Landing struct {
	file   *os.File
	synced bool
	landed bool
}

// Begin makes an empty file in the directory that it will land in.
func Begin(dir string, mode os.FileMode) (*Landing, error) {
	f, err := disk.Create(dir, temporary)
	if err != nil {
		return nil, err
	}
	l := &Landing{file: f}
	if err := f.Chmod(mode); err != nil {
		l.Drop()
		return nil, err
	}
	return l, nil
}

// BeginLink makes a second name of a file, to be landed in dir: no byte is written twice. The file itself is durable.
func BeginLink(file, dir string) (*Landing, error) {
	f, err := disk.Create(dir, temporary)
	if err != nil {
		return nil, err
	}
	l := &Landing{file: f, synced: true}
	if err := disk.Remove(f.Name()); err != nil { // the name is ours; a link wants it free
		return nil, errors.Join(err, f.Close())
	}
	if err := disk.Link(file, f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return l, nil
}

// File is the file itself, for reading it and for allocating its room. Write through the Landing.
func (l *Landing) File() *os.File { return l.file }

func (l *Landing) Write(p []byte) (int, error) {
	l.synced = false
	return l.file.Write(p)
}

// ReadFrom copies a file in the kernel where it can.
func (l *Landing) ReadFrom(src io.Reader) (int64, error) {
	l.synced = false
	return l.file.ReadFrom(src)
}

// Rewrite replaces the whole content.
func (l *Landing) Rewrite(content []byte) error {
	l.synced = false
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt(content, 0)
	return err
}

// Sync makes the content durable.
func (l *Landing) Sync() error {
	if l.synced {
		return nil
	}
	if err := disk.Sync(l.file); err != nil {
		return &SyncError{err}
	}
	l.synced = true
	return nil
}

// SyncAll syncs several at once and lets the disk order them as it likes: one wait instead of many.
func SyncAll(all ...*Landing) error {
	failed := make([]error, len(all))
	var done sync.WaitGroup
	for i, l := range all[1:] {
		done.Go(func() { failed[i+1] = l.Sync() })
	}
	failed[0] = all[0].Sync()
	done.Wait()
	return errors.Join(failed...)
}

// Replace gives the file its name, in place of what has it. The name is durable once the directory is synced.
func (l *Landing) Replace(path string) error { return l.land(path, disk.Rename) }

// New gives the file a name that nobody has; os.ErrExist says that somebody does, and the file has not landed.
func (l *Landing) New(path string) error { return l.land(path, disk.RenameNew) }

func (l *Landing) land(path string, rename func(from, to string) error) error {
	if err := l.Sync(); err != nil {
		return err
	}
	if err := rename(l.file.Name(), path); err != nil {
		return err
	}
	l.landed = true
	return nil
}

// Drop closes the file, and removes it unless it has landed.
func (l *Landing) Drop() {
	l.file.Close()
	if !l.landed {
		disk.Remove(l.file.Name()) //nolint:errcheck // the next start removes it
	}
}

// SyncError is a failed sync. What the disk holds is unknown then, and a second sync may say that all is well.
type SyncError struct{ Err error }

func (e *SyncError) Error() string { return "sync: " + e.Err.Error() }
func (e *SyncError) Unwrap() error { return e.Err }

// Folder shares the syncs of one directory: each costs flash milliseconds, and files arrive in bursts. Its zero value is
// ready; all calls are for the same directory.
type Folder struct {
	mu      sync.Mutex // guards what follows
	running *round
	next    *round
}

type round struct {
	done chan struct{}
	err  error
}

// Sync returns when a sync of the directory that began after the call has ended.
func (d *Folder) Sync(dir string) error {
	d.mu.Lock()
	if d.running != nil { // it may have begun before the caller's rename: the next one counts
		if d.next == nil {
			d.next = &round{done: make(chan struct{})}
		}
		next := d.next
		d.mu.Unlock()
		<-next.done
		return next.err
	}
	first := &round{done: make(chan struct{})}
	d.running = first
	d.mu.Unlock()
	d.run(first, dir)
	return first.err
}

// run ends a round and hands the next one to a goroutine: whoever began the first has waited long enough. Those who wait
// for the next round wait for that goroutine.
func (d *Folder) run(r *round, dir string) {
	r.err = SyncDir(dir)
	d.mu.Lock()
	d.running, d.next = d.next, nil
	if d.running != nil {
		go d.run(d.running, dir)
	}
	d.mu.Unlock()
	close(r.done)
}

// IsTemporary reports that a name is that of a file which had not landed when its writer ended.
func IsTemporary(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".part")
}
