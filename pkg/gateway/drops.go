package gateway

import (
	"context"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/dropfolder"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// drops are the rejected files, whose events are on record before they go.
type drops struct {
	folder *dropfolder.Folder // nil: off
	store  *catalog.Catalog
}

func errNoFolder() error { return fleet.Unknown("there is no drop folder: it is off in the settings") }

func (d *drops) Rejected() ([]fleet.Drop, error) {
	if d.folder == nil {
		return nil, nil
	}
	return d.folder.Rejected()
}

func (d *drops) Retry(ctx context.Context, name string) error {
	if d.folder == nil {
		return errNoFolder()
	}
	return d.folder.Retry(name, d.told(ctx, event.DropRetried))
}

func (d *drops) Dismiss(ctx context.Context, name string) error {
	if d.folder == nil {
		return errNoFolder()
	}
	return d.folder.Dismiss(name, d.told(ctx, event.DropDismissed))
}

func (d *drops) told(ctx context.Context, kind fleet.EventKind) func(fleet.Drop) error {
	return func(one fleet.Drop) error {
		return d.store.Record(ctx, kind, one.ObjectOf(), facts{"reason": one.Reason})
	}
}
