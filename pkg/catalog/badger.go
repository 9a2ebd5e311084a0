package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"golang.org/x/sys/unix"
)

const memtableBytes = 4 << 20

// blockBytes is how much is read and compared with its checksum for each record that is asked for. A poll asks for two: of
// 128 KiB each, they took a quarter of its processor time. On 32-bit machines it is what keeps tables whole: see [settings].
func blockBytes() int {
	if strconv.IntSize == 32 {
		return 128 << 10
	}
	return 16 << 10
}

// settings keep Badger small: a gateway has 512 MB and holds only metadata.
//
// They also keep it whole on 32-bit ARM, where its allocator (ristretto's z.Allocator, up to v2.4.2) begins at its first
// buffer again once that is full, and hands out what is in use: tables were written with one record over another, or the
// process hung. A builder's first buffer has twice the size of a table, and must hold everything:
//   - what is flushed from a memtable, 4 MiB and the last batch, in blocks of 128 KiB, which are never less than three
//     quarters full as no record is larger than 32 KiB, nor ever grow: 6.4 of 8 MiB;
//   - what is rewritten, in tables of 4 MiB.
//
// It merges nothing: see [rewritten]. The numbers of tables at which it would are out of reach.
func settings(o Options, failed func(error)) badger.Options {
	return badger.DefaultOptions(o.Dir).
		WithSyncWrites(true). // Sync() afterwards loses what a rotating memtable holds
		WithMemTableSize(memtableBytes).
		WithNumMemtables(2).
		WithBaseTableSize(4 << 20).
		WithBlockSize(blockBytes()).
		WithNumLevelZeroTables(1 << 20).
		WithNumLevelZeroTablesStall(1 << 21).
		WithNumCompactors(0).
		WithValueLogFileSize(16 << 20).
		WithValueThreshold(64 << 10). // above every record: the value log's sync errors are only logged
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithCompactL0OnClose(false).
		WithDetectConflicts(false).                        // the committer checks
		WithChecksumVerificationMode(options.OnBlockRead). // at the start [Options.check] reads all of it
		WithVerifyValueChecksum(true).
		WithMetricsEnabled(false).
		WithLogger(quiet{o.Logger, failed})
}

// ErrInUse is a catalog that another process has open.
var ErrInUse = errors.New("another slipway uses the catalog in")

// Lock keeps everybody from opening the catalog in a folder until the folder that it returns is closed, also when the
// folder has another name by then. It is the lock that Badger takes. [ErrInUse] says that somebody has it.
func Lock(dir string) (*os.File, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case err == nil:
		return folder, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		err = fmt.Errorf("%w %s: stop it first", ErrInUse, dir)
	default:
		err = fmt.Errorf("lock the catalog in %s: %w", dir, err)
	}
	folder.Close()
	return nil, err
}

// prepare looks at the folder and makes it one that Badger opens, while it has the lock: a running catalog may be about to
// write into such a file.
func (o Options) prepare() error {
	locked, err := Lock(o.Dir)
	if err != nil {
		return err
	}
	defer locked.Close()
	entries, err := locked.ReadDir(-1)
	if err != nil {
		return err
	}
	if err := o.check(entries); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(o.Dir, rewrittenDir)); err != nil {
		return err
	}
	if err := mendList(o.Dir); err != nil {
		return err
	}
	return o.removeEmptyLogs(entries)
}

// removeLogs is removeEmptyLogs of a folder that was in order when it was opened.
func (o Options) removeLogs() error {
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		return err
	}
	return o.removeEmptyLogs(entries)
}

// removeEmptyLogs deletes the 0-byte log files that Badger makes before it writes into them: after a kill in between
// it can never open them again.
func (o Options) removeEmptyLogs(entries []fs.DirEntry) error {
	for _, e := range entries {
		if suffix := filepath.Ext(e.Name()); suffix != logSuffix && suffix != valueSuffix {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Size() == 0 {
			if err := os.Remove(filepath.Join(o.Dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// quiet hands Badger's log to slog; what it calls information is for its developers. Its errors are how it says that it
// could not write or sync: it would try again by itself.
type quiet struct {
	*slog.Logger
	failed func(error)
}

func (q quiet) Errorf(f string, a ...any) { q.failed(errors.New(line(f, a))) }

func (q quiet) Warningf(f string, a ...any) { q.Warn("badger", "said", line(f, a)) }

func (q quiet) Infof(f string, a ...any) { q.Debug("badger", "said", line(f, a)) }

func (q quiet) Debugf(f string, a ...any) { q.Debug("badger", "said", line(f, a)) }

func line(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}
