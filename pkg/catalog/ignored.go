package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/crash"
)

// EndIgnoring has the groups open again that were ignored until a time which is over, and tells of each. It goes by the
// clock, not by what is noted of it, which a gateway that is off for days and on for hours never has: a clock that is ahead
// asks people for a look too early, and none is forgotten.
func (c *Catalog) EndIgnoring(ctx context.Context, now time.Time) error {
	behind := fmt.Sprintf("%s%016x0", ignoredPrefix, max(now.UnixMicro(), 0)) // what is due is before it: a slash comes before a 0
	var due []string
	err := c.view(func(txn *badger.Txn) error {
		return each(txn, ignoredPrefix, "", false, func(key string, _ *badger.Item) error {
			if key > behind {
				return errStop
			}
			due = append(due, lastPart(key))
			return nil
		})
	})
	if err != nil {
		return err
	}
	return c.inPieces(ctx, len(due), false, func(t *tx, i int) error {
		var g crash.Group // anew: somebody may have decided since
		found, err := t.get(groupKey(due[i]), &g)
		if err != nil || !found || !g.Due(now) {
			return err
		}
		g.EndIgnoring(now.UTC())
		t.tellReopened(g)
		return t.put(groupKey(g.Fingerprint), g)
	})
}
