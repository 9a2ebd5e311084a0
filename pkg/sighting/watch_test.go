package sighting

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// told writes down what a watcher is told. It asks the book each time, which must not be locked.
type told struct {
	book *Book
	all  []string
}

func (w *told) note(format string, args ...any) {
	w.book.Presence(keyOf(0))
	w.all = append(w.all, fmt.Sprintf(format, args...))
}

func (w *told) Fetching(_ fleet.ModelCode, d fleet.DeviceKey, v fleet.Version) {
	w.note("%s fetching %s", d, v)
}
func (w *told) Broke(_ fleet.ModelCode, d fleet.DeviceKey, v fleet.Version) {
	w.note("%s broke %s", d, v)
}
func (w *told) Fetched(_ fleet.ModelCode, d fleet.DeviceKey, v fleet.Version) {
	w.note("%s fetched %s", d, v)
}
func (w *told) Checked(_ fleet.ModelCode, d fleet.DeviceKey, v fleet.Version) {
	w.note("%s checked %s", d, v)
}
func (w *told) Booted(_ fleet.ModelCode, d fleet.DeviceKey, known bool) {
	w.note("%s booted"+map[bool]string{true: ", as is known"}[known], d)
}
func (w *told) Missed(_ fleet.ModelCode, d fleet.DeviceKey) { w.note("%s missed", d) }
func (w *told) Removed(d fleet.DeviceKey)                   { w.note("%s removed", d) }
func (w *told) LineChanged(line string, dark bool)          { w.note("%s dark %v", line, dark) }
func (w *told) Placed(_ fleet.ModelCode, d fleet.Placed) {
	w.note("%s placed on %s, %s %s", d.Key, d.Line, d.State, d.Barred)
}

func (w *told) Heard(_ fleet.ModelCode, d fleet.DeviceKey, longer bool) {
	w.note("%s heard, longer %v", d, longer)
}

func (w *told) Runs(_ fleet.ModelCode, d fleet.DeviceKey, v string, by fleet.Proof) {
	w.note("%s runs %s, %s", d, v, by)
}

func (w *told) WentBack(_ fleet.ModelCode, d fleet.DeviceKey, v fleet.Version, by fleet.Proof) {
	w.note("%s went back from %s, %s", d, v, by)
}

func (w *told) take() []string {
	all := w.all
	w.all = nil
	return all
}

func watched(t *testing.T, n int, line string) (*shelf, *Book, *told) {
	t.Helper()
	s := shelfOf(n, line)
	b := s.open(t)
	w := &told{book: b}
	b.Watch(w)
	return s, b, w
}

func (w *told) want(t *testing.T, when string, want ...string) {
	t.Helper()
	if got := w.take(); !slices.Equal(got, want) {
		t.Errorf("%s: told %q, want %q", when, got, want)
	}
}

func TestAWatcherIsToldOfAnUpdateStepByStep(t *testing.T) {
	s, b, w := watched(t, 1, "line1")
	s.hears(b, 0, fleet.Seen{Said: fleet.Said{Version: "1.0", BootID: "a"}})
	w.want(t, "first contact", "dev00000 heard, longer false", "dev00000 runs 1.0, said")
	s.hears(b, time.Minute, fleet.Seen{Said: fleet.Said{Version: "1.0", BootID: "a"}})
	w.want(t, "a poll")
	s.hears(b, time.Minute, fleet.Seen{Transfer: &fleet.Transfer{Version: "2.0", Size: 1 << 20, To: 1 << 20, Arrived: 300_000}})
	w.want(t, "a download that broke", "dev00000 broke 2.0")
	s.hears(b, time.Minute, fleet.Seen{Transfer: &fleet.Transfer{Version: "2.0", Size: 1 << 20, To: 1 << 19, Arrived: 1 << 19, Whole: true}})
	w.want(t, "its first half", "dev00000 fetching 2.0")
	s.hears(b, time.Second, fleet.Seen{Transfer: &fleet.Transfer{Version: "2.0", Size: 1 << 20, From: 1 << 19, To: 1 << 20, Arrived: 1 << 19, Whole: true}})
	w.want(t, "its second half", "dev00000 fetched 2.0")
	s.hears(b, time.Minute, fleet.Seen{Said: fleet.Said{Version: "2.0", BootID: "b"}})
	w.want(t, "its boot", "dev00000 booted, as is known", "dev00000 runs 2.0, said")
	s.hears(b, time.Minute, fleet.Seen{Said: fleet.Said{Version: "2.0", BootID: "c"}})
	w.want(t, "another boot", "dev00000 booted")
	s.hears(b, time.Minute, fleet.Seen{Said: fleet.Said{Version: "1.0", BootID: "d"}})
	w.want(t, "a rollback", "dev00000 booted, as is known", "dev00000 went back from 2.0, said", "dev00000 runs 1.0, said")
}

