package catalog

import (
	"errors"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Badger names a table in its list, and deletes it where the list cannot be synced; a second later it makes the same table
// again, under another number. A kill may come in between, or after it: what the first one held is in a log, or in the second.
func TestATableThatBadgerMadeAgainBeforeAKillIsNotLost(t *testing.T) {
	for name, stopped := range map[string]bool{"it is in the next one": true, "it is in a log": false} {
		t.Run(name, func(t *testing.T) {
			image, holds := filledCatalog(t, stopped)
			dir := t.TempDir()
			image.write(t, dir)
			l, err := readList(dir)
			must(t, err)
			gone, err := lastTable(dir)
			must(t, err)
			if stopped {
				again := &pb.ManifestChange{Id: gone + 1}
				must(t, os.Rename(table.NewFilename(gone, dir), table.NewFilename(again.Id, dir)))
				l.tables[again.Id] = again
			} else {
				gone += 7 // no number that a table gets meanwhile
				l.tables[gone] = &pb.ManifestChange{Id: gone}
			}
			must(t, l.write(dir))
			if got := verdict(t, dir, holds); got != "as before" {
				t.Errorf("it is %s", got)
			}
			if l, err = readList(dir); err != nil || l.tables[gone] != nil {
				t.Errorf("its list names table %d still: %v", gone, err)
			}
		})
	}
}

// Where the tables and logs that are left do not follow each other, what was between is lost.
func TestATableBetweenOthersIsLost(t *testing.T) {
	for name, behind := range map[string]func(*testing.T, *Catalog){
		"a table is behind it": func(t *testing.T, c *Catalog) { must(t, c.Close()) },
		"a log is behind it":   func(*testing.T, *Catalog) {},
		"nothing is behind it": nil,
	} {
		t.Run(name, func(t *testing.T) {
			running := t.TempDir()
			for n := range 3 {
				c := open(t, running)
				must(t, c.AddModel(t.Context(), fleet.Model{Code: fleet.ModelCode(fmt.Sprintf("pump%d", n))}))
				if n < 2 || behind == nil {
					must(t, c.Close())
				} else {
					behind(t, c)
				}
			}
			dir := t.TempDir()
			imageOf(t, running).write(t, dir)
			l, err := readList(dir)
			must(t, err)
			lost := uint64(0)
			for id := range l.tables {
				lost = max(lost, id)
			}
			if name == "a table is behind it" {
				lost--
			}
			must(t, os.Remove(table.NewFilename(lost, dir)))
			c, err := Open(settled(t, dir))
			var bad *DamagedError
			if !errors.As(err, &bad) {
				t.Errorf("table %d of %d is lost, and it was opened: %v", lost, len(l.tables), err)
			}
			if err == nil {
				must(t, c.Close())
			}
		})
	}
}

func TestTheVersionsOfATableAreThoseOfItsRecords(t *testing.T) {
	dir := t.TempDir()
	for n := range 3 {
		c := open(t, dir)
		must(t, c.AddModel(t.Context(), fleet.Model{Code: fleet.ModelCode(fmt.Sprintf("pump%d", n))}))
		for i := range 300 { // several blocks
			d := newDevice(fleet.ModelCode(fmt.Sprintf("pump%d", n)), 1000*n+i)
			must(t, c.AddDevice(t.Context(), d.Device, d.Secrets))
		}
		must(t, c.Close())
	}
	l, err := readList(dir)
	must(t, err)
	last := uint64(0)
	for n := range uint64(math.MaxUint16) {
		if l.tables[n] == nil {
			continue
		}
		first, newest, err := versionsOf(table.NewFilename(n, dir))
		if err != nil || first != last+1 || newest < first {
			t.Errorf("table %d has versions %d to %d behind %d: %v", n, first, newest, last, err)
		}
		last = newest
	}
}

func FuzzFirstOfBlock(f *testing.F) {
	f.Add([]byte{})
	b := []byte{0, 0, 9, 0, 'k', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 'v'} // a key of version 1
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 1, 0x10, 0, 0, 0, 0, 2)
	f.Add(append(b[:len(b):len(b)], 0, 0, 0, 0))
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if first, err := firstOfBlock(b); err == nil && len(b) < 20 {
			t.Errorf("%d of %d bytes", first, len(b))
		}
	})
}
