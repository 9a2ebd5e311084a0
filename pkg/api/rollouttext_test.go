package api

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestASentenceSaysHowARolloutStandsAndWhatItWaitsFor(t *testing.T) {
	plan := fleet.Plan{Waves: make([]fleet.Wave, 6)}
	counts := fleet.RolloutCounts{Waiting: 7600, Offered: 4, Fetching: 1, Fetched: 1, Up: 11, Healthy: 380, Lost: 2, Back: 1}
	why := fleet.Explanation{New: fleet.ShareCount{Devices: 2, Of: 394}, Old: fleet.ShareCount{Devices: 46, Of: 7606}, Expected: 2.4}
	gate := func(needs float64) fleet.Explanation {
		e := why
		e.DecideWithin = fleet.Duration(14 * 24 * time.Hour)
		e.Gates = []fleet.Gate{{What: "5 % of boots crash", Ruled: true, Needs: 1}, {What: "3.5 times as many", Needs: needs}}
		return e
	}
	soon := func(e fleet.Explanation) fleet.Explanation {
		e.DecideWithin = fleet.Duration(36 * time.Hour)
		return e
	}
	now := noon.Add(48 * time.Hour) // a Wednesday
	for _, test := range []struct {
		change func(*Rollout)
		e      fleet.Explanation
		want   string
	}{
		{nil, gate(2), "1.4.2 for pump: wave 4 of 6, 394 of 8,000 devices. 2 crashes where 2.4 were to be expected. Goes on when “3.5 times as many” is ruled out, about Friday."},
		{nil, gate(1.25), "1.4.2 for pump: wave 4 of 6, 394 of 8,000 devices. 2 crashes where 2.4 were to be expected. Goes on when “3.5 times as many” is ruled out, in about 13 hours."},
		{nil, gate(1.01), "1.4.2 for pump: wave 4 of 6, 394 of 8,000 devices. 2 crashes where 2.4 were to be expected. Goes on when “3.5 times as many” is ruled out, within the hour."},
		{nil, gate(5), "1.4.2 for pump: wave 4 of 6, 394 of 8,000 devices. 2 crashes where 2.4 were to be expected. Goes on when “3.5 times as many” is ruled out, about Thursday, 14 May."},
		{nil, gate(1e300), "1.4.2 for pump: wave 4 of 6, 394 of 8,000 devices. 2 crashes where 2.4 were to be expected. Goes on when “3.5 times as many” is ruled out, which takes more than 14 days: then it asks."},
		{nil, soon(gate(1e300)), "1.4.2 for pump: wave 4 of 6, 394 of 8,000 devices. 2 crashes where 2.4 were to be expected. Goes on when “3.5 times as many” is ruled out, which takes more than 36h: then it asks."},
		{nil, gate(0), "1.4.2 for pump: wave 4 of 6, 394 of 8,000 devices. 2 crashes where 2.4 were to be expected. Goes on when “3.5 times as many” is ruled out."},
		{func(r *Rollout) { r.Wave = 0 }, fleet.Explanation{}, "1.4.2 for pump: no wave is open yet, 394 of 8,000 devices. Goes on after its rest, when 90 % of the wave are judged."},
		{func(r *Rollout) { r.Wave = 6 }, fleet.Explanation{New: fleet.ShareCount{Devices: 1, Of: 8000}},
			"1.4.2 for pump: wave 6 of 6, 394 of 8,000 devices. 1 crash, and no device with the old build to compare with. It is the last wave, which leaves nobody to compare with."},
		{func(r *Rollout) { r.State, r.Why, r.Dark = fleet.RolloutHeld, "most lines are dark", []string{"hall3"} }, fleet.Explanation{},
			"1.4.2 for pump: wave 4 of 6, 394 of 8,000 devices. Held: most lines are dark. Dark: hall3."},
		{func(r *Rollout) { r.State = fleet.RolloutPaused }, fleet.Explanation{}, "1.4.2 for pump: wave 4 of 6, 394 of 8,000 devices. Paused."},
		{func(r *Rollout) {
			r.State, r.Why, r.Wave = fleet.RolloutHalted, "3 of the first 3 devices did not come back", 1
		}, fleet.Explanation{},
			"1.4.2 for pump: wave 1 of 6, 394 of 8,000 devices. Halted: 3 of the first 3 devices did not come back."},
		{func(r *Rollout) { r.State = fleet.RolloutDraft }, fleet.Explanation{}, "1.4.2 for pump: a draft for 8,000 devices, which begins with slipway rollout resume pump."},
		{func(r *Rollout) { r.State, r.StartAt = fleet.RolloutDraft, noon }, fleet.Explanation{}, "1.4.2 for pump: a draft for 8,000 devices, which begins 2026-05-04 12:00 UTC."},
		{func(r *Rollout) { r.State = fleet.RolloutRetreating }, fleet.Explanation{}, "1.4.2 for pump: goes back to 1.4.1, which 394 of 8,000 devices do not run yet."},
		{func(r *Rollout) { r.State = fleet.RolloutRetreated }, fleet.Explanation{}, "1.4.2 for pump: went back to 1.4.1."},
		{func(r *Rollout) { r.State = fleet.RolloutFinished }, fleet.Explanation{}, "1.4.2 for pump: finished, 394 of 8,000 devices."},
	} {
		r := Rollout{Model: "pump", Version: "1.4.2", Base: "1.4.1", State: fleet.RolloutRunning, Wave: 4, Plan: plan, Counts: counts, StartedAt: noon}
		if test.change != nil {
			test.change(&r)
		}
		if got := r.Sentence(test.e, now); got != test.want {
			t.Errorf("\n got %s\nwant %s", got, test.want)
		}
	}
}

