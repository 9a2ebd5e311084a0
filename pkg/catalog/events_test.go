package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/sighting"
)

// eventsOf are all that a filter picks, page by page.
func eventsOf(t testing.TB, c *Catalog, f event.Filter) []fleet.Event {
	t.Helper()
	var all []fleet.Event
	for {
		page, err := c.Events(f)
		must(t, err)
		for _, s := range page.Events {
			all = append(all, s.Event)
		}
		if page.Next == 0 {
			return all
		}
		if f.Before > 0 {
			f.Before = page.Next
		} else {
			f.After = page.Next
		}
	}
}

func kinds(events []fleet.Event) []string {
	var all []string
	for _, e := range events {
		all = append(all, string(e.Kind))
	}
	return all
}

// export is the stream as `slipway audit export` writes it.
func export(t testing.TB, c *Catalog) []byte {
	t.Helper()
	var out bytes.Buffer
	must(t, c.ExportEvents(func(anchor event.Link) error { return json.NewEncoder(&out).Encode(event.Anchor{Anchor: &anchor}) },
		func(raw []byte) error {
			out.Write(append(slices.Clone(raw), '\n'))
			return nil
		}))
	return out.Bytes()
}

// checkEvents compares what a killed child has changed with what it has told: each change and its event are both there or
// both absent, and the chain holds.
func checkEvents(t *testing.T, c *Catalog) {
	t.Helper()
	if _, _, err := event.Verify(bytes.NewReader(export(t, c))); err != nil {
		t.Error(err)
	}
	counted := map[string]int{}
	index := 0
	for _, e := range eventsOf(t, c, event.Filter{}) {
		counted[string(e.Kind)+" "+e.Object.ID] += timesOf(t, e)
		counted[string(e.Kind)]++
		index += len(event.Subjects(e.Object))
	}
	must(t, c.view(func(txn *badger.Txn) error { // what is told of within the hour
		return each(txn, pacedPrefix, "", false, func(key string, item *badger.Item) error {
			var p paced
			must(t, read(item, &p))
			counted[string(p.Kind)+" "+lastPart(key)] += p.Times
			return nil
		})
	}))
	marks, err := c.count(objectEventPrefix)
	if must(t, err); marks != index {
		t.Errorf("%d events are listed by object, and there are %d", marks, index)
	}
	devices := everyDevice(t, c)
	imported, added := 0, 0
	for _, d := range devices {
		if d.Key[0] == 'i' {
			imported++
			continue
		}
		added++
		if n := counted["device.added "+string(d.Key)]; n != 1 {
			t.Errorf("device %s is there, and %d events tell of it", d.Key, n)
		}
		s, err := c.DeviceSecrets(d.Key)
		must(t, err)
		if times, _ := strconv.Atoi(string(s.Current)); d.Key[0] == 's' && counted["device.secret_rotated "+string(d.Key)] != times%100 {
			t.Errorf("the secret of %s was changed %d times, and %d events tell of it", d.Key, times%100, counted["device.secret_rotated "+string(d.Key)])
		}
	}
	builds, err := c.Builds("pump")
	must(t, err)
	groups, err := c.Groups(crash.GroupFilter{})
	must(t, err)
	for kind, want := range map[string]int{
		"device.added": added, "device.imported": imported / killedImport, "build.accepted": len(builds), "build.published": len(builds), "crash.new": len(groups),
	} {
		if counted[kind] != want {
			t.Errorf("%d events are %s, and %d changes were made", counted[kind], kind, want)
		}
	}
}

// timesOf is how often what an event tells of has happened.
func timesOf(t *testing.T, e fleet.Event) int {
	t.Helper()
	said := struct{ Times int }{1}
	if e.Details != nil {
		must(t, json.Unmarshal(e.Details, &said))
	}
	return said.Times
}

