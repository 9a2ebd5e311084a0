package rollout

import (
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// killedAfterADownload is a rollout whose gateway was killed in the moment in which a device had the whole build: only its offer
// is on record.
func killedAfterADownload(t *testing.T, rollback bool) (*factory, *Rollouts, fleet.DeviceKey) {
	t.Helper()
	f := newFactory(50)
	f.traits = map[fleet.Version]fleet.Traits{"2": {Dumps: true, Rollback: rollback}}
	rs := f.open(t)
	f.start(t, rs)
	d := f.ask(t, rs, "2")[0]
	rs.Fetched("pump", d, "2")
	f.now = f.now.Add(10 * time.Minute)
	rs = f.open(t)
	wants(t, rs, d, fleet.MemberOffered)
	return f, rs, d
}

func TestADeviceThatHadTheWholeInTheMomentOfAKillIsProvenByItsNextPolls(t *testing.T) {
	f, rs, d := killedAfterADownload(t, false)
	rs.Checked("pump", d, "1")
	rs.Checked("pump", d, "2")
	wants(t, rs, d, fleet.MemberOffered)
	f.now = f.now.Add(u/8 - time.Second)
	rs.Checked("pump", d, "2")
	wants(t, rs, d, fleet.MemberOffered) // it may be about to fetch it
	f.now = f.now.Add(2 * time.Second)
	rs.Checked("pump", d, "2")
	if m := wants(t, rs, d, fleet.MemberUp); m.UpBy != fleet.UpBehaved || !m.Has || m.Attempts != 1 {
		t.Errorf("%+v", m)
	}
	f.now = f.now.Add(16 * time.Minute)
	rs.Tick(t.Context())
	wants(t, rs, d, fleet.MemberHealthy)
}

func TestADeviceThatIsOfferedABuildAfterAStartIsNotProvenByLookingAtIt(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	rs = f.open(t)
	f.now = f.now.Add(u)
	rs.Tick(t.Context())
	d := f.ask(t, rs, "2")[0]
	for range 5 {
		rs.Checked("pump", d, "2")
		f.now = f.now.Add(5 * time.Minute)
	}
	wants(t, rs, d, fleet.MemberOffered)

	f, rs, d = killedAfterADownload(t, false)
	rs.Checked("pump", d, "2")
	f.now = f.now.Add(5 * time.Minute)
	rs.Broke("pump", d, "2") // it fetches it: so it did not have it
	rs.Checked("pump", d, "2")
	f.now = f.now.Add(5 * time.Minute)
	rs.Checked("pump", d, "2")
	wants(t, rs, d, fleet.MemberFetching)
}

// With a bootloader that goes back it may have gone back, and remember that: it has the whole, and a person says what it runs.
func TestWithRollbackADeviceOfAKillHasTheBuildAndIsNotProven(t *testing.T) {
	f, rs, d := killedAfterADownload(t, true)
	for range 5 {
		rs.Checked("pump", d, "2")
		f.now = f.now.Add(5 * time.Minute)
	}
	if m := wants(t, rs, d, fleet.MemberFetched); f.offered(rs, d) != "2" || !m.Has {
		t.Errorf("%+v", m)
	}
}

// One that asks every two hours is not offered the base before it could show that it has the build.
func TestADeviceOfAKillHasThreeOfItsRhythmsToShowWhatItHas(t *testing.T) {
	f, _, d := killedAfterADownload(t, false)
	f.seen[d] = fleet.Presence{State: fleet.Live, Rhythm: 2 * time.Hour, Ago: time.Hour}
	rs := f.open(t)
	f.now = f.now.Add(5 * time.Hour)
	rs.Tick(t.Context())
	if v := f.offered(rs, d); v != "2" {
		t.Errorf("it is offered %s", v)
	}
	f.now = f.now.Add(4 * time.Hour)
	rs.Tick(t.Context())
	wants(t, rs, d, fleet.MemberWaiting)
}

// What it says was saved before the kill, and its place in the rollout was not: nothing is new when it says so again. It would be
// offered the base when its turn is over, go back to it, and the build would be blamed.
func TestADeviceThatIsKnownToRunTheBuildIsUpAfterAKill(t *testing.T) {
	f, rs, d := killedAfterADownload(t, false)
	waiting := f.devices[len(f.devices)-1].Key // by cable
	old := f.devices[len(f.devices)-2].Key
	wants(t, rs, waiting, fleet.MemberWaiting)
	for key, since := range map[fleet.DeviceKey]time.Time{d: f.now, waiting: f.now, old: f.now.Add(-24 * time.Hour)} {
		f.seen[key] = fleet.Presence{State: fleet.Live, Rhythm: 5 * time.Minute, Runs: "2", RunsBy: fleet.ProofSaid, RunsSince: since}
	}
	rs = f.open(t)
	if m := wants(t, rs, d, fleet.MemberUp); m.UpBy != fleet.UpSaid || !m.Has || m.Strayed {
		t.Errorf("%+v", m)
	}
	if m := wants(t, rs, waiting, fleet.MemberUp); !m.Strayed {
		t.Errorf("%+v", m)
	}
	wants(t, rs, old, fleet.MemberWaiting)
	f.now = f.now.Add(31 * time.Minute)
	rs.Tick(t.Context())
	for _, key := range []fleet.DeviceKey{d, waiting} {
		if v := f.offered(rs, key); v != "2" {
			t.Errorf("%s is offered %s", key, v)
		}
	}
}

// The record of its download is there, and what the sightings made of it is not.
func TestADeviceWhoseDownloadIsOnRecordIsProvenByItsPollsAfterAKill(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	d := f.ask(t, rs, "2")[0]
	rs.Fetched("pump", d, "2")
	rs.Tick(t.Context())
	rs = f.open(t)
	for range 2 {
		rs.Checked("pump", d, "2")
		f.now = f.now.Add(3 * time.Minute)
	}
	if m := wants(t, rs, d, fleet.MemberUp); m.UpBy != fleet.UpBehaved || m.Attempts != 1 {
		t.Errorf("%+v", m)
	}
}

// It booted while the gateway was away: that it is heard again comes before it was asked twice what it wants, and shows little.
func TestADeviceThatIsHeardAfterAKillBeforeItWantsNothingMoreIsProvenByItsPolls(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	d := f.ask(t, rs, "2")[0]
	rs.Fetched("pump", d, "2")
	rs.Tick(t.Context())
	for _, again := range []bool{false, true} { // it is killed once more, or not
		rs = f.open(t)
		rs.Checked("pump", d, "2")
		rs.Heard("pump", d, true)
		if m := wants(t, rs, d, fleet.MemberUp); m.UpBy != fleet.UpHeard {
			t.Errorf("%+v", m)
		}
		rs.Tick(t.Context())
		if again {
			f.now = f.now.Add(3 * time.Minute)
			rs.Checked("pump", d, "2")
		}
	}
	if m := wants(t, rs, d, fleet.MemberUp); m.UpBy != fleet.UpBehaved || m.Attempts != 1 {
		t.Errorf("%+v", m)
	}
}

// A gateway that was away, or that nobody could reach before it was stopped, has missed all: none of that is the build's fault.
func TestADeviceThatWasMissedAtAStartHasAllOfItsTimeAgain(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	d := f.ask(t, rs, "2")[0]
	brought(rs, d)
	rs.Tick(t.Context())
	for i := range f.devices {
		f.devices[i].Missed = true
	}
	f.seen[d] = fleet.Presence{State: fleet.Silent, Rhythm: 5 * time.Minute, Ago: 2 * time.Hour, Missing: true}
	rs = f.open(t)
	for range 20 {
		f.now = f.now.Add(time.Minute)
		rs.Tick(t.Context())
	}
	wants(t, rs, d, fleet.MemberUp)
	rs.Missed("pump", d)
	f.now = f.now.Add(5 * time.Minute)
	rs.Tick(t.Context())
	wants(t, rs, d, fleet.MemberLost)
}
