package catalog

import (
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// many dumps; under the race detector fewer, as Badger then takes minutes to store them.
var many = 100_000

// fill stores many dumps without a committer, which would sync each batch.
func fill(t *testing.T, c *Catalog) {
	t.Helper()
	batch := c.store.db.NewWriteBatch()
	defer batch.Cancel()
	put := func(key string, record any) {
		b, err := encode(record)
		must(t, err)
		must(t, batch.Set([]byte(key), b))
	}
	for i := range many {
		d := dumpAt(i)
		d.UploadedAt, d.Model = noon.Add(time.Duration(i)*time.Second), "pump"
		put(dumpKey(d.Device, d.Name()), d)
		must(t, batch.Set([]byte(dumpTimeKey(d.Device, d.Name())), nil))
		must(t, batch.Set([]byte(stateKey(crash.Waiting, d.Device, d.Name())), nil))
		put(crashKey(d.Device, d.Name()), crash.Crash{Device: d.Device, Name: d.Name(), Model: d.Model, State: crash.Waiting})
	}
	must(t, batch.Flush())
}

// TestAPageReadsWhatItShowsHoweverManyRecordsThereAre counts what is read, not how long it takes.
func TestAPageReadsWhatItShowsHoweverManyRecordsThereAre(t *testing.T) {
	c := open(t, t.TempDir())
	fill(t, c)
	const page = 50
	middle := dumpAt(many / 2)
	middle.UploadedAt = noon.Add(time.Duration(many/2) * time.Second)
	after := crash.Ref{Device: middle.Device, Name: middle.Name()}
	for _, test := range []struct {
		name  string
		most  int64 // a key, a dump and a crash each, and where the page ends
		shown int
		list  func() (int, error)
	}{
		{"dumps", 3*page + 3, page, pageOfDumps(c, crash.DumpFilter{Limit: page})},
		{"dumps, further on", 3*page + 3, page, pageOfDumps(c, crash.DumpFilter{Limit: page, After: after})},
		{"dumps of a device", 3*page + 3, page, pageOfDumps(c, crash.DumpFilter{Limit: page, Device: keyOf(1), After: after})},
		{"dumps in a state", 3*page + 3, page, pageOfDumps(c, crash.DumpFilter{Limit: page, State: crash.Waiting, After: after})},
		{"dumps of a model without any", 3*mostPassed + 3, 0, pageOfDumps(c, crash.DumpFilter{Limit: page, Model: "fan"})},
	} {
		before := itemsRead.Load()
		n, err := test.list()
		if read := itemsRead.Load() - before; err != nil || n != test.shown || read > test.most {
			t.Errorf("%s: %d shown, %d read, %v; want %d and at most %d", test.name, n, read, err, test.shown, test.most)
		}
	}
}

func pageOfDumps(c *Catalog, f crash.DumpFilter) func() (int, error) {
	return func() (int, error) {
		dumps, _, err := c.Dumps(f)
		return len(dumps), err
	}
}

// TestAFilterThatHardlyADumpFitsFindsItPageByPage holds that a short page says where the list goes on.
func TestAFilterThatHardlyADumpFitsFindsItPageByPage(t *testing.T) {
	c := open(t, t.TempDir())
	var dumps []fleet.Dump
	for i := range 2*mostPassed + 2 {
		d := dumpAt(i)
		d.Model = "pump"
		if i == 0 {
			d.Model = "fan" // the oldest
		}
		dumps = append(dumps, d)
	}
	must(t, c.RecordDumps(t.Context(), dumps))
	f := crash.DumpFilter{Model: "fan", Limit: 50}
	found, pages := 0, 0
	for {
		page, next, err := c.Dumps(f)
		must(t, err)
		found, pages = found+len(page), pages+1
		if next.Name == "" {
			break
		}
		f.After = next
	}
	if found != 1 || pages != 3 {
		t.Errorf("%d found on %d pages, want 1 on 3", found, pages)
	}
}