func TestABootThatIsSeenOnceMoreAfterAKillMayBeOneOfBeforeIt(t *testing.T) {
	s, b, _ := watched(t, 2, "line1")
	s.hears(b, 0, fleet.Seen{Said: fleet.Said{BootID: "a"}})
	if err := b.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.hears(b, time.Minute, fleet.Seen{Said: fleet.Said{BootID: "b"}}) // and a kill before it was saved
	b = s.open(t)
	w := &told{book: b}
	b.Watch(w)
	for _, c := range []struct{ id, want string }{{"b", "dev00000 booted, as is known"}, {"c", "dev00000 booted"}} {
		s.hears(b, time.Minute, fleet.Seen{Said: fleet.Said{BootID: c.id}})
		if told := w.take(); !slices.Contains(told, c.want) {
			t.Errorf("boot %s: told %q", c.id, told)
		}
	}
}

// One that asks for a range, reads the version in it and wants no more, fetches nothing, however often it does so.
func TestADeviceThatChecksByARangeIsNotFetching(t *testing.T) {
	s, b, w := watched(t, 1, "line1")
	for range 3 {
		s.hears(b, time.Minute, fleet.Seen{}) // it asks for the size
		s.hears(b, time.Millisecond, fleet.Seen{Transfer: &fleet.Transfer{Version: "2.0", Size: 1 << 20, To: 4096, Arrived: 4096, Whole: true}})
		if err := b.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if told := w.take(); slices.Contains(told, "dev00000 fetching 2.0") {
		t.Errorf("told %q", told)
	}
}

func TestAWatcherIsToldOfWhoIsMissedAndOfWhoIsBack(t *testing.T) {
	s, b, w := watched(t, 4, "line1")
	for range 5 {
		for n := range 4 {
			s.hears(b, time.Minute, fleet.Seen{Device: keyOf(n)})
		}
		look(t, b)
	}
	w.take()
	for minute := range 60 {
		for n := 1; n < 4; n++ {
			s.hears(b, 20*time.Second, fleet.Seen{Device: keyOf(n)})
		}
		look(t, b)
		if told := w.take(); len(told) > 0 {
			if minute < 25 || minute > 31 || !slices.Equal(told, []string{"dev00000 missed"}) {
				t.Fatalf("after %d minutes: %q", minute, told)
			}
		}
	}
	if p := b.Presence(keyOf(0)); !p.Missing || p.Rhythm != 4*time.Minute {
		t.Errorf("its presence is %+v", p)
	}
	s.hears(b, time.Minute, fleet.Seen{})
	w.want(t, "its first contact since", "dev00000 heard, longer true")
}

// A device that does not come back with its line is missed as long after the light as any other.
func TestNobodyIsMissedOnADarkLine(t *testing.T) {
	s, b, w := watched(t, 4, "line1")
	poll := func(minutes int, from int) {
		for range minutes {
			for n := from; n < 4; n++ {
				s.hears(b, 0, fleet.Seen{Device: keyOf(n)})
			}
			s.now = s.now.Add(time.Minute)
			look(t, b)
		}
	}
	poll(20, 0)
	w.take()
	poll(120, 4) // nobody
	w.want(t, "a cut of two hours", "line1 dark true")
	if ago, ok := b.HeardAgo("pump", "line1"); !ok || ago < 2*time.Hour {
		t.Errorf("half of the line was heard %s ago, %v", ago, ok)
	}
	poll(1, 1)
	for _, told := range w.take() {
		if told != "line1 dark false" && told[len("dev00001 "):] != "heard, longer true" {
			t.Errorf("when three are back: %s", told)
		}
	}
	poll(28, 1)
	w.want(t, "half an hour later, not quite")
	poll(4, 1)
	w.want(t, "half an hour later", "dev00000 missed")
	if ago, ok := b.HeardAgo("pump", "line1"); !ok || ago > time.Minute {
		t.Errorf("half of the line was heard %s ago, %v", ago, ok)
	}
}

func TestASmallLineBorrowsTheModelsOthers(t *testing.T) {
	s, b, _ := watched(t, 6, "line1")
	for n := range 2 {
		d := s.devices[n]
		d.Line = "line2"
		b.DeviceChanged(d)
	}
	for range 10 {
		for n := range 6 {
			s.hears(b, time.Second, fleet.Seen{Device: keyOf(n)})
		}
		s.now = s.now.Add(time.Minute)
		look(t, b)
	}
	for range 10 { // line2 falls silent
		for n := 2; n < 6; n++ {
			s.hears(b, time.Second, fleet.Seen{Device: keyOf(n)})
		}
		s.now = s.now.Add(time.Minute)
		look(t, b)
	}
	if ago, ok := b.HeardAgo("pump", "line2"); !ok || ago > 2*time.Minute {
		t.Errorf("two devices say nothing of their line: half were heard %s ago, %v", ago, ok)
	}
	if _, ok := b.HeardAgo("valve", "line2"); ok {
		t.Error("a model without devices was heard")
	}
	if quiet, rhythm := b.QuietFor(); quiet > 2*time.Minute || rhythm < time.Minute || rhythm > 2*time.Minute {
		t.Errorf("quiet for %s, the shortest rhythm is %s", quiet, rhythm)
	}
}

func TestAWatcherIsToldWhereADeviceStandsAndWhatBarsIt(t *testing.T) {
	s, b, w := watched(t, 1, "line1")
	d := s.devices[0]
	d.Pin = "1.0"
	b.DeviceChanged(d)
	w.want(t, "pinned", "dev00000 placed on line1, never pinned")
	d.Pin, d.Line = "", ""
	b.DeviceChanged(d)
	w.want(t, "no line", "dev00000 placed on , never ")
	s.hears(b, time.Minute, fleet.Seen{})
	w.want(t, "its first contact", "dev00000 heard, longer false", "dev00000 placed on 10.1.2.0/24, live ")
	b.DeviceRemoved(d.Key)
	w.want(t, "removed", "dev00000 removed")
	var all []fleet.Placed
	b.EachDevice("pump", func(p fleet.Placed) { all = append(all, p) })
	if len(all) != 0 {
		t.Errorf("still placed: %+v", all)
	}
}

func look(t *testing.T, b *Book) {
	t.Helper()
	if err := b.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// missedOf are the devices that are placed as missed.
func missedOf(b *Book) (all []fleet.DeviceKey) {
	b.EachDevice("pump", func(d fleet.Placed) {
		if d.Missed {
			all = append(all, d.Key)
		}
	})
	return all
}

func TestWhoIsMissedIsPlacedAsSuchAlsoOnALineThatIsDark(t *testing.T) {
	s, b, _ := watched(t, 4, "line1")
	d := s.devices[0]
	d.Line = "line2" // alone: never dark
	b.DeviceChanged(d)
	poll := func(minutes, from int) {
		for range minutes {
			for n := from; n < 4; n++ {
				s.hears(b, 0, fleet.Seen{Device: keyOf(n)})
			}
			s.now = s.now.Add(time.Minute)
			look(t, b)
		}
	}
	poll(20, 0)
	poll(25, 1)
	if all := missedOf(b); len(all) > 0 {
		t.Errorf("%v are missed before 30 minutes", all)
	}
	poll(10, 1)
	if all := missedOf(b); !slices.Equal(all, []fleet.DeviceKey{keyOf(0)}) {
		t.Errorf("%v are missed, want the first", all)
	}
	poll(10, 4)
	if all := missedOf(b); len(all) != 4 || len(b.DarkLines()) != 1 {
		t.Errorf("%v are missed, want all while %v is dark", all, b.DarkLines())
	}
}

// A gateway that hears nobody does not hear better when all are missed.
func TestWhereAllAreMissedThereIsStillARhythmThatSomebodyShouldBeHeardIn(t *testing.T) {
	s, b, w := watched(t, 2, "line1")
	for range 10 {
		for n := range 2 {
			s.hears(b, 0, fleet.Seen{Device: keyOf(n)})
		}
		s.now = s.now.Add(time.Minute)
		look(t, b)
	}
	w.take()
	for range 60 {
		s.now = s.now.Add(time.Minute)
		look(t, b)
	}
	if told := w.take(); !slices.Contains(told, "dev00000 missed") || !slices.Contains(told, "dev00001 missed") {
		t.Errorf("told %q", told)
	}
	if quiet, rhythm := b.QuietFor(); quiet < time.Hour || rhythm != time.Minute {
		t.Errorf("quiet for %s, the shortest rhythm is %s", quiet, rhythm)
	}
}

func TestAWatcherIsToldOfACheckOnceItIsClearThatItIsOne(t *testing.T) {
	s, b, w := watched(t, 1, "line1")
	part := func(v fleet.Version, arrived int64, whole bool) fleet.Seen {
		to := int64(1 << 20)
		if whole {
			to = arrived
		}
		return fleet.Seen{Transfer: &fleet.Transfer{Version: v, Size: 1 << 20, To: to, Arrived: arrived, Whole: whole}}
	}
	s.hears(b, time.Minute, part("2.0", 1024, false))
	w.want(t, "a block of all", "dev00000 heard, longer false", "dev00000 checked 2.0")
	s.hears(b, time.Minute, fleet.Seen{Transfer: &fleet.Transfer{Version: "2.0", Size: 1 << 20, NotModified: true}})
	w.want(t, "what it has already", "dev00000 checked 2.0")
	s.hears(b, time.Minute, part("2.0", 4096, true))
	w.want(t, "a range, which may be the first of many")
	s.hears(b, time.Minute, part("3.0", 1<<20, true))
	w.want(t, "another image a minute later", "dev00000 fetched 3.0", "dev00000 checked 2.0")
}

func TestADownloadIsToldWhileItGoesOn(t *testing.T) {
	s, b, w := watched(t, 1, "line1")
	begun := s.now
	going := fleet.Transfer{Version: "2.0", Size: 1 << 20, To: 1 << 20, Arrived: 100_000, Going: true, Begun: begun}
	s.hears(b, time.Second, fleet.Seen{Transfer: &going})
	w.want(t, "in its middle", "dev00000 heard, longer false", "dev00000 fetching 2.0")
	whole := fleet.Transfer{Version: "2.0", Size: 1 << 20, To: 1 << 20, Arrived: 1 << 20, Whole: true, Begun: begun}
	s.hears(b, time.Second, fleet.Seen{Transfer: &whole})
	w.want(t, "at its end", "dev00000 fetched 2.0")
	going.Begun, whole.Begun = s.now, s.now
	s.hears(b, time.Second, fleet.Seen{Transfer: &going})
	whole.Arrived, whole.Whole = 200_000, false
	s.hears(b, time.Second, fleet.Seen{Transfer: &whole})
	w.want(t, "one that breaks", "dev00000 fetching 2.0", "dev00000 broke 2.0")
}
