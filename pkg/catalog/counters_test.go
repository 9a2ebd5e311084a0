package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// plant is a catalog whose clock a test moves.
type plant struct {
	*Catalog
	t   *testing.T
	now *time.Time
	dir string
}

func newPlant(t *testing.T) plant {
	now := noon
	p := plant{t: t, now: &now, dir: t.TempDir()}
	p.open()
	return p
}

func (p *plant) open() {
	o := settled(p.t, p.dir)
	o.Now = func() time.Time { return *p.now }
	c, err := Open(o)
	must(p.t, err)
	p.t.Cleanup(func() { must(p.t, c.Close()) })
	p.Catalog = c
}

// uploads records a dump of the n-th device, that declares a version, at the time that it is.
func (p *plant) uploads(n int, v string) fleet.Dump {
	d := fleet.Dump{Chip: "ESP32", FirmwareVersion: v, Device: keyOf(n), Model: "pump", UploadedAt: *p.now, Size: 100, SHA256: "ab"}
	must(p.t, p.RecordDumps(p.t.Context(), []fleet.Dump{d}))
	*p.now = p.now.Add(time.Second)
	return d
}

// decoded records that a dump was made by a version, in a chain.
func (p *plant) decoded(d fleet.Dump, v fleet.Version, fingerprint string) {
	_, err := p.RecordCrash(p.t.Context(), crash.Crash{
		Device: d.Device, Model: d.Model, Name: d.Name(), Uploaded: d.UploadedAt, DeclaredVersion: d.FirmwareVersion,
		State: crash.Reported, Fingerprint: fingerprint, Version: v,
	}, 0)
	must(p.t, err)
}

// says are all counters of the model as text: version, crashes/devices of each hour and of each day.
func (p *plant) says() string {
	p.t.Helper()
	all, err := p.Counters("pump")
	must(p.t, err)
	return series(all, *p.now)
}

