package catalog

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/durable"
)

// Counts are how many of the records there are that nothing else knows of. The catalog counts along in the transactions
// that add and remove them, so that records which vanish in any other way are missed. A copy lies in the folder, outside
// of Badger, and one is in the head of each backup: a catalog that has gone back as a whole is behind them.
type Counts struct {
	Catalog string `json:"catalog"` // which one: a catalog that was restored or made anew is another
	Changes uint64 `json:"changes"` // transactions that changed one of the numbers; only ever grows
	Models  int    `json:"models"`
	Devices int    `json:"devices"`
	Builds  int    `json:"builds"`
}

// Behind reports that a catalog has lost changes that an earlier look at the same one has seen.
func (c Counts) Behind(seen Counts) bool {
	return c.Catalog == seen.Catalog && c.Changes < seen.Changes
}

// countsFile is the copy in the folder.
const countsFile = "COUNTS"

// number is where records with a key are counted, nil for those that are not.
func (c *Counts) number(key string) *int {
	switch {
	case strings.HasPrefix(key, modelPrefix):
		return &c.Models
	case strings.HasPrefix(key, devicePrefix):
		return &c.Devices
	case strings.HasPrefix(key, buildPrefix):
		return &c.Builds
	}
	return nil
}

// count brings the counter along with the writes of an operation, which come after it.
func (t *tx) count(txn *badger.Txn) error {
	var was, is Counts
	for _, key := range t.order {
		n := is.number(key)
		if n == nil {
			continue
		}
		if is.Catalog == "" {
			if known, err := get(txn, keyCounts, &was); err != nil || !known {
				return err // the counter is made when the catalog is opened
			}
			is = was
		}
		had, err := has(txn, key)
		if err != nil {
			return err
		}
		switch {
		case !had && t.writes[key] != nil:
			*n++
		case had && t.writes[key] == nil:
			*n--
		}
	}
	if is == was {
		return nil
	}
	is.Changes++
	b, err := encode(is)
	if err != nil {
		return err
	}
	return txn.Set([]byte(keyCounts), b)
}

// adoptCounts makes the counter of a catalog that has none yet, and compares it with the copy in the folder.
func (c *Catalog) adoptCounts() error {
	counts, known, err := c.counted()
	if err != nil {
		return err
	}
	if !known {
		id := make([]byte, 8)
		_, _ = rand.Read(id) // it never fails
		if counts, err = c.recount(); err != nil {
			return err
		}
		counts.Catalog = hex.EncodeToString(id)
		b, err := encode(counts)
		if err != nil {
			return err
		}
		return c.store.db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(keyCounts), b) })
	}
	var seen Counts
	text, err := os.ReadFile(filepath.Join(c.options.Dir, countsFile))
	if err == nil && json.Unmarshal(text, &seen) == nil && counts.Behind(seen) {
		_ = c.say(c.options.damaged("it has gone back: it knows %s, and knew %s", counts, seen))
	}
	return nil
}

func (c Counts) String() string {
	return fmt.Sprintf("%d models, %d devices and %d builds", c.Models, c.Devices, c.Builds)
}

// counted is the counter.
func (c *Catalog) counted() (counts Counts, known bool, err error) {
	known, err = c.find(keyCounts, &counts)
	return counts, known, err
}

// recount counts the records themselves.
func (c *Catalog) recount() (counts Counts, err error) {
	err = c.view(func(txn *badger.Txn) error {
		counts, err = countIn(txn)
		return err
	})
	return counts, err
}

func countIn(txn *badger.Txn) (counts Counts, err error) {
	for _, prefix := range []string{modelPrefix, devicePrefix, buildPrefix} {
		n := counts.number(prefix)
		if err := each(txn, prefix, "", false, func(string, *badger.Item) error { *n++; return nil }); err != nil {
			return counts, err
		}
	}
	return counts, nil
}

// compare counts the records and compares them with the counter.
func (c *Catalog) compare() (counts Counts, err error) {
	err = c.view(func(txn *badger.Txn) error {
		found, err := countIn(txn)
		if err != nil {
			return err
		}
		known, err := get(txn, keyCounts, &counts)
		if err != nil || !known {
			counts = found
			return err
		}
		found.Catalog, found.Changes = counts.Catalog, counts.Changes
		if found != counts {
			return c.options.damaged("it knows %s, and by its own count there are %s", found, counts)
		}
		return nil
	})
	return counts, err
}

// Whole reads every table and counts what is in it. The error is a [DamagedError] where the catalog is not whole: then it
// must not take the place of a good backup.
func (c *Catalog) Whole() (Counts, error) {
	if t := c.Trouble(); t != "" {
		return Counts{}, errors.New(t)
	}
	if err := c.verify(atOnce); err != nil {
		return Counts{}, c.say(err)
	}
	counts, err := c.compare()
	return counts, c.say(err)
}

// say notes that the catalog was found damaged, for good: only another catalog helps.
func (c *Catalog) say(err error) error {
	var bad *DamagedError
	if errors.As(err, &bad) {
		text := err.Error()
		c.trouble.Store(&text)
	}
	return err
}

// Trouble says that the catalog was found damaged, else "".
func (c *Catalog) Trouble() string {
	if text := c.trouble.Load(); text != nil {
		return *text
	}
	return ""
}

// copyCounts writes the copy in the folder, where the counter has changed since.
func (c *Catalog) copyCounts() {
	counts, known, err := c.counted()
	if err != nil || !known || counts == c.copied || c.Trouble() != "" {
		return
	}
	b, err := encode(counts)
	if err == nil {
		err = durable.WriteFile(filepath.Join(c.options.Dir, countsFile), append(b, '\n'), 0o600)
	}
	if err != nil {
		if !c.uncopied { // every five seconds
			c.options.Logger.Warn("counts of the catalog not noted", "error", err)
		}
		c.uncopied = true
		return
	}
	c.copied, c.uncopied = counts, false
}
