package dumps

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Reconcile makes disk, memory and index agree once more, while the store is in use: one device after the other, and no
// lock is held while a file is read. Names that an upload, a removal or the background check is working on are left to
// it, and temporary names to the next start: they may be uploads on their way. A pair that memory and index have, in its
// size, is taken as it is; others are hashed, with a pause after each.
func (s *Store) Reconcile(ctx context.Context) error {
	s.reconciling.Lock()
	defer s.reconciling.Unlock()
	// The index is read before the disk: what it has by now was on disk by now.
	known, err := s.indexedByDevice()
	if err != nil {
		return err
	}
	keys, err := s.allDevices(known)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := s.reconcileDevice(ctx, key, known[key]); err != nil {
			return fmt.Errorf("device %s: %w", key, err)
		}
	}
	return nil
}

// allDevices are those that disk, memory or index have a dump of.
func (s *Store) allDevices(known map[fleet.DeviceKey]indexed) ([]fleet.DeviceKey, error) {
	entries, err := os.ReadDir(s.options.Dir)
	if err != nil {
		return nil, err
	}
	var keys []fleet.DeviceKey
	for _, e := range entries {
		if key, err := fleet.ParseDeviceKey(e.Name()); err == nil && e.IsDir() {
			keys = append(keys, key)
		}
	}
	for key := range known {
		keys = append(keys, key)
	}
	s.mu.Lock()
	for key := range s.devices {
		keys = append(keys, key)
	}
	s.mu.Unlock()
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

func (s *Store) reconcileDevice(ctx context.Context, key fleet.DeviceKey, known indexed) error {
	names, err := s.allNames(key, known)
	if err != nil {
		return err
	}
	var missing []fleet.Dump
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, has := known[name]
		d, whole, err := s.reconcileName(ctx, key, name, has)
		if err != nil {
			return err
		}
		if whole && !has {
			missing = append(missing, d)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := s.options.Index.RecordDumps(ctx, missing); err != nil {
		return err
	}
	for _, d := range missing { // a removal that came meanwhile may have told the index before it was told here
		if !s.isShelved(key, d.Name()) {
			if err := s.options.Index.RemoveDump(ctx, key, d.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// allNames are those that a device's directory, the memory or the index has, oldest first.
func (s *Store) allNames(key fleet.DeviceKey, known indexed) ([]fleet.DumpName, error) {
	entries, err := os.ReadDir(s.dir(key))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []fleet.DumpName
	for _, e := range entries {
		base, suffix := splitSuffix(e.Name())
		if hidden, ok := strings.CutPrefix(e.Name(), "."); ok {
			base, suffix = strings.TrimSuffix(hidden, goneSuffix), goneSuffix
		}
		if name, err := fleet.ParseDumpName(base); err == nil && suffix != reportSuffix {
			names = append(names, name)
		}
	}
	for name := range known {
		names = append(names, name)
	}
	s.mu.Lock()
	if sh := s.devices[key]; sh != nil {
		for _, p := range sh.pairs {
			names = append(names, p.name())
		}
	}
	s.mu.Unlock()
	slices.Sort(names)
	return slices.Compact(names), nil
}

// reconcileName looks at one name; whole says that there is a pair, and that d is known of it where the index lacks it.
func (s *Store) reconcileName(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName, has bool) (d fleet.Dump, whole bool, err error) {
	if bytes, shelved := s.shelvedBytes(key, name); shelved {
		info, err := s.wholePair(key, name)
		if err != nil {
			return d, false, err
		}
		if info != nil && info.Size()+sidecarRoom == bytes {
			if has {
				return d, true, nil
			}
			if d, err = s.verifyGently(ctx, key, name); err == nil {
				return d, true, nil
			}
			var bad *damagedError
			if errors.Is(err, fleet.ErrUnknown) { // removed meanwhile
				return d, false, nil
			}
			if !errors.As(err, &bad) {
				return d, false, s.leave(ctx, key, name, err)
			}
		}
		p, ok := s.unshelve(key, mustMicros(name))
		if !ok { // removed meanwhile
			return d, false, nil
		}
		defer s.settle(key, p.micros)
		d, whole, err = s.reconcileTaken(ctx, key, name, has)
		if s.cannotBeRead(key, name) {
			s.shelve(key, p)
		}
		return d, whole, err
	}
	if !s.take(key, name) {
		return d, false, nil
	}
	defer s.settle(key, mustMicros(name))
	return s.reconcileTaken(ctx, key, name, has)
}

// reconcileTaken looks at a name that nobody else works on, and that memory does not have.
func (s *Store) reconcileTaken(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName, has bool) (d fleet.Dump, whole bool, err error) {
	dir := s.dir(key)
	if there, err := exists(goneName(dir, name)); err != nil {
		return d, false, err
	} else if there {
		if err := finishRemoval(dir, name); err != nil {
			return d, false, err
		}
	}
	dump, err := exists(filepath.Join(dir, file(name, dumpSuffix)))
	if err != nil {
		return d, false, err
	}
	sidecar, err := exists(filepath.Join(dir, file(name, sidecarSuffix)))
	if err != nil {
		return d, false, err
	}
	reason := "its upload was cut off"
	switch {
	case dump && sidecar:
		d, err = s.verifyGently(ctx, key, name)
		var bad *damagedError
		if err == nil {
			s.noteRead(key, name, nil)
			s.keep(key, name, d)
			return d, true, nil
		}
		if !errors.As(err, &bad) {
			return d, false, s.leave(ctx, key, name, err)
		}
		s.noteRead(key, name, nil)
		reason = bad.reason
	case sidecar:
		reason = "only its sidecar is left"
	case has && dump:
		reason = "its sidecar is lost"
	case has:
		s.options.Logger.Error("dump lost: its files are not on the disk", "device", key, "file", file(name, dumpSuffix))
	}
	for suffix, there := range map[string]bool{dumpSuffix: dump, sidecarSuffix: sidecar} {
		if !there {
			continue
		}
		s.options.Logger.Error("dump quarantined", "device", key, "file", file(name, suffix), "reason", reason)
		if err := s.quarantine(key, file(name, suffix)); err != nil {
			return d, false, err
		}
	}
	if has {
		return d, false, s.options.Index.RemoveDump(ctx, key, name)
	}
	return d, false, nil
}

// leave leaves a pair that cannot be read where it is: the others are looked at.
func (s *Store) leave(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName, err error) error {
	if ctx.Err() == nil {
		s.noteRead(key, name, err)
	}
	return ctx.Err()
}

func (s *Store) cannotBeRead(key fleet.DeviceKey, name fleet.DumpName) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unread[s.Path(key, name)] != ""
}

// wholePair is the dump's file, nil where it or its sidecar is missing.
func (s *Store) wholePair(key fleet.DeviceKey, name fleet.DumpName) (fs.FileInfo, error) {
	info, err := os.Lstat(s.Path(key, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	there, err := exists(filepath.Join(s.dir(key), file(name, sidecarSuffix)))
	if err != nil || !there {
		return nil, err
	}
	return info, nil
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// verifyGently rests after a pair as long as reading it has taken: devices and people come first.
func (s *Store) verifyGently(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName) (fleet.Dump, error) {
	began := time.Now()
	d, err := s.verify(key, name)
	select {
	case <-ctx.Done():
		return d, ctx.Err()
	case <-time.After(time.Since(began)):
	}
	return d, err
}

// take claims a name that memory does not have and that nobody works on, until settle is called.
func (s *Store) take(key fleet.DeviceKey, name fleet.DumpName) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shelfOf(key)
	micros := mustMicros(name)
	if sh.moving[micros] || s.shelved(key, name) {
		return false
	}
	sh.move(micros)
	return true
}

// move notes that somebody works on the files of a name. The caller holds the store's mu.
func (sh *shelf) move(micros int64) {
	if sh.moving == nil {
		sh.moving = map[int64]bool{}
	}
	sh.moving[micros] = true
}

// settle says that the files of a name are what memory says again.
func (s *Store) settle(key fleet.DeviceKey, micros int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.shelfOf(key).moving, micros)
}

func (s *Store) isShelved(key fleet.DeviceKey, name fleet.DumpName) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shelved(key, name)
}

func (s *Store) shelvedBytes(key fleet.DeviceKey, name fleet.DumpName) (bytes int64, shelved bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	micros := mustMicros(name)
	if sh := s.devices[key]; sh != nil {
		for _, p := range sh.pairs {
			if p.micros == micros {
				return p.bytes, true
			}
		}
	}
	return 0, false
}
