package dumps

import (
	"context"
	"io"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Write stores what body has as the device's newest dump and returns when it is on stable storage: both files synced
// under temporary names, both renamed, the directory synced. size is the declared length in bytes, -1 when unknown. d
// says device, model, chip and version; the rest is filled in.
//
// The bytes of one of the device's stored dumps are that dump: it is returned, and nothing is stored. A device that never
// saw its answer sends the same again and again.
//
// A body that is empty or too long is ErrRefused, no room even after rotation ErrFull, a read error is returned as it
// is. After any of them nothing is left. A sync that failed is ErrFull, and so is every dump until [Store.Mend] has found
// that the disk works.
func (s *Store) Write(ctx context.Context, d fleet.Dump, body io.Reader, size int64) (fleet.Dump, error) {
	if err := s.trusted(); err != nil {
		return d, err
	}
	d, err := s.write(ctx, d, body, size)
	if s.guard.Note(err) {
		err = s.trusted()
	}
	return d, err
}

// trusted is nil, or the refusal of a dump.
func (s *Store) trusted() error {
	if err := s.guard.Failed(); err != nil {
		return fleet.Full("no dumps are stored, as their disk failed (%v): they are taken again once it works", err)
	}
	return nil
}

// Mend has the store written to again after a failed sync, once its disk works. It ends with ctx.
func (s *Store) Mend(ctx context.Context) error { return s.guard.Mend(ctx, s.options.Dir) }

// Fault says that dumps are refused as a sync has failed, "" when they are not.
func (s *Store) Fault() string {
	if err := s.trusted(); err != nil {
		return err.Error()
	}
	return ""
}

// takeBack removes a pair whose names could not be synced: nobody was told of it, and its device sends it again.
func (s *Store) takeBack(d fleet.Dump) {
	micros := mustMicros(d.Name())
	if _, ok := s.unshelve(d.Device, micros); !ok {
		return
	}
	defer s.settle(d.Device, micros)
	if err := finishRemoval(s.dir(d.Device), d.Name(), sidecarSuffix); err != nil {
		s.options.Logger.Debug("dump not removed after a failed sync", "device", d.Device, "file", d.Name(), "error", err)
	}
}