func TestWhoeverChangesARecordIsInItsEvent(t *testing.T) {
	c := open(t, t.TempDir())
	by := event.By{Actor: fleet.Actor{Type: fleet.Person, ID: "ab12", Name: "Ana"}, From: "10.1.2.3"}
	ctx := event.WithActor(t.Context(), by)
	must(t, c.AddModel(ctx, fleet.Model{Code: "pump"}))
	_, _, err := c.RecordBuild(ctx, fleet.Build{Model: "pump", Version: "1.0.0"}, true)
	must(t, err)
	must(t, c.AddDevice(ctx, fleet.Device{Key: keyOf(1), Model: "pump"}, auth.DeviceSecrets{}))
	must(t, c.AddDevice(t.Context(), fleet.Device{Key: keyOf(2), Model: "pump"}, auth.DeviceSecrets{}))
	config := json.RawMessage(`{"topic":"a","wifi":{"ssid":"plant","password":"open sesame"},"apiKey":"k3y","broker":"mqtt://me:hunter2@plant"}`)
	_, err = c.UpdateDevice(ctx, keyOf(1), func(d *fleet.Device) error {
		d.Name, d.Revoked, d.Pin, d.Config = "press 7", true, "1.0.0", config
		d.Provisioning = map[string]string{"mqtt_url": "mqtt://secret"}
		return nil
	})
	must(t, err)
	_, err = c.UpdateDevice(ctx, keyOf(1), func(d *fleet.Device) error { d.Revoked, d.Pin = false, ""; return nil })
	must(t, err)
	must(t, c.RemoveDevice(ctx, keyOf(1)))
	events := eventsOf(t, c, event.Filter{Object: keyOf(1).ObjectOf()})
	want := []string{
		"device.added", "device.changed", "device.pinned", "device.revoked", "config.changed", "provisioning.changed",
		"device.unpinned", "device.welcomed", "device.removed",
	}
	if got := kinds(events); !slices.Equal(got, want) {
		t.Errorf("the device's history is %v", got)
	}
	for _, e := range events {
		if e.Actor != by.Actor || e.From != by.From || e.Object != keyOf(1).ObjectOf() || !e.At.Equal(noon) {
			t.Errorf("%+v", e)
		}
		for _, secret := range []string{"open sesame", "k3y", "hunter2", "mqtt://secret"} {
			if strings.Contains(string(e.Details), secret) {
				t.Errorf("event %d has a secret: %s", e.Seq, e.Details)
			}
		}
	}
	if got := string(events[4].Details); got != `{"after":{"apiKey":"…","broker":"mqtt://…@plant","topic":"a","wifi":{"password":"…","ssid":"plant"}},"before":null}` {
		t.Errorf("the configuration's change is told as %s", got)
	}
	if got := string(events[5].Details); got != `{"names":["mqtt_url"]}` {
		t.Errorf("the provisioning's change is told as %s", got)
	}
	if other := eventsOf(t, c, event.Filter{Object: keyOf(2).ObjectOf()}); len(other) != 1 || other[0].Actor != (fleet.Actor{Type: fleet.Itself}) {
		t.Errorf("%+v", other)
	}
}

func TestWhatChangesNothingOrIsRefusedLeavesNoEvent(t *testing.T) {
	c := open(t, t.TempDir())
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	must(t, c.AddDevice(t.Context(), fleet.Device{Key: keyOf(1), Model: "pump", Name: "a"}, auth.DeviceSecrets{}))
	before, err := c.LastEvent()
	must(t, err)
	_, err = c.UpdateDevice(t.Context(), keyOf(1), func(d *fleet.Device) error { d.Name = "a"; return nil })
	must(t, err)
	_, err = c.UpdateModel(t.Context(), "pump", func(*fleet.Model) error { return nil })
	must(t, err)
	_, err = c.UpdateDevice(t.Context(), keyOf(1), func(d *fleet.Device) error { d.Name, d.Model = "b", "none"; return nil })
	want(t, err, fleet.ErrUnknown)
	want(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}), fleet.ErrTaken)
	want(t, c.RemoveModel(t.Context(), "pump"), fleet.ErrTaken)
	want(t, c.RemoveOperatorToken(t.Context(), "none"), fleet.ErrUnknown)
	if after, err := c.LastEvent(); err != nil || after != before {
		t.Errorf("the last event was %d and is %d, %v", before.Seq, after.Seq, err)
	}
}

