package page

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

const pumpPage = "/models/pump/rollouts/7"

func TestThePageOfARolloutSaysHowItStandsAndWhoIsLost(t *testing.T) {
	d := rollingOut(t)
	d.book.Seen(fleet.Seen{Device: "aaaaaaaa", At: noon, By: fleet.HeardConfig, Said: fleet.Said{Version: "1.4.1"}})
	one := &d.rollouts.all[0]
	one.Counts = fleet.RolloutCounts{Waiting: 7990, Healthy: 8, Lost: 1, Back: 1, Crashed: 2}
	one.Signature = &fleet.SignatureCounts{Fingerprint: "9f2c", Frame: "mqtt_task mqtt.c:212", New: fleet.ShareCount{Devices: 24, Of: 394}, Old: fleet.ShareCount{Devices: 136, Of: 7606}}
	one.Evidence = fleet.RolloutEvidence{Total: 10480}
	d.rollouts.why = fleet.Explanation{New: fleet.ShareCount{Devices: 2, Of: 10}, Old: fleet.ShareCount{Devices: 4, Of: 7990}, Expected: 2.4, Gates: []fleet.Gate{{What: "0.5 more crashes per 100 devices and day", Needs: 3}}}
	d.rollouts.members = []fleet.Member{
		{Device: "aaaaaaaa", Line: "hall3", State: fleet.MemberLost, OfferedAt: noon.Add(-time.Hour), FetchedAt: noon, Crash: &fleet.Mark{New: true}},
		{Device: "bbbbbbbb", Line: "hall4", State: fleet.MemberBack, OfferedAt: noon},
		{Device: "cccccccc", Line: "hall4", State: fleet.MemberHealthy},
	}
	a := d.read(pumpPage)
	for _, want := range []string{
		"1.4.2 for pump: wave 2 of 3, 9 of 8,000 devices. 2 crashes where 2.4 were to be expected. Goes on when “0.5 more crashes per 100 devices and day” is ruled out",
		`<progress max="8000" value="9"`, `<li class="done">1</li><li class="open">3</li><li class="">all</li>`,
		`<th scope="row">all</th><td class="n" data-label="waiting">7,990</td>`,
		`<th scope="row">hall3</th><td class="n zero" data-label="waiting">0</td><td class="n zero" data-label="healthy">0</td><td class="n" data-label="lost">1</td><td class="n zero" data-label="back">0</td><td class="n" data-label="crashed">1</td>`,
		`<a href="/crashes/9f2c">mqtt_task mqtt.c:212</a>`, "24 of 394", "136 of 7,606", "together\">10,480",
		"runs 1.4.1, it says so · offered 1.4.2 at 4 May 11:00 UTC, fetched whole 4 May 12:00 UTC, not heard since", "Back at the build before", "slipway rollout halt pump",
	} {
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%s without %q", a.Status, want)
		}
	}
	if t.Failed() {
		t.Log(a.body)
	}
	if front := d.read("/"); !strings.Contains(front.body, `<a href="`+pumpPage+`">1.4.2 for pump</a>`) {
		t.Errorf("the front page does not lead there:\n%s", front.body)
	}
	for _, path := range []string{"/models/pump/rollouts/8", "/models/none/rollouts/7", "/models/pump/rollouts/x"} {
		if a := d.read(path); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, a.Status)
		}
	}
}

