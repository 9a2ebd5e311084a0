package catalog

import (
	"context"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// NotedTroubles are the troubles that somebody has seen.
func (c *Catalog) NotedTroubles() ([]fleet.NotedTrouble, error) {
	return list[fleet.NotedTrouble](c, troublePrefix)
}

// NoteTrouble notes that somebody has seen a trouble, as bad as it is now.
func (c *Catalog) NoteTrouble(ctx context.Context, n fleet.NotedTrouble) error {
	return c.update(ctx, func(t *tx) error {
		var before fleet.NotedTrouble
		found, err := t.get(troubleKey(n.ID), &before)
		if err != nil || found && before.Weight == n.Weight {
			return err
		}
		t.tell(event.TroubleNoted, fleet.Trouble{ID: n.ID}.ObjectOf(), facts{"trouble": n.Text, "weight": n.Weight, "after": "seen"})
		return t.put(troubleKey(n.ID), n)
	})
}

// UnnoteTrouble takes back that somebody has seen a trouble.
func (c *Catalog) UnnoteTrouble(ctx context.Context, id string) error {
	return c.update(ctx, func(t *tx) error {
		var n fleet.NotedTrouble
		found, err := t.get(troubleKey(id), &n)
		if err != nil {
			return err
		}
		if !found {
			return fleet.Unknown("nobody has said of a trouble %q that it is seen", id)
		}
		t.tell(event.TroubleNoted, fleet.Trouble{ID: id}.ObjectOf(), facts{"trouble": n.Text, "before": "seen"})
		t.delete(troubleKey(id))
		return nil
	})
}

// ForgetTroubles forgets who has seen troubles that are over: should one begin anew, nobody has seen that. Nobody does it,
// and what ended tells of itself.
func (c *Catalog) ForgetTroubles(ctx context.Context, ids []string) error {
	return c.update(ctx, func(t *tx) error {
		for _, id := range ids {
			t.delete(troubleKey(id))
		}
		return nil
	})
}
