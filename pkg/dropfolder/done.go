package dropfolder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// openRegular opens a file without following a link in its last element.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// take hands a whole file over and puts it where its fate says.
func (f *Folder) take(ctx context.Context, name string, file *os.File, size int64) {
	start := time.Now()
	summary, err := f.options.Accept(ctx, &beating{io.NewSectionReader(file, 0, size), f.options.Beat}, size)
	if ctx.Err() != nil {
		return // it stays for the next start
	}
	f.options.Observe(time.Since(start), err)
	switch {
	case err == nil:
		f.options.Logger.Info("dropped bundle accepted", "file", name, "build", summary)
		f.move(name, acceptedDir)
	case errors.Is(err, fleet.ErrRefused), errors.Is(err, fleet.ErrTaken):
		f.reject(ctx, name, err.Error())
	default:
		c := f.waiting[name]
		c.backoff = min(max(2*c.backoff, firstRetry), mostRetry)
		c.retryAt = f.now().Add(c.backoff)
		f.options.Logger.Error("dropped bundle not taken, trying again", "file", name, "error", err, "again_in", c.backoff)
	}
}

// beating gives a sign of life with every block that is read: a large bundle on slow flash takes longer than the
// watchdog waits.
type beating struct {
	io.Reader
	beat func()
}

func (b *beating) Read(p []byte) (int, error) {
	b.beat()
	return b.Reader.Read(p)
}

// reject lays a file into rejected/ beside the reason, written for whoever dropped it. It is read on a terminal, and the
// name is anybody's.
func (f *Folder) reject(ctx context.Context, name, reason string) {
	reason = printable(reason)
	f.options.Rejected(ctx, printable(name), reason)
	moved := f.move(name, rejectedDir)
	if moved == "" {
		return
	}
	text := fmt.Sprintf("%s was rejected on %s:\n\n%s\n", shown(name), time.Now().Format(time.RFC1123Z), reason)
	if err := os.WriteFile(moved+reasonSuffix, []byte(text), 0o664); err != nil {
		f.options.Logger.Error("reason not written", "file", name, "error", err)
	}
}

// shown is a foreign name as it is, or quoted where it has bytes that steer a terminal or begin a line.
func shown(name string) string {
	if strings.Contains(name, "\n") || printable(name) != name {
		return strconv.Quote(name)
	}
	return name
}

// printable writes out what would steer a terminal: \x1b, not the byte. Lines stay lines.
func printable(s string) string {
	var b strings.Builder
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		if r == '\n' || unicode.IsPrint(r) && (r != utf8.RuneError || n > 1) {
			b.WriteString(s[:n])
		} else {
			written := strconv.Quote(s[:n])
			b.WriteString(written[1 : len(written)-1])
		}
		s = s[n:]
	}
	return b.String()
}

// move renames a file into a folder below, as name, name-2, name-3, …, and returns where it lies now.
func (f *Folder) move(name, dir string) string {
	extension := filepath.Ext(name)
	stem := strings.TrimSuffix(name, extension)
	for n := 1; ; n++ {
		target := filepath.Join(f.options.Dir, dir, name)
		if n > 1 {
			target = filepath.Join(f.options.Dir, dir, fmt.Sprintf("%s-%d%s", stem, n, extension))
		}
		err := unix.Renameat2(unix.AT_FDCWD, filepath.Join(f.options.Dir, name), unix.AT_FDCWD, target, unix.RENAME_NOREPLACE)
		if err == nil {
			delete(f.waiting, name)
			return target
		}
		if errors.Is(err, unix.ENOENT) && os.Mkdir(filepath.Dir(target), 0o770) == nil { // it went with a folder that is back without it
			n--
			continue
		}
		if !errors.Is(err, unix.EEXIST) {
			f.options.Logger.Error("dropped file not moved", "file", name, "to", dir, "error", err)
			f.waiting[name].retryAt = f.now().Add(mostRetry) // not once more every half second
			return ""
		}
	}
}

// sweep removes what has lain in accepted/ and rejected/ for KeepDone. The change time counts, which the move set: the
// file's own time is that of whoever made it.
func (f *Folder) sweep() {
	for _, dir := range []string{acceptedDir, rejectedDir} {
		entries, err := os.ReadDir(filepath.Join(f.options.Dir, dir))
		if errors.Is(err, os.ErrNotExist) { // made again when it is needed
			continue
		}
		if err != nil {
			f.options.Logger.Error("drop folder cannot be swept", "dir", dir, "error", err)
			continue
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil || !info.Mode().IsRegular() {
				continue
			}
			stat, ok := info.Sys().(*syscall.Stat_t)
			if !ok || f.now().Sub(time.Unix(stat.Ctim.Unix())) < f.options.KeepDone {
				continue
			}
			if err := os.Remove(filepath.Join(f.options.Dir, dir, e.Name())); err != nil {
				f.options.Logger.Error("done file not removed", "file", e.Name(), "error", err)
			}
		}
	}
}
