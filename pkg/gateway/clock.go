package gateway

import (
	"time"

	"github.com/slipway-gateway/slipway/pkg/catalog"
)

// clock knows which times cannot be right.
type clock struct {
	store *catalog.Catalog
	built time.Time
}

// earliest is a time that has passed for certain: a clock that says less is wrong.
func (c clock) earliest() time.Time {
	known, err := c.store.LastKnownTime()
	if err != nil || known.Before(c.built) {
		return c.built
	}
	return known
}
