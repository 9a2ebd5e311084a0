package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/sighting"
)

// storedLine is a line that is dark, or that was lit without all of its devices; who they are lies below its key.
type storedLine struct {
	Line  string    `json:"line"`
	Since time.Time `json:"since,omitzero"`
}

// EachLine calls yield for each line that is stored.
func (c *Catalog) EachLine(yield func(sighting.LineRecord) error) error {
	var all []sighting.LineRecord
	err := c.view(func(txn *badger.Txn) error {
		return each(txn, linePrefix, "", false, func(key string, item *badger.Item) error {
			if !strings.Contains(strings.TrimPrefix(key, linePrefix), "/") {
				var s storedLine
				if err := read(item, &s); err != nil {
					return err
				}
				all = append(all, sighting.LineRecord{Line: s.Line, Since: s.Since})
				return nil
			}
			if len(all) == 0 {
				return fmt.Errorf("the catalog has a key %q without its line", key)
			}
			return item.Value(func(b []byte) error {
				last := &all[len(all)-1]
				last.Silent = append(last.Silent, bytes.Clone(b))
				return nil
			})
		})
	})
	for _, r := range all {
		if err == nil {
			err = yield(r)
		}
	}
	return err
}

// SaveLine stores what is known of a line in place of what was, with the event of what is told of it.
func (c *Catalog) SaveLine(ctx context.Context, line sighting.LineRecord, told *sighting.LineChange) error {
	op := newOperation(func(t *tx) error {
		if told != nil {
			t.tellLine(*told)
		}
		old, err := t.keys(lineKey(line.Line))
		if err != nil {
			return err
		}
		for _, key := range old {
			t.delete(key)
		}
		if line.Since.IsZero() && len(line.Silent) == 0 {
			return nil
		}
		for i, value := range line.Silent {
			if err := t.set(silentKey(line.Line, i), value); err != nil {
				return err
			}
		}
		return t.put(lineKey(line.Line), storedLine{line.Line, line.Since})
	})
	op.frees = true // it takes as little room as making some
	return c.run(ctx, op)
}

// tellLine tells of a line that went dark, or is lit again.
func (t *tx) tellLine(c sighting.LineChange) {
	kind := event.LineLit
	if c.Dark {
		kind = event.LineDark
	}
	t.tell(kind, fleet.Object{Type: "line", ID: c.Line}, facts{"since": c.Since, "devices": c.Devices})
}

// lineKey has a line's hash: the network that a line may be called by has a slash.
func lineKey(line string) string {
	sum := sha256.Sum256([]byte(line))
	return linePrefix + hex.EncodeToString(sum[:16])
}

func silentKey(line string, n int) string { return fmt.Sprintf("%s/%06d", lineKey(line), n) }
