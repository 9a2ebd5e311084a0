package catalog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

const (
	// logRoom is what Badger writes to one log: it begins the next one at the first batch after memtableBytes, and a batch
	// is below mostBytes with what Badger adds.
	logRoom = memtableBytes + 1<<20
	// manifestRoom takes the names of thousands of tables; a log's worth of records makes a few.
	manifestRoom = 256 << 10
)

// ahead allocates what Badger writes next, before it does. Badger maps its log into memory as a sparse file, so that on a
// disk which somebody else has filled a write to it ends the process by SIGBUS. It opens the next log by a number that is
// known, and takes an empty file under that name as if it had made it: so there always is one, with its blocks beyond its
// end, where growing the file finds them. No moment is left in which another process could take them.
//
// Its list of tables it appends to, and a line that a full disk cut off would keep it from ever opening the catalog again:
// the list's blocks are allocated beyond its end, too.
//
// A kill leaves the empty file, which [removeEmptyLogs] deletes. It is the committer's, as only that makes Badger change logs.
type ahead struct {
	dir  string
	next *os.File // nil: Badger has the log that was made for it, and there was no room for another one
}

// openAhead allocates the log that Badger has just made, and the next one.
func openAhead(dir string) (*ahead, error) {
	a := &ahead{dir: dir}
	last, err := lastLog(dir)
	if err != nil {
		return nil, err
	}
	current, err := os.OpenFile(filepath.Join(dir, logName(last)), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer current.Close()
	if err := allocate(current, logRoom); err != nil {
		return nil, err
	}
	if _, err := a.keep(); err != nil {
		return nil, err
	}
	return a, nil
}

// keep makes the next log unless it is there. It says whether Badger has taken the one before. Without an error Badger may
// be given a batch; ErrFull says that there is no room for the next log.
func (a *ahead) keep() (taken bool, err error) {
	if a.next != nil {
		if taken, err = a.taken(); err != nil || !taken {
			return false, err
		}
		a.next.Close()
		a.next = nil
	}
	list, err := os.OpenFile(filepath.Join(a.dir, manifestFile), os.O_RDWR, 0)
	if err != nil {
		return taken, err
	}
	defer list.Close()
	info, err := list.Stat()
	if err != nil {
		return taken, err
	}
	if err := allocate(list, info.Size()+manifestRoom); err != nil {
		return taken, err
	}
	last, err := lastLog(a.dir)
	if err != nil {
		return taken, err
	}
	next, err := os.OpenFile(filepath.Join(a.dir, logName(last+1)), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return taken, fleet.OfDisk(err)
	}
	if err := allocate(next, logRoom); err != nil {
		next.Close()
		return taken, errors.Join(err, os.Remove(next.Name()))
	}
	a.next = next
	return taken, nil
}

// taken reports that Badger has made the next log its own, and maybe deleted it since.
func (a *ahead) taken() (bool, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(a.next.Fd()), &stat); err != nil {
		return false, &os.PathError{Op: "fstat", Path: a.next.Name(), Err: err}
	}
	return stat.Size > 0 || stat.Nlink == 0, nil
}

// kept reports that the file system keeps what a sync of the log before told it, see [durable.Kept].
func (a *ahead) kept() error {
	if a.next == nil { // then nothing was written
		return nil
	}
	return durable.Kept(a.next)
}

// drop takes the empty log away again, when Badger is given nothing more.
func (a *ahead) drop() error {
	if a.next == nil {
		return nil
	}
	defer a.next.Close()
	if taken, err := a.taken(); err != nil || taken {
		return err
	}
	return os.Remove(a.next.Name())
}

// allocate makes the blocks of a file's first bytes its own and leaves its size as it is. A file system that cannot do that
// is used without: ext4, XFS and tmpfs can.
func allocate(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)
	if err == nil || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return fleet.OfDisk(&os.PathError{Op: "fallocate", Path: f.Name(), Err: err})
}

// logName and lastLog know how Badger names its logs: by consecutive numbers, of which the last is in use.
func logName(number int) string { return fmt.Sprintf("%05d%s", number, logSuffix) }

func lastLog(dir string) (last int, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if number, isLog := strings.CutSuffix(e.Name(), logSuffix); isLog {
			if n, err := strconv.Atoi(number); err == nil {
				last = max(last, n)
			}
		}
	}
	return last, err
}
