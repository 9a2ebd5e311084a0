package depot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Accept takes a bundle, a plain image, or the ELF of one that is here. It returns *fleet.Error: ErrUnknown for a model that is not known, ErrRefused
// for what can never be taken, ErrTaken for a version that has other bytes, ErrFull without room; any other error is the
// disk's or the sender's.
func (d *Depot) Accept(ctx context.Context, s fleet.Submission) (fleet.Accepted, error) {
	if err := d.trusted(); err != nil {
		return fleet.Accepted{}, err
	}
	accepted, err := d.accept(ctx, s)
	return accepted, d.note(err)
}

func (d *Depot) accept(ctx context.Context, s fleet.Submission) (fleet.Accepted, error) {
	if s.Model != "" {
		if _, err := d.options.Recorder.Model(s.Model); err != nil {
			return fleet.Accepted{}, err
		}
	}
	if err := d.room(max(s.Size, 0)); err != nil {
		return fleet.Accepted{}, err
	}
	t, size, sum, err := d.spool(s)
	if err != nil {
		return fleet.Accepted{}, err
	}
	defer t.Drop()
	head := make([]byte, 4)
	if _, err := t.File().ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return fleet.Accepted{}, err
	}
	switch string(head) {
	case "PK\x03\x04":
		return d.acceptBundle(ctx, s, t, size, sum)
	case "\x7fELF":
		return d.acceptELF(ctx, s, t, sum)
	}
	return d.acceptImage(ctx, s, t, size, sum)
}

// room refuses before anything is written what would take the disk below its reserve.
func (d *Depot) room(n int64) error {
	free, _, err := d.options.Space()
	if err != nil {
		return err
	}
	if free-n < d.options.Reserve {
		return fleet.Full("no room for firmware: less than %d MiB would stay free", d.options.Reserve>>20)
	}
	return nil
}

// spool lands the body under a temporary name beside its destination, bounded by what it is and not by what it claims. It
// returns its hash as well.
func (d *Depot) spool(s fleet.Submission) (t *durable.Landing, size int64, sum string, err error) {
	if s.Size > d.options.MaxBytes {
		return nil, 0, "", fleet.Refused("the upload is larger than %d bytes", d.options.MaxBytes)
	}
	if t, err = durable.Begin(d.options.Dir, fileMode); err != nil {
		return nil, 0, "", err
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(t, hash), io.LimitReader(s.Body, d.options.MaxBytes+1))
	switch {
	case err != nil:
	case n == 0:
		err = fleet.Refused("the upload is empty")
	case n > d.options.MaxBytes:
		err = fleet.Refused("the upload is larger than %d bytes", d.options.MaxBytes)
	case s.Size >= 0 && n != s.Size:
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		t.Drop()
		return nil, 0, "", err
	}
	return t, n, hex.EncodeToString(hash.Sum(nil)), nil
}

// fits refuses an image for another chip or project than the model's first build pinned.
func fits(m fleet.Model, chip, project string) error {
	if m.Chip != "" && !fleet.SameChip(m.Chip, chip) {
		return fleet.Refused("the image is for %s and model %s is %s", chip, m.Code, m.Chip)
	}
	if m.Project != "" && m.Project != project {
		return fleet.Refused("the image is of project %q and model %s runs %q", project, m.Code, m.Project)
	}
	return nil
}
