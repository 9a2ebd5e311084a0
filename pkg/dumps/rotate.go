package dumps

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// rotate keeps a device's directory and all of them together within their limits, after a dump has been stored. The
// device's own limit comes first. What is too much over all devices comes from those that have most, oldest first, and
// never takes the newest pair of a device: a single crash of one device is worth more than the twentieth of another.
func (s *Store) rotate(ctx context.Context, stored fleet.Dump) {
	for {
		victim, ok := s.overDevice(stored.Device)
		if !ok {
			break
		}
		if err := s.Remove(ctx, stored.Device, victim.name()); err != nil {
			s.notRemoved(stored.Device, victim, err)
			return
		}
	}
	s.reachTargets(ctx, stored.Size+sidecarRoom)
}

// notRemoved says why an old dump was not removed. Of a full disk the gateway tells once, for all that it does not take.
func (s *Store) notRemoved(key fleet.DeviceKey, p pair, err error) {
	if !errors.Is(err, fleet.ErrFull) {
		s.options.Logger.Error("old dump not removed", "device", key, "file", p.name(), "error", err)
	}
}

// overDevice picks the pair to remove while a device holds more than KeepPerDevice: its oldest, but not the only dump of a
// crash while others remain.
func (s *Store) overDevice(key fleet.DeviceKey) (pair, bool) {
	s.mu.Lock()
	sh := s.shelfOf(key)
	if len(sh.pairs) <= s.options.KeepPerDevice {
		s.mu.Unlock()
		return pair{}, false
	}
	old := append([]pair(nil), sh.pairs[:len(sh.pairs)-1]...) // never the newest
	s.mu.Unlock()
	for _, p := range old {
		first, last, err := s.options.Index.EndsOfCrash(key, p.name())
		if err != nil || !first || !last {
			return p, true
		}
	}
	if len(old) == 0 {
		return pair{}, false
	}
	return old[0], true
}

// Remove removes a dump with its sidecar and report. The record goes before the files, as that is where it is told who
// removed them; a removal that is cut off is finished by the next start.
func (s *Store) Remove(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName) error {
	micros, err := name.Time()
	if err != nil {
		return err
	}
	p, ok := s.unshelve(key, micros.UnixMicro())
	if !ok {
		return fleet.Unknown("dump %s of device %s is not here", name, key)
	}
	defer s.settle(key, p.micros)
	base := filepath.Join(s.dir(key), string(name))
	if err := os.Rename(base+sidecarSuffix, goneName(s.dir(key), name)); err != nil {
		s.shelve(key, p)
		return err
	}
	s.noteRead(key, name, nil)
	err = s.options.Index.RemoveDump(ctx, key, name)
	return errors.Join(err, finishRemoval(s.dir(key), name)) // on a full disk the files are what makes room
}

// unshelve forgets a pair; of two that remove it at once one wins, and the name is its own until settle.
func (s *Store) unshelve(key fleet.DeviceKey, micros int64) (p pair, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.devices[key]
	if sh == nil {
		return pair{}, false
	}
	for i, p := range sh.pairs {
		if p.micros == micros {
			sh.pairs = append(sh.pairs[:i], sh.pairs[i+1:]...)
			s.bytes -= p.bytes
			sh.move(micros)
			return p, true
		}
	}
	return pair{}, false
}

const goneSuffix = ".gone"

// goneName is the sidecar's name while its pair is being removed. It tells the next start that the lone .dmp beside it
// is no upload that was cut off but a removal.
func goneName(dir string, name fleet.DumpName) string {
	return filepath.Join(dir, "."+string(name)+goneSuffix)
}

func finishRemoval(dir string, name fleet.DumpName, more ...string) error {
	base := filepath.Join(dir, string(name))
	paths := []string{base + reportSuffix, base + dumpSuffix, goneName(dir, name)}
	for _, suffix := range more {
		paths = append(paths, base+suffix)
	}
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
