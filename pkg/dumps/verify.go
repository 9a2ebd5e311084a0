package dumps

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// damagedError is a pair that is not what its sidecar says.
type damagedError struct{ reason string }

func (e *damagedError) Error() string { return e.reason }

// verify reads a pair whole and compares it with its sidecar.
func (s *Store) verify(key fleet.DeviceKey, name fleet.DumpName) (fleet.Dump, error) {
	d, err := s.Sidecar(key, name)
	if err != nil {
		return d, err
	}
	f, err := s.OpenDump(key, name)
	if err != nil {
		return d, err
	}
	defer f.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, f)
	if err != nil {
		return d, err
	}
	switch {
	case n != d.Size:
		return d, &damagedError{fmt.Sprintf("%d bytes, the sidecar says %d", n, d.Size)}
	case hex.EncodeToString(hash.Sum(nil)) != d.SHA256:
		return d, &damagedError{"its hash is not the sidecar's"}
	case d.Device != key || d.Name() != name:
		return d, &damagedError{"its sidecar is another dump's"}
	}
	return d, nil
}

// Sidecar reads what is known of a dump.
func (s *Store) Sidecar(key fleet.DeviceKey, name fleet.DumpName) (fleet.Dump, error) {
	const most = 64 << 10 // far above what is ever written
	f, err := os.Open(filepath.Join(s.dir(key), file(name, sidecarSuffix)))
	if errors.Is(err, fs.ErrNotExist) {
		return fleet.Dump{}, fleet.Unknown("dump %s of device %s is not here", name, key)
	}
	if err != nil {
		return fleet.Dump{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return fleet.Dump{}, err
	}
	d, err := ReadSidecar(b)
	if err != nil {
		return d, &damagedError{err.Error()}
	}
	return d, nil
}

// Verify reads every pair once and compares its hash with the sidecar, at most 5 MB a second, so that it disturbs
// nobody. One that cannot be read stays where it is, and is [Store.Trouble]. It ends with ctx or after the last pair. The
// error is the first that kept a damaged pair from quarantine, or the index from being told: the others were looked at.
func (s *Store) Verify(ctx context.Context) (first error) {
	const rate = 5 << 20 // bytes a second
	for key, names := range s.listed() {
		for _, name := range names {
			d, err := s.verify(key, name)
			var bad *damagedError
			if errors.As(err, &bad) {
				err = s.remove(ctx, key, name, bad)
				if first == nil && err != nil {
					first = fmt.Errorf("damaged dump %s of device %s: %w", name, key, err)
				}
			} else {
				s.noteRead(key, name, err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Duration(d.Size+sidecarRoom) * time.Second / rate):
			}
		}
	}
	return first
}

// remove takes a damaged pair to quarantine, and from the index.
func (s *Store) remove(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName, bad *damagedError) error {
	p, ok := s.unshelve(key, mustMicros(name))
	if !ok {
		return nil // removed meanwhile
	}
	defer s.settle(key, p.micros)
	if err := errors.Join(s.quarantine(key, file(name, dumpSuffix)), s.quarantine(key, file(name, sidecarSuffix))); err != nil {
		s.shelve(key, p) // it is looked at again
		return err
	}
	s.noteRead(key, name, nil)
	s.missOne()
	s.options.Logger.Error("dump quarantined: it is damaged", "device", key, "file", file(name, dumpSuffix), "reason", bad.reason)
	return s.options.Index.RemoveDump(ctx, key, name)
}

// noteRead remembers that a pair cannot be read, and forgets it where it can. The journal is told once of each.
func (s *Store) noteRead(key fleet.DeviceKey, name fleet.DumpName, err error) {
	path := s.Path(key, name)
	s.mu.Lock()
	before := s.unread[path]
	if err == nil || errors.Is(err, fleet.ErrUnknown) { // removed meanwhile
		delete(s.unread, path)
		s.mu.Unlock()
		return
	}
	if s.unread == nil {
		s.unread = map[string]string{}
	}
	s.unread[path] = err.Error()
	s.mu.Unlock()
	if before == "" {
		s.options.Logger.Error("dump cannot be read, and is left where it is", "device", key, "file", file(name, dumpSuffix), "error", err)
	}
}

func mustMicros(name fleet.DumpName) int64 {
	at, _ := name.Time() // listed names were made from times
	return at.UnixMicro()
}

// listed is a copy of all names, oldest first within a device.
func (s *Store) listed() map[fleet.DeviceKey][]fleet.DumpName {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[fleet.DeviceKey][]fleet.DumpName, len(s.devices))
	for key, sh := range s.devices {
		names := make([]fleet.DumpName, len(sh.pairs))
		for i, p := range sh.pairs {
			names[i] = p.name()
		}
		sort.Slice(names, func(i, j int) bool { return names[i] < names[j] })
		all[key] = names
	}
	return all
}
