// Package durable puts files on disk so that a power cut leaves the old one or the new one, whole.
//
// It has the one protocol that was never seen to lose a file on ext4 and XFS: write under a temporary name, sync, rename,
// sync the directory. [Landing] is a file on its way, [Folder] a directory whose sync is shared by whoever waits for it.
// An error of a sync is never to be retried: what the disk holds is unknown after it.
//
// What is asked of the kernel goes through [Disk], so that a test can lose what was not synced: package powercut.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// WriteFile replaces a file's content, and returns when that is durable.
func WriteFile(path string, content []byte, mode os.FileMode) error {
	l, err := Begin(filepath.Dir(path), mode)
	if err != nil {
		return err
	}
	defer l.Drop()
	if _, err := l.Write(content); err != nil {
		return err
	}
	if err := l.Replace(path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in a directory durable. Its error is a *SyncError.
func SyncDir(dir string) error {
	if err := disk.SyncDir(dir); err != nil {
		return &SyncError{err}
	}
	f, err := os.Open(dir)
	if err != nil {
		return &SyncError{err}
	}
	defer f.Close()
	return Kept(f)
}

// Kept asks a file's file system, behind a sync, whether it keeps what it says that it does. Where ext4 finds an error in itself
// while a sync waits, what its journal held is lost and the sync succeeds all the same. With Linux 6.18 three of a hundred such
// errors lost the end of a log whose blocks were allocated beforehand, and one the name of a file, of many that landed at once.
// Whatever takes a place in the journal fails from that moment on. The error is a *SyncError.
func Kept(f *os.File) error {
	if err := disk.Kept(f); err != nil {
		return &SyncError{err}
	}
	return nil
}

// Rename gives a file or a directory another name. It is durable once the directories of both names are synced.
func Rename(from, to string) error { return disk.Rename(from, to) }

// Remove takes a name away. That is durable once its directory is synced.
func Remove(path string) error { return disk.Remove(path) }

// Mkdir makes a directory unless there is one. Its name is the caller's to sync.
func Mkdir(dir string, mode os.FileMode) error {
	if err := disk.MakeDir(dir, mode); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// Probe says whether a directory's disk takes a file, all the way. It leaves none.
func Probe(dir string) error {
	l, err := Begin(dir, 0o600)
	if err != nil {
		return err
	}
	defer l.Drop()
	if _, err := l.Write([]byte("probe\n")); err != nil {
		return err
	}
	if err := l.Sync(); err != nil {
		return err
	}
	return SyncDir(dir)
}
