package crash

import (
	"context"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// DecodeAgain has a dump decoded anew, in whatever state it is, as whoever acts wants it. It is noted before it is done, so
// that a restart forgets nobody, and counts no crash twice. One that waits for its turn as it is needs no more.
func (t *Triage) DecodeAgain(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName) error {
	err := t.options.Store.AskAgain(ctx, key, name)
	if err == nil {
		t.Wake()
	}
	return err
}

// AskedAgain is what becomes of the dumps of a group that somebody wants decoded anew.
type AskedAgain struct {
	Dumps int // that are decoded in their turn
	Kept  int // dumps of the group that are there
	Next  Ref // the last of those, where there are more behind it
}

// mostAsked dumps of a group are asked for at once: so long nothing else is written.
const mostAsked = 500

// DecodeGroupAgain does so for the dumps of a group, newest first, in pieces: each begins behind the dump that the one before it
// has named, the first behind none.
func (t *Triage) DecodeGroupAgain(ctx context.Context, address string, after Ref) (AskedAgain, error) {
	asked, err := t.options.Store.AskGroupAgain(ctx, address, after, mostAsked)
	if err == nil {
		t.Wake()
	}
	return asked, err
}

// stay leaves a dump that had a report as it is, and lets whoever asked for another know why there is none.
func (t *Triage) stay(ctx context.Context, c Crash, why string) error {
	if c.Again == nil {
		return nil
	}
	err := t.options.Store.KeepCrash(ctx, c, clip("it could not be decoded again: "+why, mostText))
	if gone(err) {
		return nil
	}
	return err
}
