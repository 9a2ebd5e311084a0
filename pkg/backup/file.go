package backup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/durable"
)

// WriteFile puts a backup at path, replacing what was there: encrypted, read back and compared, durable, 0600. by opens
// what it is encrypted to; nil where nobody here can, and then a key that nobody keeps opens it, once.
func WriteFile(path string, write func(io.Writer) error, to []age.Recipient, by age.Identity) (size int64, found Contents, err error) {
	if by == nil {
		once, err := age.GenerateX25519Identity()
		if err != nil {
			return 0, Contents{}, err
		}
		to, by = append(to[:len(to):len(to)], once.Recipient()), once
	}
	l, err := durable.Begin(filepath.Dir(path), 0o600)
	if err != nil {
		return 0, Contents{}, err
	}
	defer l.Drop()
	if err := seal(l, write, to); err != nil {
		return 0, Contents{}, err
	}
	f := l.File()
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) // read back from the disk, where the kernel does it, not from memory
	if size, err = f.Seek(0, io.SeekCurrent); err != nil {
		return 0, Contents{}, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, Contents{}, err
	}
	if found, err = Check(bufio.NewReader(f), by); err != nil {
		return 0, Contents{}, fmt.Errorf("read the backup back: %w", err)
	}
	if err := l.Replace(path); err != nil {
		return 0, Contents{}, err
	}
	return size, found, durable.SyncDir(filepath.Dir(path))
}

func seal(l *durable.Landing, write func(io.Writer) error, to []age.Recipient) error {
	out := bufio.NewWriter(l)
	sealed, err := age.Encrypt(out, to...)
	if err != nil {
		return err
	}
	if err := write(sealed); err != nil {
		return err
	}
	return errors.Join(sealed.Close(), out.Flush(), l.Sync())
}
