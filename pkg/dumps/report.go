package dumps

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// WriteReport lays a report beside its dump. It is derived and made again at need, so that it is renamed into place
// but not synced. A dump that is gone gets none.
func (s *Store) WriteReport(key fleet.DeviceKey, name fleet.DumpName, report []byte) error {
	path := filepath.Join(s.dir(key), file(name, reportSuffix))
	f, err := os.CreateTemp(s.dir(key), ".*.r")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(report)
	if err := errors.Join(err, f.Chmod(0o640), f.Close()); err != nil {
		return fleet.OfDisk(err)
	}
	s.mu.Lock() // a removal takes the pair off its shelf first, then its files: no report comes to lie alone
	defer s.mu.Unlock()
	if !s.shelved(key, name) {
		return fleet.Unknown("dump %s of device %s is not here", name, key)
	}
	return os.Rename(f.Name(), path)
}

// ReadReport returns the report that lies beside a dump.
func (s *Store) ReadReport(key fleet.DeviceKey, name fleet.DumpName) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(s.dir(key), file(name, reportSuffix)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fleet.Unknown("dump %s of device %s has no report yet", name, key)
	}
	return b, err
}

// shelved reports that the pair is there. The caller holds mu.
func (s *Store) shelved(key fleet.DeviceKey, name fleet.DumpName) bool {
	sh := s.devices[key]
	if sh == nil {
		return false
	}
	micros := mustMicros(name)
	for _, p := range sh.pairs {
		if p.micros == micros {
			return true
		}
	}
	return false
}