func TestThePageOfARolloutShowsTheCommandsThatItsStateTakes(t *testing.T) {
	const (
		halt    = "slipway rollout halt pump --number 7 --reason …"
		retreat = "slipway rollout retreat pump --number 7 --reason …"
		resume  = "slipway rollout resume pump --number 7"
		asks    = "Whoever has 1.4.2 is offered 1.4.1, in waves."
	)
	for _, test := range []struct {
		change func(*fleet.Rollout)
		wants  []string
		lacks  []string
	}{
		{func(*fleet.Rollout) {}, []string{"slipway rollout pause pump --number 7<", halt + "<", retreat + " --untested<", asks}, []string{"rollout resume"}},
		{func(r *fleet.Rollout) { r.Tested = true }, []string{retreat + "<"}, []string{"--untested"}},
		{func(r *fleet.Rollout) { r.NoRetreat = "its secure version went up" }, []string{halt + "<"}, []string{"rollout retreat"}},
		{func(r *fleet.Rollout) { r.State = fleet.RolloutPaused }, []string{resume + "<", halt + "<"}, []string{"rollout pause"}},
		{func(r *fleet.Rollout) { r.State = fleet.RolloutDraft }, []string{resume + "<", halt + "<"}, []string{"rollout retreat"}},
		{func(r *fleet.Rollout) { r.State = fleet.RolloutHalted }, []string{resume + " --reason …<", retreat + " --untested<"}, []string{"rollout halt", "--accept 9f2c"}},
		{func(r *fleet.Rollout) {
			r.State, r.Signature = fleet.RolloutHalted, &fleet.SignatureCounts{Fingerprint: "9f2c"}
		}, []string{resume + " --reason … --accept 9f2c<"}, nil},
		{func(r *fleet.Rollout) { r.State = fleet.RolloutRetreating }, []string{halt + "<", "slipway rollout finish pump --number 7<"}, []string{"rollout retreat", "rollout resume"}},
		{func(r *fleet.Rollout) { r.State = fleet.RolloutFinished }, []string{"slipway rollout explain pump --number 7"}, []string{"rollout halt", "rollout retreat"}},
	} {
		d := rollingOut(t)
		test.change(&d.rollouts.all[0])
		a := d.read(pumpPage)
		for _, want := range test.wants {
			if !strings.Contains(a.body, want) {
				t.Errorf("%s: without %q\n%s", d.rollouts.all[0].State, want, a.body)
			}
		}
		for _, lack := range test.lacks {
			if strings.Contains(a.body, lack) {
				t.Errorf("%s: with %q\n%s", d.rollouts.all[0].State, lack, a.body)
			}
		}
	}
}

func TestThePageOfARolloutListsWhatItCannotSee(t *testing.T) {
	d := rollingOut(t)
	d.rollouts.all[0].First = &fleet.First{Line: "hall3"}
	d.rollouts.all[0].Warnings = []string{"it writes no core dumps", "12 devices are heard"}
	a := d.read(pumpPage)
	for _, want := range []string{"<ul><li>it writes no core dumps</li><li>12 devices are heard</li></ul>", `<li class="done">all of hall3</li>`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("without %q\n%s", want, a.body)
		}
	}
}

func TestThePageOfARolloutRunsNothingOfWhatItShows(t *testing.T) {
	const evil = `<script>alert(1)</script>`
	d := rollingOut(t)
	one := &d.rollouts.all[0]
	one.State, one.Why, one.StartedBy, one.Plan.Name, one.Window, one.NoRetreat = fleet.RolloutHalted, evil, evil, evil, evil, evil
	one.Dark, one.Warnings, one.Version, one.Base = []string{evil}, []string{evil}, evil, evil
	one.Counts.Lost = 1
	one.Signature = &fleet.SignatureCounts{Fingerprint: `"` + evil, Frame: evil}
	d.rollouts.why = fleet.Explanation{Gates: []fleet.Gate{{What: evil}}, Lines: []string{evil}}
	d.rollouts.members = []fleet.Member{{Device: "aaaaaaaa", Line: evil, State: fleet.MemberLost, Why: evil, OfferedAt: noon}}
	d.book.Seen(fleet.Seen{Device: "aaaaaaaa", At: noon, By: fleet.HeardConfig, Said: fleet.Said{Version: evil}})
	for _, path := range []string{pumpPage, "/"} {
		a := d.read(path)
		if a.StatusCode != http.StatusOK || strings.Contains(a.body, "<script>") || !strings.Contains(a.body, "&lt;script&gt;alert") {
			t.Errorf("%s: %s\n%s", path, a.Status, a.body)
		}
	}
}

func TestThePageOfALargeRolloutReadsAThousandMembersAndSaysSo(t *testing.T) {
	d := rollingOut(t)
	members := make([]fleet.Member, 8000)
	for i := range members {
		members[i] = fleet.Member{Device: fleet.DeviceKey(fmt.Sprintf("dev%05d", i)), Line: fmt.Sprintf("line%02d", i%80), State: fleet.MemberLost}
	}
	d.rollouts.members, d.rollouts.all[0].Counts = members, fleet.RolloutCounts{Lost: 8000}
	a := d.read(pumpPage)
	for _, want := range []string{"The lines are those of the first 1,000 of 8,000 devices", `<th scope="row">line79</th><td class="n" data-label="lost">12</td>`, "slipway rollout devices pump --number 7 --state lost"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("%s without %q\n%s", a.Status, want, a.body[:2000])
		}
	}
	if rows := strings.Count(a.body, `<a href="/devices/dev`); rows != shownRows || len(a.body) > 150<<10 {
		t.Errorf("%d lost devices in %d bytes", rows, len(a.body))
	}
}

