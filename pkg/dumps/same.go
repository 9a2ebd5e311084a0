package dumps

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// prefixOf is the first 8 bytes of a hash in hex, which a pair has in memory; 0 where there is none.
func prefixOf(sum string) uint64 {
	b, err := hex.DecodeString(sum)
	if err != nil || len(b) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// same finds the device's stored dump that has the bytes of d. Where there is none the caller goes on to store it, and an
// upload of the same bytes that comes meanwhile waits until done is called.
func (s *Store) same(ctx context.Context, d fleet.Dump) (stored fleet.Dump, known bool, done func(), err error) {
	sum := prefixOf(d.SHA256)
	for {
		s.mu.Lock()
		sh := s.shelfOf(d.Device)
		names := sh.named(sum)
		before, busy := sh.arriving[sum]
		if !busy && len(names) == 0 {
			return fleet.Dump{}, false, s.claim(sh, sum), nil // it unlocks
		}
		s.mu.Unlock()
		for _, name := range names {
			stored, err := s.Sidecar(d.Device, name)
			var bad *damagedError
			switch {
			case err == nil && stored.SHA256 == d.SHA256 && stored.Size == d.Size:
				return stored, true, func() {}, nil
			case err != nil && !errors.Is(err, fleet.ErrUnknown) && !errors.As(err, &bad): // removed meanwhile, or damaged: no copy
				return stored, false, func() {}, err
			}
		}
		if !busy { // the same 64 bits, and other bytes
			s.mu.Lock()
			if _, busy := sh.arriving[sum]; !busy {
				return fleet.Dump{}, false, s.claim(sh, sum), nil
			}
			s.mu.Unlock()
			continue
		}
		select {
		case <-before:
		case <-ctx.Done():
			return fleet.Dump{}, false, func() {}, ctx.Err()
		}
	}
}

// claim notes that these bytes are arriving. The caller holds mu, which claim unlocks.
func (s *Store) claim(sh *shelf, sum uint64) (done func()) {
	defer s.mu.Unlock()
	arrived := make(chan struct{})
	if sh.arriving == nil {
		sh.arriving = map[uint64]chan struct{}{}
	}
	sh.arriving[sum] = arrived
	return func() {
		s.mu.Lock()
		delete(sh.arriving, sum)
		s.mu.Unlock()
		close(arrived)
	}
}

// named are the pairs whose hash begins like this. The caller holds the store's mu.
func (sh *shelf) named(sum uint64) []fleet.DumpName {
	var names []fleet.DumpName
	for _, p := range sh.pairs {
		if p.sum == sum && sum != 0 {
			names = append(names, p.name())
		}
	}
	return names
}
