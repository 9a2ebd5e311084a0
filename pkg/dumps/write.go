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

// write is Write on a disk that is trusted.
func (s *Store) write(ctx context.Context, d fleet.Dump, body io.Reader, size int64) (fleet.Dump, error) {
	if size > s.options.MaxBytes {
		return d, s.tooLarge()
	}
	expected := size
	if expected < 0 {
		expected = s.options.MaxBytes
	}
	// Nothing has to make room yet: these may be bytes that are stored already.
	if err := s.book(ctx, d.Device, expected, s.options.Reserve/2); err != nil {
		return d, err
	}
	booked := true
	defer func() {
		if booked {
			s.unbook(expected)
		}
	}()
	dir, fresh, err := s.deviceDir(d.Device)
	if err != nil {
		return d, fleet.OfDisk(err)
	}
	t := &arrival{}
	defer t.drop()
	if err := s.fill(t, dir, body, size); err != nil {
		return d, fleet.OfDisk(err)
	}
	s.unbook(expected) // the disk itself counts them now
	booked = false
	d.Size, d.SHA256 = t.size, t.sum
	stored, known, done, err := s.same(ctx, d)
	if err != nil {
		return d, err
	}
	defer done()
	folder := s.folderOf(d.Device)
	if known { // its own upload may not be over, or was cut off before it was
		return stored, errors.Join(s.folder.Sync(s.options.Dir), folder.Sync(dir))
	}
	if err := s.makeRoom(ctx, d.Device, s.options.Reserve); err != nil {
		return d, err
	}
	if err := s.publish(&d, dir, t); err != nil {
		return d, fleet.OfDisk(err)
	}
	if fresh {
		if err := s.folder.Sync(s.options.Dir); err != nil {
			s.takeBack(d)
			return d, err
		}
	}
	if err := folder.Sync(dir); err != nil {
		s.takeBack(d)
		return d, err
	}
	s.options.Index.RecordDumpLater(d)
	s.options.Logger.Info("dump stored", "device", d.Device, "model", d.Model, "version", d.FirmwareVersion, "chip", d.Chip,
		"file", string(d.Name())+dumpSuffix, "bytes", d.Size)
	s.rotate(ctx, d)
	return d, nil
}

func (s *Store) tooLarge() error {
	return fleet.Refused("the dump is larger than %d bytes", s.options.MaxBytes)
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
	err = durable.Mkdir(dir, 0o750)
	return dir, true, err
}

// folderOf shares the syncs of the device's directory.
func (s *Store) folderOf(key fleet.DeviceKey) *durable.Folder {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &s.shelfOf(key).folder
}

// arrival is a pair under names that a start removes.
type arrival struct {
	dump, sidecar *durable.Landing
	size          int64
	sum           string
}

// drop closes the files and removes what has not landed.
func (a *arrival) drop() {
	for _, l := range []*durable.Landing{a.dump, a.sidecar} {
		if l != nil {
			l.Drop()
		}
	}
}

func (s *Store) fill(a *arrival, dir string, body io.Reader, size int64) (err error) {
	if a.dump, err = durable.Begin(dir, 0o640); err != nil {
		return err
	}
	if size > 0 {
		// A full disk says so here, before the device has sent anything. File systems that cannot are written as usual.
		err := unix.Fallocate(int(a.dump.File().Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
			return err
		}
	}
	hash := sha256.New()
	a.size, err = io.Copy(io.MultiWriter(a.dump, hash), io.LimitReader(body, s.options.MaxBytes+1))
	switch {
	case err != nil:
		return err
	case a.size == 0:
		return fleet.Refused("the dump is empty")
	case a.size > s.options.MaxBytes:
		return s.tooLarge()
	case size >= 0 && a.size != size:
		return io.ErrUnexpectedEOF
	}
	a.sum = hex.EncodeToString(hash.Sum(nil))
	a.sidecar, err = durable.Begin(dir, 0o640)
	return err
}

// publish gives the pair its name: the later of now and the device's last name plus a microsecond. The name stands in the
// sidecar, so the sidecar is written for a name that is reserved first.
func (s *Store) publish(d *fleet.Dump, dir string, a *arrival) error {
	at := s.reserveName(d.Device, s.options.Now())
	defer func() { s.settle(d.Device, at.UnixMicro()) }()
	for {
		if err := s.trusted(); err != nil { // since this upload began
			return err
		}
		d.UploadedAt = at
		content, err := json.Marshal(d)
		if err != nil {
			return err
		}
		if err := a.sidecar.Rewrite(append(content, '\n')); err != nil {
			return err
		}
		if err := durable.SyncAll(a.dump, a.sidecar); err != nil {
			return err
		}
		base := filepath.Join(dir, string(d.Name()))
		err = a.dump.New(base + dumpSuffix)
		if errors.Is(err, os.ErrExist) { // left by hand, or by a clock that ran back before a restart
			s.settle(d.Device, at.UnixMicro())
			at = s.reserveName(d.Device, at.Add(time.Microsecond))
			continue
		}
		if err != nil {
			return err
		}
		if err := a.sidecar.New(base + sidecarSuffix); err != nil {
			os.Remove(base + dumpSuffix)
			return err
		}
		s.shelve(d.Device, pair{micros: at.UnixMicro(), bytes: a.size + sidecarRoom, sum: prefixOf(d.SHA256)})
		return nil
	}
}

// sidecarRoom is what a sidecar takes on disk: one block.
const sidecarRoom = 4096

// reserveName takes the next free microsecond of a device, not before at. The name is the caller's until settle.
func (s *Store) reserveName(key fleet.DeviceKey, at time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shelfOf(key)
	micros := max(at.UnixMicro(), sh.last+1)
	for sh.moving[micros] {
		micros++
	}
	sh.last = micros
	sh.move(micros)
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

// ReadSidecar takes a sidecar apart; unknown members are fine, as later versions add some.
func ReadSidecar(b []byte) (fleet.Dump, error) {
	var d fleet.Dump
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&d); err != nil {
		return d, fmt.Errorf("sidecar: %w", err)
	}
	return d, nil
}
