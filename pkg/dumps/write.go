package dumps

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Write stores what body has as the device's newest dump and returns when it is on stable storage: both files synced
// under temporary names, both renamed, the directory synced. size is the declared length in bytes, -1 when unknown. d
// says device, model, chip and version; the rest is filled in.
//
// A body that is empty or too long is ErrRefused, no room even after rotation ErrFull, a read error is returned as it
// is. After any of them nothing is left.
func (s *Store) Write(ctx context.Context, d fleet.Dump, body io.Reader, size int64) (fleet.Dump, error) {
	if size > s.MaxBytes {
		return d, s.tooLarge()
	}
	expected := size
	if expected < 0 {
		expected = s.MaxBytes
	}
	if err := s.makeRoom(ctx, d.Device, expected); err != nil {
		return d, err
	}
	defer s.reserve(-expected)
	dir, fresh, err := s.deviceDir(d.Device)
	if err != nil {
		return d, noRoom(err)
	}
	t := &temporary{}
	defer t.drop()
	if err := s.fill(t, dir, body, size); err != nil {
		return d, noRoom(err)
	}
	d.Size, d.SHA256 = t.size, t.sum
	if err := s.publish(&d, dir, t); err != nil {
		return d, noRoom(err)
	}
	if fresh {
		if err := durable.SyncDir(s.Dir); err != nil {
			return d, &SyncError{err}
		}
	}
	s.mu.Lock()
	sh := s.devices[d.Device]
	s.mu.Unlock()
	if err := sh.sync.wait(func() error { return durable.SyncDir(dir) }); err != nil {
		return d, &SyncError{err}
	}
	s.Index.RecordDumpLater(d)
	s.Logger.Info("dump stored", "device", d.Device, "model", d.Model, "version", d.FirmwareVersion, "chip", d.Chip,
		"file", string(d.Name())+dumpSuffix, "bytes", d.Size)
	s.rotate(ctx, d.Device)
	return d, nil
}

// SyncError is a failed sync of a directory. What the disk holds is then unknown: the process must end and recover at
// its next start, as an fsync that failed once may lie the second time.
type SyncError struct{ err error }

func (e *SyncError) Error() string { return "sync the dump's directory: " + e.err.Error() }
func (e *SyncError) Unwrap() error { return e.err }

func (s *Store) tooLarge() error {
	return fleet.Refused("the dump is larger than %d bytes", s.MaxBytes)
}

// noRoom turns the kernel's words for a full disk into the house's.
func noRoom(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fleet.Full("no room for the dump on the disk")
	}
	return err
}

// deviceDir makes the device's directory; fresh says that its parent has to be synced.
func (s *Store) deviceDir(key fleet.DeviceKey) (dir string, fresh bool, err error) {
	dir = s.dir(key)
	s.mu.Lock()
	known := len(s.shelfOf(key).pairs) > 0
	s.mu.Unlock()
	if known {
		return dir, false, nil
	}
	if err := os.Mkdir(dir, 0o750); err != nil && !os.IsExist(err) {
		return dir, false, err
	}
	return dir, true, nil
}

// temporary is a pair under names that a start removes.
type temporary struct {
	dump, sidecar *os.File
	size          int64
	sum           string
}

// drop closes the files and removes what was not renamed.
func (t *temporary) drop() {
	for _, f := range []*os.File{t.dump, t.sidecar} {
		if f != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}
}

func (s *Store) fill(t *temporary, dir string, body io.Reader, size int64) (err error) {
	if t.dump, err = os.CreateTemp(dir, ".*.d"); err != nil {
		return err
	}
	if size > 0 {
		// A full disk says so here, before the device has sent anything. File systems that cannot are written as usual.
		err := unix.Fallocate(int(t.dump.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
			return err
		}
	}
	hash := sha256.New()
	t.size, err = io.Copy(io.MultiWriter(t.dump, hash), io.LimitReader(body, s.MaxBytes+1))
	switch {
	case err != nil:
		return err
	case t.size == 0:
		return fleet.Refused("the dump is empty")
	case t.size > s.MaxBytes:
		return s.tooLarge()
	case size >= 0 && t.size != size:
		return io.ErrUnexpectedEOF
	}
	t.sum = hex.EncodeToString(hash.Sum(nil))
	if t.sidecar, err = os.CreateTemp(dir, ".*.j"); err != nil {
		return err
	}
	for _, f := range []*os.File{t.dump, t.sidecar} {
		if err := f.Chmod(0o640); err != nil {
			return err
		}
	}
	return nil
}

// publish gives the pair its name: the later of now and the device's last name plus a microsecond. The name stands in the
// sidecar, so the sidecar is written for a name that is reserved first.
func (s *Store) publish(d *fleet.Dump, dir string, t *temporary) error {
	at := s.reserveName(d.Device, s.Now())
	for {
		d.UploadedAt = at
		if err := t.writeSidecar(*d); err != nil {
			return err
		}
		if err := t.syncBoth(); err != nil {
			return err
		}
		base := filepath.Join(dir, string(d.Name()))
		err := renameNew(t.dump.Name(), base+dumpSuffix)
		if errors.Is(err, unix.EEXIST) { // left by hand, or by a clock that ran back before a restart
			at = s.reserveName(d.Device, at.Add(time.Microsecond))
			continue
		}
		if err != nil {
			return err
		}
		if err := renameNew(t.sidecar.Name(), base+sidecarSuffix); err != nil {
			os.Remove(base + dumpSuffix)
			return err
		}
		t.dump.Close()
		t.sidecar.Close()
		s.shelve(d.Device, pair{micros: at.UnixMicro(), bytes: t.size + sidecarRoom})
		t.dump, t.sidecar = nil, nil
		return nil
	}
}

// sidecarRoom is what a sidecar takes on disk: one block.
const sidecarRoom = 4096

func (t *temporary) writeSidecar(d fleet.Dump) error {
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := t.sidecar.Truncate(0); err != nil {
		return err
	}
	_, err = t.sidecar.WriteAt(append(b, '\n'), 0)
	return err
}

// syncBoth lets the disk order the two as it likes: one wait instead of two.
func (t *temporary) syncBoth() error {
	done := make(chan error, 1)
	go func() { done <- unix.Fdatasync(int(t.sidecar.Fd())) }()
	err := unix.Fdatasync(int(t.dump.Fd()))
	return errors.Join(err, <-done)
}

// reserveName takes the next free microsecond of a device, not before at.
func (s *Store) reserveName(key fleet.DeviceKey, at time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shelfOf(key)
	micros := max(at.UnixMicro(), sh.last+1)
	sh.last = micros
	return time.UnixMicro(micros).UTC()
}

func (s *Store) shelve(key fleet.DeviceKey, p pair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shelfOf(key)
	i := sort.Search(len(sh.pairs), func(i int) bool { return sh.pairs[i].micros >= p.micros })
	sh.pairs = append(sh.pairs, pair{})
	copy(sh.pairs[i+1:], sh.pairs[i:])
	sh.pairs[i] = p
	s.bytes += p.bytes
}

// reserve books bytes that are about to be written, so that uploads at once do not each count on the same room.
func (s *Store) reserve(n int64) {
	s.mu.Lock()
	s.pending += n
	s.mu.Unlock()
}

func renameNew(from, to string) error {
	return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
}

// ReadSidecar takes a sidecar apart; unknown members are fine, as later versions add some.
func ReadSidecar(b []byte) (fleet.Dump, error) {
	var d fleet.Dump
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&d); err != nil {
		return d, fmt.Errorf("sidecar: %w", err)
	}
	return d, nil
}