func TestAStoryTellsWhatIsKnownOfADeviceInItsOrder(t *testing.T) {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(120+minutes) * time.Minute) }
	clock := func(t time.Time) string { return t.Format("15:04") }
	old := fleet.Sighting{Runs: "1.4.1", RunsBy: fleet.ProofSaid, HeardAt: at(1)}
	for _, test := range []struct {
		member Member
		seen   fleet.Sighting
		want   string
	}{
		{Member{State: fleet.MemberFetched, OfferedAt: at(0), FetchedAt: at(1)}, old, "runs 1.4.1, it says so · offered 1.4.2 at 14:00, fetched whole 14:01, not heard since"},
		{Member{State: fleet.MemberLost, OfferedAt: at(0), FetchedAt: at(1), JudgedAt: at(46)}, old, "runs 1.4.1, it says so · offered 1.4.2 at 14:00, fetched whole 14:01, lost 14:46, not heard since"},
		{Member{State: fleet.MemberBack, OfferedAt: at(0), FetchedAt: at(1), JudgedAt: at(9), Why: "it says so"}, fleet.Sighting{Runs: "1.4.1", RunsBy: fleet.ProofDump, HeardAt: at(9)},
			"runs 1.4.1, a dump shows it · offered 1.4.2 at 14:00, fetched whole 14:01, went back 14:09, it says so, heard 14:09"},
		{Member{State: fleet.MemberHealthy, OfferedAt: at(0), FetchedAt: at(1), UpAt: at(3), UpBy: fleet.UpSaid, JudgedAt: at(18)}, fleet.Sighting{Runs: "1.4.2", RunsBy: fleet.ProofSaid, HeardAt: at(18)},
			"runs 1.4.2, it says so · offered 1.4.2 at 14:00, fetched whole 14:01, up 14:03, it says so, healthy 14:18"},
		{Member{State: fleet.MemberWaiting}, fleet.Sighting{}, "runs nobody knows what · waits for its turn"},
		{Member{State: fleet.MemberOff}, fleet.Sighting{RunsELF: "7d946a8e8", RunsBy: fleet.ProofDump}, "runs ELF 7d946a8e8, a dump shows it · is off, and gets its turn when it is back"},
		{Member{State: fleet.MemberSkipped, Why: "attempts used up"}, old, "runs 1.4.1, it says so · attempts used up"},
	} {
		if got := test.member.Story("1.4.2", test.seen, clock); got != test.want {
			t.Errorf("\n got %s\nwant %s", got, test.want)
		}
	}
}

func TestFirstIsALineOrAListOfKeysBothWays(t *testing.T) {
	for _, text := range []string{`"hall3"`, `["aaaaaaaa","bbbbbbbb"]`} {
		var f First
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(f); err != nil || string(got) != text {
			t.Errorf("%s becomes %s, %v", text, got, err)
		}
	}
	if got, err := json.Marshal(NewRollout{Version: "1.0"}); err != nil || string(got) != `{"version":"1.0"}` {
		t.Errorf("%s, %v", got, err)
	}
}

func TestTheWavesOfARolloutAreSaidAsTheyAre(t *testing.T) {
	plan := fleet.Plan{Waves: []fleet.Wave{
		{Devices: 3, Rest: fleet.Duration(30 * time.Minute)}, {Devices: 4000, BootCrash: 0.05}, {Share: 0.07, Daily: 0.005}, {Share: 0.5, BootCrash: 0.02, Daily: 0.0004}, {Share: 1},
	}}
	rows := []WaveRow{
		{Size: "3", Rest: "30m"}, {Size: "4,000", RulesOut: "5 % of boots crash"}, {Size: "7 %", RulesOut: "0.5 more crashes per 100 devices and day"},
		{Size: "50 %", RulesOut: "2 % of boots crash, 0.04 more crashes per 100 devices and day"}, {Size: "all"},
	}
	if got := WaveRows(plan); !slices.Equal(got, rows) {
		t.Errorf("%+v", got)
	}
	for _, test := range []struct {
		state  fleet.RolloutState
		wave   int
		first  *First
		size   string
		states string
	}{
		{fleet.RolloutDraft, 0, nil, "3", ", , , , "},
		{fleet.RolloutRunning, 2, &First{Line: "hall3"}, "all of hall3", "done, open, , , "},
		{fleet.RolloutHeld, 1, &First{Keys: []fleet.DeviceKey{"aaaaaaaa", "bbbbbbbb"}}, "2 named", "open, , , , "},
		{fleet.RolloutPaused, 1, &First{Keys: []fleet.DeviceKey{"aaaaaaaa"}}, "aaaaaaaa", "open, , , , "},
		{fleet.RolloutHalted, 3, nil, "3", "done, done, stopped, , "},
		{fleet.RolloutFinished, 5, nil, "3", "done, done, done, done, done"},
		{fleet.RolloutFinished, 2, nil, "3", "done, done, skipped, skipped, skipped"},
		{fleet.RolloutRetreating, 2, &First{Line: "hall3"}, "3", "done, open, , , "},
	} {
		r := Rollout{State: test.state, Wave: test.wave, First: test.first, Plan: plan}
		var states []string
		for _, row := range r.WaveRows() {
			states = append(states, row.State)
		}
		if got := strings.Join(states, ", "); got != test.states || r.WaveRows()[0].Size != test.size {
			t.Errorf("%s in wave %d: %q, the first is %q", test.state, test.wave, got, r.WaveRows()[0].Size)
		}
	}
}
