package catalog

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// checkStock holds the numbers that the committer keeps against the records.
func checkStock(t *testing.T, c *Catalog) {
	t.Helper()
	checkGroupIndex(t, c)
	s, err := c.Stock()
	must(t, err)
	var n stockRecord
	must(t, c.view(func(txn *badger.Txn) (err error) {
		n, _, err = takeStock(txn)
		return err
	}))
	if s.Groups != n.Groups || s.Open != n.Open || !maps.Equal(s.Dumps, n.Dumps) {
		t.Errorf("kept are %+v, and there are %+v", s, n)
	}
	counts, err := c.recount()
	must(t, err)
	if s.Models != counts.Models || s.Devices != counts.Devices || s.Builds != counts.Builds {
		t.Errorf("kept are %s, and there are %s", s.Counts, counts)
	}
}

func TestTheMostUrgentGroupsComeFirst(t *testing.T) {
	c := withDumps(t, 12)
	for n := range 6 {
		one := reported(n, fmt.Sprint("f", n), "1.0")
		one.Uploaded = noon.Add(time.Duration(n) * time.Minute)
		record(t, c, one, 0)
	}
	for _, address := range []string{"f5", "f1"} {
		_, err := c.UpdateGroup(t.Context(), address, func(g *crash.Group) error { g.Resolve("1.0", noon); return nil })
		must(t, err)
	}
	_, err := c.UpdateGroup(t.Context(), "f4", func(g *crash.Group) error { g.Ignore(crash.Bound{}, noon); return nil })
	must(t, err)
	again := reported(7, "f1", "1.0")
	again.Uploaded = noon.Add(-time.Hour)
	if out := record(t, c, again, 0); out.News != crash.Regression {
		t.Fatalf("%+v", out)
	}
	want := []string{"f1", "f3", "f2", "f0", "f5", "f4"} // it came back; open; neither
	for limit := range want {
		groups, total, err := c.UrgentGroups(limit)
		must(t, err)
		var names []string
		for _, g := range groups {
			names = append(names, g.Fingerprint)
		}
		if total != 6 || !slices.Equal(names, want[:limit]) {
			t.Errorf("of %d the first %d are %v, want %v", total, limit, names, want[:limit])
		}
	}
	checkIndexes(t, c)
}

// TestAStartCountsWhatAnOlderVersionHasChanged plays a version that knows of no numbers.
func TestAStartCountsWhatAnOlderVersionHasChanged(t *testing.T) {
	const wroteAll = "it has written everything"
	for name, change := range map[string]func(batch *badger.WriteBatch) error{
		wroteAll: func(batch *badger.WriteBatch) error {
			return batch.Delete([]byte(keyStock))
		},
		"it has removed a group and a dump": func(batch *badger.WriteBatch) error {
			for _, key := range []string{groupKey("f1"), stateKey(crash.Reported, keyOf(0), dumpAt(0).Name()), crashKey(keyOf(0), dumpAt(0).Name())} {
				if err := batch.Delete([]byte(key)); err != nil {
					return err
				}
			}
			return nil
		},
		"it has counted a crash": func(batch *badger.WriteBatch) error {
			g := crash.Group{Fingerprint: "f1", Decision: crash.Decision{State: crash.Ignored}, Tally: crash.Tally{Count: 9, LastSeen: noon.Add(time.Hour)}}
			value, err := encode(g)
			if err != nil {
				return err
			}
			return batch.Set([]byte(groupKey("f1")), value)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c := open(t, dir)
			var dumps []fleet.Dump
			for n := range 4 {
				dumps = append(dumps, dumpAt(n))
			}
			must(t, c.RecordDumps(t.Context(), dumps))
			record(t, c, reported(0, "f0", "1.0"), 0)
			record(t, c, reported(1, "f1", "1.0"), 0)
			batch := c.store.db.NewWriteBatch()
			must(t, change(batch))
			must(t, batch.Flush())
			if name == wroteAll { // on a disk that takes nothing the numbers cannot be made either
				checkStock(t, c)
				if groups, total, err := c.UrgentGroups(1); err != nil || total != 2 || len(groups) != 1 || groups[0].Fingerprint != "f1" {
					t.Errorf("without the numbers: %d groups, %+v, %v", total, groups, err)
				}
			}
			must(t, c.Close())
			c = open(t, dir)
			checkStock(t, c)
			groups, total, err := c.UrgentGroups(10)
			must(t, err)
			byAll, err := c.Groups(crash.GroupFilter{})
			must(t, err)
			if total != len(byAll) || len(groups) != len(byAll) {
				t.Errorf("%d of %d groups, and there are %d: %+v", len(groups), total, len(byAll), groups)
			}
			keys := map[string]bool{}
			must(t, c.view(func(txn *badger.Txn) error {
				return each(txn, urgencyPrefix, "", false, func(key string, _ *badger.Item) error { keys[key] = true; return nil })
			}))
			for _, g := range byAll {
				delete(keys, urgencyKey(g))
			}
			if len(keys) > 0 {
				t.Errorf("the order has %v, of nothing", keys)
			}
		})
	}
}