// happen leaves n events, of a few kinds and objects.
func happen(t testing.TB, c *Catalog, n int) {
	t.Helper()
	table := event.Table
	for i := range n {
		must(t, c.Record(context.Background(), table[i%7].Kind, keyOf(i%5).ObjectOf(), facts{"n": i}))
	}
}

func TestAFlippedByteOfAnyEventIsFoundAndNamed(t *testing.T) {
	c := open(t, t.TempDir())
	const n = 100
	happen(t, c, n)
	for seq := uint64(1); seq <= n; seq++ {
		var whole []byte
		must(t, c.store.db.Update(func(txn *badger.Txn) error {
			item, err := txn.Get([]byte(eventKey(seq)))
			must(t, err)
			whole, err = item.ValueCopy(nil)
			must(t, err)
			flipped := bytes.Clone(whole)
			flipped[int(seq*31)%len(flipped)] ^= 1 << (seq % 7)
			return txn.Set([]byte(eventKey(seq)), flipped)
		}))
		_, _, err := event.Verify(bytes.NewReader(export(t, c)))
		var broken *event.BrokenError
		if !errors.As(err, &broken) || broken.Seq != seq || err.Error() != fmt.Sprintf("event %d does not follow from %d", seq, seq-1) {
			t.Errorf("a bit of event %d was flipped, and it is said: %v", seq, err)
		}
		must(t, c.store.db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(eventKey(seq)), whole) }))
	}
	if events, end, err := event.Verify(bytes.NewReader(export(t, c))); events != n || end.Seq != n || err != nil {
		t.Errorf("%d events, up to %d, %v", events, end.Seq, err)
	}
}

func TestAFullStreamStaysWithinItsBounds(t *testing.T) {
	const most = 20_000
	o := settled(t, t.TempDir())
	o.MostEvents = most
	c, err := Open(o)
	must(t, err)
	defer func() { must(t, c.Close()) }()
	for range 20 {
		happen(t, c, 50)
		size := len(export(t, c))
		if size > most+1000 {
			t.Fatalf("%d bytes of events, at most %d are asked for", size, most)
		}
		if _, _, err := event.Verify(bytes.NewReader(export(t, c))); err != nil {
			t.Fatal(err)
		}
	}
	page, err := c.Events(event.Filter{})
	must(t, err)
	if page.Anchor.Seq == 0 || page.Events[0].Seq != page.Anchor.Seq+1 || page.Head.Seq != 1000 {
		t.Errorf("the anchor is %d, the first event %d, the last %d", page.Anchor.Seq, page.Events[0].Seq, page.Head.Seq)
	}
	marks, err := c.count(objectEventPrefix)
	if must(t, err); marks != len(page.Events) {
		t.Errorf("%d events are listed by object, and there are %d", marks, len(page.Events))
	}
}

func TestOldEventsGoByTimeThatHasPassedForCertain(t *testing.T) {
	o := settled(t, t.TempDir())
	now := noon
	o.Now = func() time.Time { return now }
	o.KeepEvents = 400 * 24 * time.Hour
	c, err := Open(o)
	must(t, err)
	defer func() { must(t, c.Close()) }()
	happen(t, c, 3)
	now = noon.Add(10 * 365 * 24 * time.Hour) // the clock is ahead for a moment
	happen(t, c, 1)
	if page, err := c.Events(event.Filter{}); err != nil || page.Anchor.Seq != 0 {
		t.Errorf("a clock that was ahead took %d events, %v", page.Anchor.Seq, err)
	}
	now = noon.Add(401 * 24 * time.Hour)
	must(t, c.NoteTime(now))
	happen(t, c, 1)
	page, err := c.Events(event.Filter{})
	must(t, err)
	if page.Anchor.Seq != 3 || len(page.Events) != 2 {
		t.Errorf("the anchor is %d, and %d events are left", page.Anchor.Seq, len(page.Events))
	}
	now = time.Unix(0, 0) // and now it has none
	happen(t, c, 1)
	if last := eventsOf(t, c, event.Filter{After: 5})[0]; last.At.Before(noon) {
		t.Errorf("an event of %s", last.At)
	}
}

