package catalog

import (
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// dumpAt is the n-th dump of all, of one of three devices in turn.
func dumpAt(n int) fleet.Dump {
	return fleet.Dump{
		Chip: "ESP32", FirmwareVersion: "1.0", Device: keyOf(n % 3), Model: []fleet.ModelCode{"pump", "fan"}[n%2],
		UploadedAt: noon.Add(time.Duration(n) * time.Minute), Size: 100, SHA256: "ab",
	}
}

func withDumps(t *testing.T, n int) *Catalog {
	t.Helper()
	c := open(t, t.TempDir())
	var dumps []fleet.Dump
	for i := range n {
		dumps = append(dumps, dumpAt(i))
	}
	must(t, c.RecordDumps(t.Context(), dumps))
	return c
}

func TestDumpsAreListedNewestFirstInPagesByEveryFilter(t *testing.T) {
	c := withDumps(t, 30)
	for n := range 10 {
		record(t, c, reported(n, "f", "1.0"), 0)
	}
	for _, f := range []crash.DumpFilter{
		{}, {Device: keyOf(1)}, {Model: "fan"}, {State: crash.Reported}, {State: crash.Waiting, Model: "pump"},
		{Device: keyOf(2), State: crash.Waiting},
		{Uploaded: fleet.Span{Since: dumpAt(7).UploadedAt, Until: dumpAt(22).UploadedAt}},
		{Uploaded: fleet.Span{Until: dumpAt(22).UploadedAt.Add(-1)}, Device: keyOf(1)},
		{Uploaded: fleet.Span{Since: dumpAt(7).UploadedAt.Add(time.Second), Until: dumpAt(22).UploadedAt}, State: crash.Reported},
		{Uploaded: fleet.Span{Since: dumpAt(7).UploadedAt, Until: dumpAt(25).UploadedAt.Add(1)}, State: crash.Waiting, Model: "fan"},
		{Uploaded: fleet.Span{Since: dumpAt(29).UploadedAt.Add(time.Second)}},
	} {
		var want []string
		for n := 29; n >= 0; n-- {
			d := dumpAt(n)
			state := crash.Waiting
			if n < 10 {
				state = crash.Reported
			}
			if (f.Device == "" || d.Device == f.Device) && (f.Model == "" || d.Model == f.Model) && (f.State == "" || f.State == state) && f.Uploaded.Has(d.UploadedAt) {
				want = append(want, string(d.Name()))
			}
		}
		var got []string
		f.Limit = 4
		for {
			page, next, err := c.Dumps(f)
			must(t, err)
			for _, l := range page {
				got = append(got, string(l.Dump.Name()))
				if l.Crash.Name != l.Dump.Name() {
					t.Errorf("%s has the crash of %s", l.Dump.Name(), l.Crash.Name)
				}
			}
			if f.After = next; next.Name == "" {
				break
			}
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%+v:\n got %s\nwant %s", f, got, want)
		}
	}
}

func TestADumpIsIndexedOnceAndForgottenWhole(t *testing.T) {
	c := withDumps(t, 3)
	record(t, c, reported(1, "f", "1.0"), 0)
	must(t, c.RecordDumps(t.Context(), []fleet.Dump{dumpAt(1)})) // found again at a start: its report stays
	l, err := c.Dump(dumpAt(1).Device, dumpAt(1).Name())
	if err != nil || l.Dump != dumpAt(1) || l.Crash.State != crash.Reported {
		t.Errorf("dump %+v, %v", l, err)
	}
	must(t, c.RemoveDump(t.Context(), dumpAt(1).Device, dumpAt(1).Name()))
	must(t, c.RemoveDump(t.Context(), dumpAt(1).Device, dumpAt(1).Name()))
	_, err = c.Dump(dumpAt(1).Device, dumpAt(1).Name())
	want(t, err, fleet.ErrUnknown)
	checkIndexes(t, c)
	n := 0
	must(t, c.EachDump(func(fleet.Dump) error { n++; return nil }))
	if n != 2 {
		t.Errorf("%d dumps are left", n)
	}
	if g, _, _, err := c.Group("f"); err != nil || g.Count != 1 {
		t.Errorf("what was counted is %d, %v", g.Count, err)
	}
}

func TestADumpThatNobodyWaitsForIsIndexedBeforeTheEnd(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	done := make(chan struct{}, 20)
	for n := range cap(done) {
		c.RecordDumpLater(dumpAt(n), func(error) {
			time.Sleep(200 * time.Millisecond) // whatever it does, the end waits for it
			done <- struct{}{}
		})
	}
	must(t, c.Close())
	if len(done) != cap(done) {
		t.Errorf("%d of %d are said to be indexed", len(done), cap(done))
	}
	c = open(t, dir)
	if s, err := c.Stock(); s.Dumps[crash.Waiting] != cap(done) || err != nil {
		t.Errorf("%+v wait, %v", s, err)
	}
	waiting, err := c.WaitingCrashes(5)
	if err != nil || len(waiting) != 5 || waiting[0].Name != dumpAt(0).Name() || waiting[4].Name != dumpAt(4).Name() {
		t.Errorf("waiting: %+v, %v", waiting, err)
	}
}