// rollingOut has a rollout of pump's newest build that is running.
func rollingOut(t *testing.T) *desk {
	t.Helper()
	d := open(t)
	d.crashes(0, "", "")
	d.rollouts.all = []fleet.Rollout{{
		Number: 7, Model: "pump", Version: "1.4.2", Base: "1.4.1", State: fleet.RolloutRunning, Wave: 2, StartedAt: noon, StartedBy: "plant", CreatedAt: noon,
		Plan: fleet.Plan{Name: "small", Waves: []fleet.Wave{{Devices: 1}, {Devices: 3}, {Share: 1}}}, Counts: fleet.RolloutCounts{Healthy: 1},
	}}
	d.rollouts.members = []fleet.Member{{Device: "aaaaaaaa", Line: "hall3", Wave: 1, State: fleet.MemberHealthy, Attempts: 1, OfferedAt: noon, UpBy: fleet.UpSaid}}
	return d
}

func TestWhoWentBackIsNamedAlsoWhereItIsOfferedTheBuildOnceMore(t *testing.T) {
	d := rollingOut(t)
	once, again := noon, noon.Add(time.Hour)
	d.rollouts.members = []fleet.Member{
		{Device: "aaaaaaaa", State: fleet.MemberOffered, Attempts: 1, OfferedAt: again, JudgedAt: once, Left: true},
		{Device: "bbbbbbbb", State: fleet.MemberFetching, Attempts: 1, OfferedAt: again, JudgedAt: once, Left: true},
		{Device: "cccccccc", State: fleet.MemberSkipped, Attempts: 2, JudgedAt: once, Why: "went back twice", Left: true},
		{Device: "dddddddd", State: fleet.MemberUp, Attempts: 2, JudgedAt: once, Has: true}, // it stayed with it at last
		{Device: "eeeeeeee", State: fleet.MemberWaiting, Attempts: 1},                       // it did in a rollout before
		{Device: "ffffffff", State: fleet.MemberHealthy, Attempts: 1, JudgedAt: once, Has: true},
		{Device: "gggggggg", State: fleet.MemberHealthy, Attempts: 1, OfferedAt: once, JudgedAt: again}, // it was taken back
		{Device: "hhhhhhhh", State: fleet.MemberBack, Attempts: 1, JudgedAt: once, Left: true},
		{Device: "iiiiiiii", State: fleet.MemberSkipped, Why: "it is revoked"},
	}
	_, trouble, found := strings.Cut(d.read(pumpPage).body, "<h2>Back at the build before</h2>")
	if !found {
		t.Fatal("nobody is named")
	}
	for key, want := range map[string]string{
		"aaaaaaaa": "went back 4 May 12:00 UTC, and is offered it once more · runs nobody knows what · offered 1.4.2 at 4 May 13:00 UTC", "bbbbbbbb": "went back 4 May 12:00 UTC, and is offered it once more",
		"cccccccc": "skipped 4 May 12:00 UTC, went back twice", "hhhhhhhh": "went back 4 May 12:00 UTC", "dddddddd": "", "eeeeeeee": "", "ffffffff": "", "gggggggg": "", "iiiiiiii": "",
	} {
		_, row, named := strings.Cut(trouble, `<a href="/devices/`+key+`">`)
		row, _, _ = strings.Cut(row, "</tr>")
		if named != (want != "") || !strings.Contains(row, want) {
			t.Errorf("%s is named: %v, %q, want %q", key, named, row, want)
		}
	}
}

func TestARolloutThatIsTakenBackSaysWhyItHasHalted(t *testing.T) {
	d := open(t)
	d.crashes(0, "", "")
	for state, want := range map[fleet.RolloutState]int{fleet.RolloutRetreating: 1, fleet.RolloutHalted: 0} {
		why := map[fleet.RolloutState]string{fleet.RolloutRetreating: "", fleet.RolloutHalted: "3 devices fell silent"}[state]
		d.rollouts.all = []fleet.Rollout{{Number: 7, Model: "pump", Version: "1.4.2", State: state, Why: why, Halted: "3 devices fell silent"}}
		if a := d.read("/models/pump/rollouts/7"); a.StatusCode != http.StatusOK || strings.Count(a.body, "It was halted: 3 devices fell silent.") != want {
			t.Errorf("%s: %s\n%s", state, a.Status, a.body)
		}
	}
}

func TestEvidenceIsWrittenAsPeopleWriteIt(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.1629: "0.163", 12.04: "12", 999: "999", 10_480.7: "10,480", 5.49e6: "over a million", 1e80: "over a million"} {
		if got := evidenceOf(fleet.RolloutEvidence{Total: v})[0].Value; got != want {
			t.Errorf("%g is %q, want %q", v, got, want)
		}
	}
}
