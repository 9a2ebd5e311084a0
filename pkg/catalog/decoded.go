package catalog

import (
	"sync"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// mostDecoded bounds the models that are kept decoded. A gateway has a few; where it has more, one in so many requests decodes
// all it needs again. Of the largest configurations they take 2 MB.
const mostDecoded = 64

// decodedModels keeps models as they were decoded last: each request of a device asks for its model, with the default
// configuration in it. What Badger says of a record, at which commit it was written, tells whether it is the same one, so no
// change has to be told here.
type decodedModels struct {
	mu    sync.RWMutex
	db    *badger.DB // whose commits they are; another one counts its own
	known map[fleet.ModelCode]decodedModel
}

type decodedModel struct {
	commit uint64
	model  fleet.Model
}

// of returns the model that the item holds. Its configuration and values are shared with everyone who asks.
func (d *decodedModels) of(db *badger.DB, code fleet.ModelCode, item *badger.Item) (fleet.Model, error) {
	d.mu.RLock()
	known, found := d.known[code]
	found = found && d.db == db && known.commit == item.Version()
	d.mu.RUnlock()
	if found {
		return known.model, nil
	}
	var m fleet.Model
	if err := read(item, &m); err != nil {
		return m, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.db != db || len(d.known) >= mostDecoded {
		d.db, d.known = db, map[fleet.ModelCode]decodedModel{}
	}
	d.known[code] = decodedModel{item.Version(), m}
	return m, nil
}
