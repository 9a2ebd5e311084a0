package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// DamagedError is a catalog of which something is lost, or was changed by the disk. It is said before Badger is let near
// it: Badger takes a folder without its MANIFEST for a new one and deletes the tables, it passes over tables whose
// checksum is wrong, it cuts off a log at the first damage, and it ends the process where a table's end is damaged.
type DamagedError struct {
	Dir  string
	What string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("the catalog in %s is damaged: %s", e.Dir, e.What)
}

func (o Options) damaged(format string, args ...any) error {
	return &DamagedError{o.Dir, fmt.Sprintf(format, args...)}
}

const (
	manifestFile = badger.ManifestFilename
	tableSuffix  = ".sst"
	logSuffix    = ".mem"
	valueSuffix  = ".vlog"

	// openFile lies in the folder while the catalog is open. Badger has a log then, always; a clean stop leaves none.
	openFile = "OPEN"
)

// blank reports that nothing of a catalog is in the folder.
func blank(entries []fs.DirEntry) bool {
	for _, e := range entries {
		switch filepath.Ext(e.Name()) {
		case tableSuffix, logSuffix, valueSuffix:
			return false
		}
		switch e.Name() {
		case manifestFile, schemaFile, openFile:
			return false
		}
	}
	return true
}

// check looks at what lies in the folder, with Badger's lock, and refuses what Badger would lose.
func (o Options) check(entries []fs.DirEntry) (err error) {
	if blank(entries) {
		return o.mayBegin()
	}
	files := map[string]bool{}
	logs := 0
	for _, e := range entries {
		files[e.Name()] = true
		if filepath.Ext(e.Name()) != logSuffix {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Size() > 0 { // not the empty one that was made ahead
			logs++
		}
	}
	if files[openFile] && logs == 0 {
		return o.damaged("it was not stopped, and its log (*%s) is lost", logSuffix)
	}
	if !files[manifestFile] {
		if !files[schemaFile] && !files[openFile] && logs == 0 {
			return nil // a first start that was cut off
		}
		return o.damaged("its file %s is lost", manifestFile)
	}
	logged, err := o.checkLogs(files)
	if err != nil {
		return err
	}
	return o.checkTables(files, logged)
}

// mayBegin asks whether a catalog may be made where there is none.
func (o Options) mayBegin() error {
	if o.MayBegin == nil {
		return nil
	}
	return o.MayBegin()
}

// openBadger opens Badger. What it complains of later is told to failed.
func (o Options) openBadger(failed func(error)) (*badger.DB, error) {
	return o.openWith(settings(o, failed))
}

// openWith opens Badger, and turns its panics into errors.
func (o Options) openWith(settings badger.Options) (db *badger.DB, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // a bad sector under a mapped file
	defer func() {
		if r := recover(); r != nil {
			if err = fmt.Errorf("open the catalog in %s: %v", o.Dir, r); !ofKernel(err) {
				err = o.damaged("%v", r)
			}
			if free, _, unknown := o.Space(); unknown == nil && free < tableRoom {
				err = fleet.Full("the disk filled while the catalog in %s was opened: make room and start again", o.Dir)
			}
		}
	}()
	if err := mayHold(settings.Dir); err != nil {
		return nil, fmt.Errorf("open the catalog in %s: %w", o.Dir, err)
	}
	db, err = badger.Open(settings)
	var path *fs.PathError
	switch {
	case err == nil:
		return db, nil
	case errors.As(err, &path), ofKernel(err):
		return nil, fmt.Errorf("open the catalog in %s: %w", o.Dir, err)
	}
	return nil, o.damaged("%v", err)
}

// mayHold refuses where the process may not have as many files open at once as Badger needs. Badger opens its tables beside each
// other and keeps three errors of them: at the fourth table that cannot be opened its Open waits for ever.
func mayHold(dir string) error {
	const besides = 8 // MANIFEST, keys, two logs, the values' log, what is discarded in it, the folder, and one to spare
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	files := besides
	for _, e := range entries {
		if filepath.Ext(e.Name()) == tableSuffix {
			files++
		}
	}
	for range files {
		f, err := os.Open(dir)
		if err != nil {
			return err
		}
		defer f.Close()
	}
	return nil
}

// ofKernel reports that an error is the kernel's word about the disk, or about what the process may have of files and of
// memory: what Badger stands on leaves only its text. Nobody is to restore a backup because of it.
func ofKernel(err error) bool {
	for _, said := range []syscall.Errno{unix.EIO, unix.ENOSPC, unix.EDQUOT, unix.EROFS, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EAGAIN} {
		if strings.Contains(err.Error(), said.Error()) {
			return true
		}
	}
	return false
}

// noteOpen says on the disk that the catalog is open.
func (o Options) noteOpen() error {
	return durable.WriteFile(filepath.Join(o.Dir, openFile), nil, 0o600)
}

// noteClosed takes that back, before Badger removes its log.
func (o Options) noteClosed() error {
	if err := os.Remove(filepath.Join(o.Dir, openFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return durable.SyncDir(o.Dir)
}