func series(all []crash.VersionSeries, now time.Time) string {
	var lines []string
	for _, v := range all {
		kept := v.Kept(now)
		line := v.Version + ":"
		for _, b := range kept.HourBuckets() {
			line += fmt.Sprintf(" %s %d/%d", b.At.Format("2T15"), b.Crashes, b.Devices)
		}
		line += ";"
		for _, b := range kept.DayBuckets() {
			line += fmt.Sprintf(" %s %d/%d", b.At.Format("Jan 2"), b.Crashes, b.Devices)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func (p *plant) wants(when, want string) {
	p.t.Helper()
	if got := p.says(); got != want {
		p.t.Errorf("%s: counted is\n%s\nwant\n%s", when, got, want)
	}
}

func TestWhatThinningOutTakesAwayStaysCounted(t *testing.T) {
	p := newPlant(t)
	var all []fleet.Dump
	for n := range 5 {
		d := p.uploads(n%2, "1.0")
		p.decoded(d, "1.0", "f")
		all = append(all, d)
	}
	const counted = "1.0: 4T12 5/2; May 4 5/2"
	p.wants("before", counted)
	for _, d := range all {
		must(t, p.RemoveDump(t.Context(), d.Device, d.Name()))
	}
	p.wants("after all dumps went", counted)
	group, err := p.GroupCounters("f")
	if got := series(group, *p.now); err != nil || got != counted {
		t.Errorf("the group has %s, %v", got, err)
	}
	devices, _, err := p.GroupDevices("f", "", 0)
	if err != nil || len(devices) != 2 || devices[0].Count != 3 || devices[1].Count != 2 || !devices[0].LastSeen.Equal(all[4].UploadedAt) {
		t.Errorf("devices %+v, %v", devices, err)
	}
	// A rebuild records again what lies on disk. A dump that it knows is not counted again.
	d := p.uploads(3, "1.0")
	must(t, p.RecordDumps(t.Context(), []fleet.Dump{d}))
	p.wants("after a dump was recorded twice", "1.0: 4T12 6/3; May 4 6/3")
	must(t, p.Close())
	p.open()
	p.wants("after a stop and a start", "1.0: 4T12 6/3; May 4 6/3")
}

func TestADumpCountsForTheVersionWhoseELFDecodedItOnce(t *testing.T) {
	p := newPlant(t)
	d := p.uploads(1, "1.0")
	p.wants("while it waits", "1.0: 4T12 1/1; May 4 1/1")
	*p.now = noon.Add(26 * time.Hour)
	for range 3 {
		p.decoded(d, "1.1", "f") // it was uploaded after a rollback
	}
	const moved = "1.0:;\n1.1: 4T12 1/1; May 4 1/1"
	p.wants("once it is decoded", moved)
	p.decoded(d, "1.1", "g") // by rules that have changed
	p.wants("decoded again", moved)
	for fingerprint, want := range map[string]string{"g": "1.1: 4T12 1/1; May 4 1/1"} {
		group, err := p.GroupCounters(fingerprint)
		if got := series(group, *p.now); err != nil || got != want {
			t.Errorf("group %s has %s, %v", fingerprint, got, err)
		}
	}
	p.uploads(1, "no/version at all")
	p.wants("a word that is no version", ": 5T14 1/1; May 5 1/1\n"+moved)
	checkIndexes(t, p.Catalog)
}

func TestHoursAndDaysAreCountedAcrossTheirEdgesAndForTheirTime(t *testing.T) {
	p := newPlant(t)
	*p.now = time.Date(2026, 5, 4, 23, 59, 58, 0, time.UTC)
	for range 4 { // two before midnight and two after
		p.uploads(1, "1.0")
	}
	p.wants("at midnight", "1.0: 4T23 2/1 5T00 2/1; May 4 2/1 May 5 2/1")
	*p.now = time.Date(2026, 5, 6, 22, 59, 59, 0, time.UTC)
	p.wants("in the 48th hour", "1.0: 4T23 2/1 5T00 2/1; May 4 2/1 May 5 2/1")
	*p.now = p.now.Add(time.Second)
	p.wants("in the 49th", "1.0: 5T00 2/1; May 4 2/1 May 5 2/1")
	*p.now = time.Date(2026, 8, 1, 23, 0, 0, 0, time.UTC)
	p.wants("on the 90th day", "1.0:; May 4 2/1 May 5 2/1")
	must(t, p.NoteTime(*p.now))
	must(t, p.ForgetCounted(t.Context()))
	*p.now = p.now.Add(time.Hour)
	p.wants("on the 91st", "1.0:; May 5 2/1")
	*p.now = p.now.Add(24 * time.Hour)
	must(t, p.ForgetCounted(t.Context()))
	if keys := p.counterKeys(); len(keys) != 2 {
		t.Errorf("a time that has not passed for certain removed counters: %v are left", keys)
	}
	must(t, p.NoteTime(*p.now))
	must(t, p.ForgetCounted(t.Context()))
	if keys := p.counterKeys(); len(keys) != 0 {
		t.Errorf("%v are left", keys)
	}
	checkIndexes(t, p.Catalog)
}

func (p *plant) counterKeys() (keys []string) {
	must(p.t, p.store.db.View(func(txn *badger.Txn) error {
		for _, prefix := range []string{allCountedPrefix, allCrashedPrefix} {
			if err := each(txn, prefix, "", false, func(key string, _ *badger.Item) error { keys = append(keys, key); return nil }); err != nil {
				return err
			}
		}
		return nil
	}))
	return keys
}

func TestAClockThatSteppedBackCountsOnAndPushesNothingOut(t *testing.T) {
	p := newPlant(t)
	p.uploads(1, "1.0")
	*p.now = noon.AddDate(1, 0, 0) // a year ahead
	p.uploads(1, "1.0")
	*p.now = noon.Add(time.Hour)
	p.uploads(2, "1.0")
	*p.now = noon.Add(10 * time.Minute) // back by less than an hour
	p.uploads(1, "1.0")
	*p.now = noon.Add(time.Hour)
	p.wants("back again", "1.0: 4T12 2/1 4T13 1/1; May 4 3/2")

	ahead := newPlant(t) // began to count while the clock was ahead
	must(t, ahead.Close())
	*ahead.now = noon.AddDate(1, 0, 0)
	ahead.dir = t.TempDir()
	ahead.open()
	*ahead.now = noon
	ahead.uploads(1, "1.0")
	ahead.wants("that began ahead", "1.0: 4T12 1/1; May 4 1/1")
	must(t, ahead.Close())
	ahead.open()
}

func TestWhatWasUploadedBeforeCountingBeganIsInItsGroupOnly(t *testing.T) {
	p := newPlant(t)
	old := fleet.Dump{Device: keyOf(1), Model: "pump", FirmwareVersion: "1.0", UploadedAt: noon.Add(-time.Hour), Size: 1, SHA256: "ab"}
	must(t, p.RecordDumps(t.Context(), []fleet.Dump{old}))
	p.decoded(old, "1.1", "f")
	p.wants("of a dump from before", "")
	if since, err := p.CountedSince(); err != nil || !since.Equal(noon) {
		t.Errorf("counted since %v, %v", since, err)
	}
	group, err := p.GroupCounters("f")
	if got := series(group, *p.now); err != nil || got != "1.1: 4T11 1/1; May 4 1/1" {
		t.Errorf("the group has %s, %v", got, err)
	}
}

func TestDeviceHoursAndRefusalsAreAddedUpAndVersionsAreBounded(t *testing.T) {
	p := newPlant(t)
	hour := noon.Truncate(time.Hour)
	must(t, p.SaveHours(t.Context(), []fleet.HourCount{{Model: "pump", Version: "1.0", Hour: hour, Heard: 3}}))
	must(t, p.SaveHours(t.Context(), []fleet.HourCount{
		{Model: "pump", Version: "1.0", Hour: hour, Heard: 2, Refused: 1}, {Model: "pump", Version: "1.0", Hour: hour.Add(time.Hour), Heard: 4},
	}))
	*p.now = noon.Add(time.Hour)
	all, err := p.Counters("pump")
	if err != nil || len(all) != 1 || all[0].LastHours(1, *p.now).Heard != 4 || all[0].LastDays(1, *p.now) != (crash.Count{Heard: 9, Refused: 1}) {
		t.Errorf("counted %+v, %v", all, err)
	}
	for n := range 3 * mostCounted {
		p.uploads(n, fmt.Sprintf("2.%d", n))
	}
	all, err = p.Counters("pump")
	must(t, err)
	sum := 0
	for _, v := range all {
		sum += v.LastDays(1, *p.now).Crashes
	}
	if len(all) > mostCounted+1 || sum != 3*mostCounted {
		t.Errorf("%d versions with %d crashes: want %d at most with %d", len(all), sum, mostCounted+1, 3*mostCounted)
	}
	if !slices.ContainsFunc(all, func(v crash.VersionSeries) bool { return v.Version == otherVersions }) {
		t.Error("the others are not counted")
	}
	checkIndexes(t, p.Catalog)
}

// What 8,000 devices of one model cost in a day with three versions: all are heard each hour, one in 50 crashes.
func TestADayOf8000DevicesWritesFewCounters(t *testing.T) {
	p := newPlant(t)
	for day := range 2 {
		for hour := range 24 {
			*p.now = noon.Add(time.Duration(24*day+hour) * time.Hour)
			for n := range 7 {
				p.uploads(160*day+7*hour+n, fmt.Sprintf("1.%d", n%3))
			}
			var hours []fleet.HourCount
			for v := range 3 {
				hours = append(hours, fleet.HourCount{Model: "pump", Version: fmt.Sprintf("1.%d", v), Hour: *p.now, Heard: 2666})
			}
			must(t, p.SaveHours(t.Context(), hours))
		}
	}
	keys, bytes, largest := 0, 0, 0
	must(t, p.store.db.View(func(txn *badger.Txn) error {
		for _, prefix := range []string{allCountedPrefix, allCrashedPrefix} {
			err := each(txn, prefix, "", false, func(key string, item *badger.Item) error {
				keys, bytes, largest = keys+1, bytes+len(key)+int(item.ValueSize()), max(largest, int(item.ValueSize()))
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}))
	t.Logf("after two days %d keys with %d bytes, the largest value has %d", keys, bytes, largest)
	if most := 3 + 2*24*7; keys > most || bytes > most*100+3*5<<10 {
		t.Errorf("%d keys and %d bytes", keys, bytes)
	}
}
