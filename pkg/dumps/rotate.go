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
func (s *Store) rotate(ctx context.Context, key fleet.DeviceKey) {
	for {
		victim, ok := s.overDevice(key)
		if !ok {
			break
		}
		if err := s.Remove(ctx, key, victim.name()); err != nil {
			s.Logger.Error("old dump not removed", "device", key, "file", victim.name(), "error", err)
			return
		}
	}
	s.reachTargets(ctx)
}

// overDevice picks what a device has too much: its oldest pair, but while others remain not the last dump of a crash.
func (s *Store) overDevice(key fleet.DeviceKey) (pair, bool) {
	s.mu.Lock()
	sh := s.shelfOf(key)
	if len(sh.pairs) <= s.KeepPerDevice {
		s.mu.Unlock()
		return pair{}, false
	}
	old := append([]pair(nil), sh.pairs[:len(sh.pairs)-1]...) // never the newest
	s.mu.Unlock()
	for _, p := range old {
		last, err := s.Index.LastOfItsCrash(key, p.name())
		if err != nil || !last {
			return p, true
		}
	}
	if len(old) == 0 {
		return pair{}, false
	}
	return old[0], true
}

// reachTargets removes pairs until dumps.max_use and dumps.keep_free hold, or nothing may go any more, which is said once.
func (s *Store) reachTargets(ctx context.Context) {
	for {
		missing, err := s.missing()
		if err != nil || missing == "" {
			s.note("")
			return
		}
		if !s.removeFromFullest(ctx) {
			s.note(missing)
			return
		}
	}
}

// missing says which target does not hold.
func (s *Store) missing() (string, error) {
	free, total, err := s.Space()
	if err != nil {
		return "", err
	}
	switch {
	case s.Usage() > s.MaxUse(total):
		return "the dumps take more than dumps.max_use, and each device's newest stays", nil
	case free < s.KeepFree(total):
		return "less is free than dumps.keep_free asks for, and each device's newest dump stays", nil
	}
	return "", nil
}

func (s *Store) note(trouble string) {
	s.mu.Lock()
	said := s.short == trouble
	s.short = trouble
	s.mu.Unlock()
	if !said && trouble != "" {
		s.Logger.Warn("rotation cannot reach its target", "reason", trouble)
	}
}

// removeFromFullest removes the oldest pair of the device that has most, if any has more than one.
func (s *Store) removeFromFullest(ctx context.Context) bool {
	var fullest fleet.DeviceKey
	var oldest pair
	most := 1
	s.mu.Lock()
	for key, sh := range s.devices {
		n := len(sh.pairs)
		if n > most || n == most && n > 1 && sh.pairs[0].micros < oldest.micros {
			fullest, most, oldest = key, n, sh.pairs[0]
		}
	}
	s.mu.Unlock()
	if most == 1 {
		return false
	}
	if err := s.Remove(ctx, fullest, oldest.name()); err != nil {
		s.Logger.Error("old dump not removed", "device", fullest, "file", oldest.name(), "error", err)
		return false
	}
	return true
}

// makeRoom books the bytes of an upload. It refuses only below the reserve, and only when rotation has nothing left.
func (s *Store) makeRoom(ctx context.Context, key fleet.DeviceKey, n int64) error {
	for {
		free, _, err := s.Space()
		if err != nil {
			return err
		}
		s.mu.Lock()
		if free-s.pending-n >= s.Reserve {
			s.pending += n
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
		if !s.removeFromFullest(ctx) {
			return fleet.Full("no room for a dump of device %s: less than the reserve of %d MiB is free and rotation has nothing left", key, s.Reserve>>20)
		}
	}
}

// Remove removes a dump with its sidecar and report. A removal that is cut off is finished by the next start.
func (s *Store) Remove(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName) error {
	micros, err := name.Time()
	if err != nil {
		return err
	}
	if !s.unshelve(key, micros.UnixMicro()) {
		return fleet.Unknown("dump %s of device %s is not here", name, key)
	}
	base := filepath.Join(s.dir(key), string(name))
	if err := os.Rename(base+sidecarSuffix, goneName(s.dir(key), name)); err != nil {
		return err
	}
	if err := finishRemoval(s.dir(key), name); err != nil {
		return err
	}
	return s.Index.RemoveDump(ctx, key, name)
}

// unshelve forgets a pair; of two that remove it at once one wins.
func (s *Store) unshelve(key fleet.DeviceKey, micros int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.devices[key]
	if sh == nil {
		return false
	}
	for i, p := range sh.pairs {
		if p.micros == micros {
			sh.pairs = append(sh.pairs[:i], sh.pairs[i+1:]...)
			s.bytes -= p.bytes
			return true
		}
	}
	return false
}

const goneSuffix = ".gone"

// goneName is the sidecar's name while its pair is being removed. It tells the next start that the lone .dmp beside it
// is no upload that was cut off but a removal.
func goneName(dir string, name fleet.DumpName) string {
	return filepath.Join(dir, "."+string(name)+goneSuffix)
}

func finishRemoval(dir string, name fleet.DumpName) error {
	base := filepath.Join(dir, string(name))
	for _, path := range []string{base + reportSuffix, base + dumpSuffix, goneName(dir, name)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
