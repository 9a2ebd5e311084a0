package dumps

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// indexed is what the index says of a device's dumps: size and hash.
type indexed map[fleet.DumpName]fleet.Dump

// recover makes disk, memory and index agree. Temporary names are removed, removals finished; a .dmp without a sidecar
// was never acknowledged and goes to quarantine, a sidecar without its dump or with another hash goes there with an
// alarm. Pairs that the index has and that are older than the last clean stop are checked by existence and size, the
// others by hash.
func (s *Store) recover(ctx context.Context) error {
	known, err := s.indexedByDevice()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(s.options.Dir)
	if err != nil {
		return err
	}
	var full atomic.Int64 // devices that the index could not be told of: a full disk is no reason not to start, and Reconcile tells it later
	behind := func(err error) error {
		if err = fleet.OfDisk(err); errors.Is(err, fleet.ErrFull) {
			full.Add(1)
			return nil
		}
		return err
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(runtime.GOMAXPROCS(0)) // a start waits for 10,000 directories: most of it are system calls
	for _, e := range entries {
		key, err := fleet.ParseDeviceKey(e.Name())
		if err != nil || !e.IsDir() {
			continue // quarantine, lost+found, what people leave
		}
		if ctx.Err() != nil {
			break // one has failed
		}
		dumps := known[key]
		delete(known, key)
		work.Go(func() error {
			if err := behind(s.recoverDevice(ctx, key, dumps)); err != nil {
				return fmt.Errorf("device %s: %w", key, err)
			}
			return nil
		})
	}
	for key, dumps := range known { // the directory is gone
		work.Go(func() error { return behind(s.forget(ctx, key, dumps)) })
	}
	if err := work.Wait(); err != nil {
		return err
	}
	if full.Load() > 0 {
		s.options.Logger.Warn("index of dumps not made to agree: the disk is full", "devices", full.Load())
	}
	return nil
}

func (s *Store) indexedByDevice() (map[fleet.DeviceKey]indexed, error) {
	known := map[fleet.DeviceKey]indexed{}
	err := s.options.Index.EachDump(func(d fleet.Dump) error {
		if known[d.Device] == nil {
			known[d.Device] = indexed{}
		}
		known[d.Device][d.Name()] = fleet.Dump{Size: d.Size, SHA256: d.SHA256}
		return nil
	})
	return known, err
}

func (s *Store) forget(ctx context.Context, key fleet.DeviceKey, dumps indexed) error {
	for name := range dumps {
		if err := s.options.Index.RemoveDump(ctx, key, name); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) recoverDevice(ctx context.Context, key fleet.DeviceKey, known indexed) error {
	dir := s.dir(key)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	sidecars := map[fleet.DumpName]bool{}
	dumps := map[fleet.DumpName]fs.DirEntry{}
	for _, e := range entries {
		file := e.Name()
		if rest, hidden := strings.CutPrefix(file, "."); hidden {
			if err := mendHidden(dir, file, rest); err != nil {
				return err
			}
			continue
		}
		base, suffix := splitSuffix(file)
		name, err := fleet.ParseDumpName(base)
		switch {
		case err != nil:
		case suffix == dumpSuffix:
			dumps[name] = e
		case suffix == sidecarSuffix:
			sidecars[name] = true
		}
	}
	var missing []fleet.Dump
	for name, e := range dumps {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // its removal has just been finished
		}
		if err != nil {
			return err
		}
		d, found, err := s.check(key, name, info, sidecars[name], known)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		delete(sidecars, name)
		if _, has := known[name]; !has {
			missing = append(missing, d)
		}
		delete(known, name)
		s.keep(key, name, d)
	}
	for name := range sidecars {
		if dumps[name] != nil {
			continue // quarantined with its dump
		}
		s.missOne()
		s.options.Logger.Error("dump lost: only its sidecar is left", "device", key, "file", file(name, sidecarSuffix))
		if err := s.quarantine(key, file(name, sidecarSuffix)); err != nil {
			return err
		}
	}
	if err := s.forget(ctx, key, known); err != nil {
		return err
	}
	if len(missing) > 0 {
		return s.options.Index.RecordDumps(ctx, missing)
	}
	return nil
}

func file(name fleet.DumpName, suffix string) string { return string(name) + suffix }

func splitSuffix(file string) (base, suffix string) {
	for _, suffix := range []string{dumpSuffix, sidecarSuffix, reportSuffix} {
		if base, ok := strings.CutSuffix(file, suffix); ok {
			return base, suffix
		}
	}
	return file, ""
}

// mendHidden finishes a removal and removes every other temporary name.
func mendHidden(dir, file, rest string) error {
	if base, ok := strings.CutSuffix(rest, goneSuffix); ok {
		if name, err := fleet.ParseDumpName(base); err == nil {
			return finishRemoval(dir, name)
		}
	}
	return os.Remove(filepath.Join(dir, file))
}

// check decides whether a pair is whole. What is not goes to quarantine.
func (s *Store) check(key fleet.DeviceKey, name fleet.DumpName, info fs.FileInfo, sidecar bool, known indexed) (d fleet.Dump, whole bool, err error) {
	if _, has := known[name]; !sidecar && has {
		s.missOne()
		s.options.Logger.Error("dump quarantined: its sidecar is lost", "device", key, "file", info.Name())
		return d, false, s.quarantine(key, info.Name())
	}
	if !sidecar {
		s.options.Logger.Warn("dump quarantined: its upload was cut off", "device", key, "file", info.Name())
		return d, false, s.quarantine(key, info.Name())
	}
	at, err := name.Time()
	if err != nil {
		return d, false, err
	}
	if d, has := known[name]; has && d.Size == info.Size() && at.Before(s.options.CleanStop) {
		return d, true, nil
	}
	d, err = s.verify(key, name)
	var bad *damagedError
	if errors.As(err, &bad) {
		s.missOne()
		s.options.Logger.Error("dump quarantined: it is damaged", "device", key, "file", info.Name(), "reason", bad.reason)
		return d, false, errors.Join(s.quarantine(key, info.Name()), s.quarantine(key, file(name, sidecarSuffix)))
	}
	s.noteRead(key, name, err)
	if err != nil { // what the index knows of one that cannot be read is left as it is
		d, whole = known[name]
		d.Device, d.UploadedAt = key, at
		return d, whole, nil
	}
	return d, true, nil
}

// keep puts a pair that is whole on its shelf.
func (s *Store) keep(key fleet.DeviceKey, name fleet.DumpName, d fleet.Dump) {
	at, err := name.Time()
	if err != nil {
		return // ParseDumpName made it
	}
	s.shelve(key, pair{micros: at.UnixMicro(), bytes: d.Size + sidecarRoom, sum: prefixOf(d.SHA256)})
	s.mu.Lock()
	sh := s.devices[key]
	sh.last = max(sh.last, at.UnixMicro())
	s.mu.Unlock()
}

// quarantine moves a file out of a device's directory, where a person can look at it.
func (s *Store) quarantine(key fleet.DeviceKey, name string) error {
	to := filepath.Join(s.options.Dir, quarantine, string(key))
	if err := os.MkdirAll(to, 0o750); err != nil {
		return err
	}
	return os.Rename(filepath.Join(s.dir(key), name), filepath.Join(to, name))
}
