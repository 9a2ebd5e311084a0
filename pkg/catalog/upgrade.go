package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/crash"
)

// Schema 2 has chains below its groups (fingerprints of the second rules). The upgrade makes each group of schema 1 a
// group of one old chain, which has its counts and not its frames. From there on all is as ever, and the regrouping
// moves one dump after the other to where it belongs: it can be cut off at any time.

// upgrade brings a catalog of schema 1 to this schema. Nothing but new keys is written before the last step, so that one
// that was cut off starts again.
func (c *Catalog) upgrade() error {
	backup := ""
	if c.options.BeforeUpgrade != nil {
		var err error
		if backup, err = c.options.BeforeUpgrade(c); err != nil {
			return err
		}
	}
	groups, err := list[crash.Group](c, groupPrefix)
	if err != nil {
		return err
	}
	batch := c.store.db.NewWriteBatch()
	defer batch.Cancel()
	write := func(key string, record any) error {
		b, err := encode(record)
		return errors.Join(err, batch.Set([]byte(key), b))
	}
	for _, g := range groups {
		chain := crash.Chain{Fingerprint: g.Fingerprint, Group: g.Fingerprint, Model: g.Model, Kind: g.Kind, Old: true, Tally: g.Tally}
		err := errors.Join(write(chainKey(chain.Fingerprint), chain), batch.Set([]byte(memberKey(chain.Group, chain.Fingerprint)), nil),
			batch.Set([]byte(unsettledKey(chain.Fingerprint)), nil))
		if err != nil {
			return err
		}
	}
	if err := write(keyRegrouped, Regrouping{Before: len(groups), Backup: backup, StartedAt: c.options.Now().UTC()}); err != nil {
		return err
	}
	if err := batch.Flush(); err != nil {
		return err
	}
	c.options.Logger.Info("catalog upgraded", "schema", Schema, "groups", len(groups), "backup", backup)
	return c.store.db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(keySchema), number(Schema)) })
}

// Regrouping is what becomes of the groups that the first rules for fingerprints made.
type Regrouping struct {
	Before    int       `json:"before"` // groups
	After     int       `json:"after"`
	Old       int       `json:"old"`              // of them: no dump is left that can be decoded
	Backup    string    `json:"backup,omitempty"` // of the catalog as it was
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
}

// String is what the status says of it, "" of none.
func (r *Regrouping) String() string {
	switch {
	case r == nil || r.Before == 0:
		return ""
	case r.EndedAt.IsZero():
		return fmt.Sprintf("%d groups are being made anew; a copy of before is %s", r.Before, r.Backup)
	}
	said := crash.Regrouped{Before: r.Before, After: r.After, Old: r.Old}.String()
	if r.Backup != "" {
		said += "; a copy of before is " + r.Backup
	}
	return said
}

// Regrouping says how far it is; nil where the catalog was made by these rules.
func (c *Catalog) Regrouping() (*Regrouping, error) {
	var r Regrouping
	found, err := c.find(keyRegrouped, &r)
	if err != nil || !found {
		return nil, err
	}
	return &r, nil
}

// OldCrashes are the dumps whose groups the first rules made, oldest first.
func (c *Catalog) OldCrashes() ([]crash.Ref, error) {
	if r, err := c.Regrouping(); err != nil || r == nil || !r.EndedAt.IsZero() {
		return nil, err
	}
	var all []crash.Ref
	err := c.eachCrashIn(crash.Reported, func(one crash.Crash) error {
		if one.Rules < crash.Rules {
			all = append(all, crash.Ref{Device: one.Device, Name: one.Name})
		}
		return nil
	})
	return all, err
}

// KeepOld notes of those that could not be decoded again that they stay as they are.
func (c *Catalog) KeepOld(ctx context.Context, some []crash.Ref) error {
	return c.inPieces(ctx, len(some), false, func(t *tx, i int) error {
		key := crashKey(some[i].Device, some[i].Name)
		var one crash.Crash
		found, err := t.get(key, &one)
		if err != nil || !found || one.Rules >= crash.Rules {
			return err
		}
		one.Rules = crash.Rules
		return t.put(key, one)
	})
}

// EndRegrouping settles what is left of the old groups, once all their dumps were looked at, and says what changed; nil
// where there is nothing to say that was not said before.
func (c *Catalog) EndRegrouping(ctx context.Context) (*crash.Regrouped, error) {
	r, err := c.Regrouping()
	if err != nil || r == nil || !r.EndedAt.IsZero() {
		return nil, err
	}
	var old []string
	err = c.view(func(txn *badger.Txn) error {
		return each(txn, unsettledPrefix, "", false, func(key string, _ *badger.Item) error {
			old = append(old, lastPart(key))
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	for _, fingerprint := range old {
		if err := c.update(ctx, func(t *tx) error { return t.settle(fingerprint) }); err != nil {
			return nil, err
		}
	}
	groups, err := c.Groups(crash.GroupFilter{})
	if err != nil {
		return nil, err
	}
	r.After, r.Old, r.EndedAt = len(groups), 0, c.options.Now().UTC()
	for _, g := range groups {
		if g.Old {
			r.Old++
		}
	}
	done := crash.Regrouped{Before: r.Before, After: r.After, Old: r.Old}
	return &done, c.update(ctx, func(t *tx) error { return t.put(keyRegrouped, r) })
}