func TestEventsAreReadByCursorKindObjectAndTime(t *testing.T) {
	o := settled(t, t.TempDir())
	now := noon
	o.Now = func() time.Time { now = now.Add(time.Minute); return now }
	c, err := Open(o)
	must(t, err)
	defer func() { must(t, c.Close()) }()
	happen(t, c, 70)
	all := eventsOf(t, c, event.Filter{Limit: 7})
	if len(all) != 70 || all[0].Seq != 1 || all[69].Seq != 70 {
		t.Fatalf("%d events", len(all))
	}
	back := eventsOf(t, c, event.Filter{Before: 71, Limit: 9})
	slices.Reverse(back)
	if !slices.EqualFunc(back, all, func(a, b fleet.Event) bool { return a.Seq == b.Seq }) {
		t.Errorf("backwards they are others: %d", len(back))
	}
	for name, f := range map[string]event.Filter{
		"a kind":                 {Kinds: []string{"build.published"}, Limit: 3},
		"a noun":                 {Kinds: []string{"build"}, Limit: 3},
		"an object":              {Object: keyOf(2).ObjectOf(), Limit: 4},
		"an object, backwards":   {Object: keyOf(2).ObjectOf(), Limit: 4, Before: 50},
		"an object, later":       {Object: keyOf(2).ObjectOf(), Limit: 4, After: 20},
		"since":                  {At: fleet.Span{Since: noon.Add(30 * time.Minute)}},
		"since, and backwards":   {At: fleet.Span{Since: noon.Add(30 * time.Minute)}, Before: 71, Limit: 3},
		"all of it":              {At: fleet.Span{Since: noon.Add(30 * time.Minute)}, Object: keyOf(0).ObjectOf(), Kinds: []string{"build"}, Limit: 1},
		"nothing":                {Object: fleet.Object{Type: "device", ID: "none"}},
		"a time that is to come": {At: fleet.Span{Since: noon.Add(time.Hour * 1000)}},
		"until":                  {At: fleet.Span{Until: noon.Add(30 * time.Minute)}},
		"until, and backwards":   {At: fleet.Span{Until: noon.Add(30 * time.Minute)}, Before: 71, Limit: 3},
		"between":                {At: fleet.Span{Since: noon.Add(20 * time.Minute), Until: noon.Add(50 * time.Minute)}, Limit: 4},
		"an object, between":     {At: fleet.Span{Since: noon.Add(20 * time.Minute), Until: noon.Add(50 * time.Minute)}, Object: keyOf(1).ObjectOf(), Limit: 2},
		"and backwards":          {At: fleet.Span{Since: noon.Add(20 * time.Minute), Until: noon.Add(50 * time.Minute)}, Object: keyOf(1).ObjectOf(), Before: 71},
		"before all":             {At: fleet.Span{Until: noon}},
	} {
		var want []uint64
		for _, e := range all {
			if f.Takes(e) && e.Seq > f.After && (f.Before == 0 || e.Seq < f.Before) {
				want = append(want, e.Seq)
			}
		}
		if f.Before > 0 {
			slices.Reverse(want)
		}
		var got []uint64
		for _, e := range eventsOf(t, c, f) {
			got = append(got, e.Seq)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestTheEventsOfABuildAndOfADumpAreItsModelsAndItsDevices(t *testing.T) {
	c := open(t, t.TempDir())
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	_, _, err := c.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: "1.0.0", Chip: "ESP32"}, true)
	must(t, err)
	if got := kinds(eventsOf(t, c, event.Filter{Object: fleet.ModelCode("pump").ObjectOf()})); !slices.Equal(got, []string{"model.added", "build.accepted", "model.changed", "build.published"}) {
		t.Errorf("the model's history is %v", got)
	}
	if got := kinds(eventsOf(t, c, event.Filter{Object: fleet.BuildObject("pump", "1.0.0")})); !slices.Equal(got, []string{"build.accepted", "build.published"}) {
		t.Errorf("the build's history is %v", got)
	}
	d := fleet.Dump{Device: keyOf(1), Model: "pump", UploadedAt: noon}
	must(t, c.RecordDumps(t.Context(), []fleet.Dump{d}))
	ctx := event.WithActor(t.Context(), event.By{Actor: fleet.Actor{Type: fleet.Person, ID: "uid:0"}})
	must(t, c.RemoveDump(ctx, d.Device, d.Name()))
	must(t, c.RemoveDump(ctx, d.Device, d.Name())) // it is gone: no news
	if got := kinds(eventsOf(t, c, event.Filter{Object: keyOf(1).ObjectOf()})); !slices.Equal(got, []string{"dump.removed"}) {
		t.Errorf("the device's history is %v", got)
	}
}

func TestDumpsThatGoByThemselvesAreToldOnceAnHourWithCounts(t *testing.T) {
	o := settled(t, t.TempDir())
	now := noon
	o.Now = func() time.Time { return now }
	c, err := Open(o)
	must(t, err)
	defer func() { must(t, c.Close()) }()
	ctx := event.WithActor(t.Context(), event.By{Actor: fleet.Actor{Type: fleet.DeviceActor, ID: string(keyOf(1))}})
	for i := range 300 { // five hours
		now = noon.Add(time.Duration(i) * time.Minute)
		d := fleet.Dump{Device: keyOf(1), Model: "pump", UploadedAt: now}
		must(t, c.RecordDumps(ctx, []fleet.Dump{d}))
		must(t, c.RemoveDump(ctx, d.Device, d.Name()))
	}
	now = now.Add(2 * time.Hour)
	must(t, c.TellPaced(t.Context()))
	must(t, c.TellPaced(t.Context()))
	sum, events := 0, eventsOf(t, c, event.Filter{})
	for _, e := range events {
		var said struct{ Dumps int }
		must(t, json.Unmarshal(e.Details, &said))
		sum += said.Dumps
		if e.Kind != event.DumpRotated || e.Actor.Type != fleet.Itself {
			t.Errorf("%+v", e)
		}
	}
	if sum != 300 || len(events) != 6 {
		t.Errorf("%d events tell of %d dumps", len(events), sum)
	}
}

func TestABackupCarriesTheEventsAndTheChainGoesOn(t *testing.T) {
	c := open(t, t.TempDir())
	happen(t, c, 20)
	before := export(t, c)
	dir := filepath.Join(t.TempDir(), "catalog")
	_, err := Restore(settled(t, dir), bytes.NewReader(backupOf(t, c)))
	must(t, err)
	restored := open(t, dir)
	after := export(t, restored)
	if !bytes.HasPrefix(after, before) {
		t.Error("the restored events are others")
	}
	if n, end, err := event.Verify(bytes.NewReader(after)); n != 21 || end.Seq != 21 || err != nil {
		t.Errorf("%d events up to %d, %v", n, end.Seq, err)
	}
	if last := eventsOf(t, restored, event.Filter{After: 20}); len(last) != 1 || last[0].Kind != event.BackupRestored {
		t.Errorf("%+v", last)
	}
}

// TestADeviceThatProvisionsItselfAgainAndAgainIsToldOfOnceAnHour: what it does is counted, and none of it is lost.
func TestADeviceThatProvisionsItselfAgainAndAgainIsToldOfOnceAnHour(t *testing.T) {
	o := settled(t, t.TempDir())
	now := noon
	o.Now = func() time.Time { return now }
	c, err := Open(o)
	must(t, err)
	defer func() { must(t, c.Close()) }()
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	must(t, c.AddDevice(t.Context(), fleet.Device{Key: keyOf(1), Model: "pump"}, auth.DeviceSecrets{Current: "0"}))
	ctx := event.WithActor(t.Context(), event.By{Actor: fleet.Actor{Type: fleet.DeviceActor, ID: string(keyOf(1))}})
	const loops, hours = 720, 3 // one each 15 seconds
	for n := range loops {
		now = noon.Add(time.Duration(n) * hours * time.Hour / loops)
		must(t, c.UpdateDeviceSecrets(ctx, keyOf(1), func(s *auth.DeviceSecrets) error { s.Next = auth.HashSecret(fmt.Sprint(n)); return nil }))
		must(t, c.UpdateDeviceSecrets(ctx, keyOf(1), func(s *auth.DeviceSecrets) error { s.Current, s.Next = s.Next, ""; return nil }))
		must(t, c.TellPaced(t.Context()))
	}
	now = now.Add(2 * time.Hour)
	must(t, c.TellPaced(t.Context()))
	must(t, c.TellPaced(t.Context()))
	events := eventsOf(t, c, event.Filter{Kinds: []string{"device.secret_rotated"}})
	times := 0
	for _, e := range events {
		times += timesOf(t, e)
	}
	if len(events) > 2*(hours+1) || times != 2*loops {
		t.Errorf("%d events tell of %d rotations, and there were %d", len(events), times, 2*loops)
	}
	if first := events[0]; first.Actor.Type != fleet.DeviceActor || !first.At.Equal(noon) {
		t.Errorf("the first is told at once, by whom it is: %+v", first)
	}
	if n, err := c.count(pacedPrefix); n != 0 || err != nil {
		t.Errorf("%d still wait, %v", n, err)
	}
}

// TestATokenSaysWhoMadeItAndWhenItWasUsedLast: use is no event, never goes back, and brings no revoked token back.
func TestATokenSaysWhoMadeItAndWhenItWasUsedLast(t *testing.T) {
	c := open(t, t.TempDir())
	ctx := event.WithActor(t.Context(), event.By{Actor: fleet.Actor{Type: fleet.Person, ID: "uid:0"}})
	for _, id := range []string{"a", "b"} {
		must(t, c.AddOperatorToken(ctx, auth.OperatorToken{ID: id}))
	}
	must(t, c.NoteTokensUsed(t.Context(), map[string]time.Time{"a": noon, "gone": noon}))
	must(t, c.NoteTokensUsed(t.Context(), map[string]time.Time{"a": noon.Add(-time.Hour)}))
	all, err := c.OperatorTokens()
	must(t, err)
	if len(all) != 2 || all[0].MadeBy.ID != "uid:0" || !all[0].UsedAt.Equal(noon) || !all[1].UsedAt.IsZero() {
		t.Errorf("%+v", all)
	}
	if events := eventsOf(t, c, event.Filter{}); len(events) != 2 {
		t.Errorf("%v", kinds(events))
	}
}

func TestARollbackThatWasSeenIsToldOnce(t *testing.T) {
	o := settled(t, t.TempDir())
	now := noon
	o.Now = func() time.Time { return now }
	c, err := Open(o)
	must(t, err)
	defer func() { must(t, c.Close()) }()
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	must(t, c.AddDevice(t.Context(), fleet.Device{Key: keyOf(1), Model: "pump"}, auth.DeviceSecrets{}))
	save := func(text string) {
		t.Helper()
		r := sighting.Record{Device: keyOf(1)}
		must(t, json.Unmarshal([]byte(text), &r))
		must(t, c.SaveSightings(t.Context(), []sighting.Record{r}))
	}
	save(`{"runs":"1.1"}`)
	save(`{"runs":"1.0","back":{"version":"1.1","at":1000}}`)
	save(`{"runs":"1.0","back":{"version":"1.1","at":1000},"boots":1}`)
	save(`{"runs":"1.0","back":{"version":"1.1","at":2000,"dump":true}}`)
	now = now.Add(2 * time.Hour)
	must(t, c.TellPaced(t.Context()))
	events := eventsOf(t, c, event.Filter{Object: keyOf(1).ObjectOf(), Kinds: []string{"device.went_back"}})
	if len(events) != 2 || string(events[0].Details) != `{"by":"said","runs":"1.0","seen":"1970-01-01T00:00:01Z","times":1,"version":"1.1"}` || timesOf(t, events[1]) != 1 {
		t.Errorf("%+v", events)
	}
}
