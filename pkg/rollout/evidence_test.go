package rollout

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// vector is a sequence of events and what the reference makes of it.
//
// testdata/vectors.json was made by hand with rollouts/halt.py, the reference beside ROLLOUTS.md: 60 sequences of 0, 1, 5, 40
// and 300 events, drawn by random.Random(20261126) in turn with bad builds of three kinds and new shares of four; a fifth of
// the events have nobody on one side of their line, half of the crashes have one of six new fingerprints. Each is fed to
// Share(), Ratio(1.0), Ratio(1.25), Signatures() and, for the gate, Ratio(1.0, (3.5,)).
type vector struct {
	Events    []vectorEvent `json:"events"`
	Loss      float64       `json:"loss"`
	Crash     float64       `json:"crash"`
	Silence   float64       `json:"silence"`
	Signature float64       `json:"signature"`
	Total     float64       `json:"total"`
	Halt      bool          `json:"halt"`
	GoOn      bool          `json:"go_on"`
}

// vectorEvent is ["end", bad, 0, 0, ""] or ["crash" or "silence", of the new build, new and old ones at risk, fingerprint].
type vectorEvent struct {
	kind kind
	mark fleet.Mark
}

func (e *vectorEvent) UnmarshalJSON(b []byte) error {
	var name string
	var yes bool
	if err := json.Unmarshal(b, &[]any{&name, &yes, &e.mark.Risk[0], &e.mark.Risk[1], &e.mark.Fingerprint}); err != nil {
		return err
	}
	e.kind = map[string]kind{"end": ofEnd, "crash": ofCrash, "silence": ofSilence}[name]
	e.mark.New, e.mark.Bad = yes || e.kind == ofEnd, yes && e.kind == ofEnd
	return nil
}

func TestTheJudgeAgreesWithTheReference(t *testing.T) {
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	halted := 0
	for i, v := range all {
		e := newEvidence(0.01, 3.5)
		for _, x := range v.Events {
			e.add(x.kind, x.mark, false)
		}
		got := e.values()
		for name, both := range map[string][2]float64{
			"loss": {got.Loss, v.Loss}, "crash": {got.Crash, v.Crash}, "silence": {got.Silence, v.Silence},
			"signature": {got.Signature, v.Signature}, "total": {got.Total, v.Total},
		} {
			if math.Abs(both[0]-both[1]) > 1e-9*max(1, both[1]) {
				t.Errorf("vector %d, %s: %v, the reference has %v", i, name, both[0], both[1])
			}
		}
		if halts := got.Total >= 1e4; halts != v.Halt {
			t.Errorf("vector %d: halts %v, the reference %v", i, halts, v.Halt)
		}
		if goes := e.daily.l[0] <= math.Log(0.01); goes != v.GoOn {
			t.Errorf("vector %d: the gate opens %v, the reference %v", i, goes, v.GoOn)
		}
		if v.Halt {
			halted++
		}
	}
	if len(all) < 50 || halted == 0 || halted == len(all) {
		t.Fatalf("%d vectors of which %d halt prove nothing", len(all), halted)
	}
}

// random makes marks of all streams, each with its own device.
func randomMarks(r *rand.Rand, n int) []fleet.Member {
	var members []fleet.Member
	for i := range n {
		mark := fleet.Mark{Number: uint64(i + 1), New: r.IntN(2) == 0, Risk: [2]int{r.IntN(50), r.IntN(200)}}
		m := fleet.Member{Device: fleet.DeviceKey(fmt.Sprint("d", i)), Line: "a", State: fleet.MemberHealthy}
		switch r.IntN(3) {
		case 0:
			mark.New, mark.Bad = true, r.IntN(10) == 0
			m.Ended = &mark
		case 1:
			if r.IntN(2) == 0 {
				mark.Fingerprint = fmt.Sprint("fp", r.IntN(4))
			}
			m.Crash = &mark
		default:
			m.Silence = &mark
		}
		members = append(members, m)
	}
	return members
}

func TestTheSameMarksGiveTheSameEvidenceInWhateverOrderTheirRecordsAreRead(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		members := randomMarks(r, 300)
		var before fleet.RolloutEvidence
		for round := range 5 {
			c := newCourse(fleet.Rollout{Model: "pump", Number: 1, Tolerated: 0.01, Rate: 0.002, Plan: plans()["standard"]}, product, nil)
			for _, m := range members {
				c.add(m)
			}
			c.recount()
			if got := c.evidence.values(); round > 0 && got != before {
				t.Fatalf("%+v, and %+v after shuffling the records", before, got)
			} else {
				before = got
			}
			r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		}
	}
}

func TestEvidenceIsNeverBelowNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		e := newEvidence([]float64{0.01, 0.05, 0.5, 0.98}[r.IntN(4)], 3.5)
		for _, m := range marksOf(randomMarks(r, 500)) {
			e.add(m.kind, m.Mark, false)
			v := e.values()
			for _, x := range []float64{v.Loss, v.Crash, v.Silence, v.Signature, v.Total} {
				if x < 0 || math.IsNaN(x) || math.IsInf(x, 0) {
					t.Fatalf("%+v", v)
				}
			}
		}
	}
}

// TestUpdatesThatEndWellAreNeverEvidence holds whatever share a person tolerates. With a grid that reaches below the tolerated
// share, 440 updates without a loss were enough to halt.
func TestUpdatesThatEndWellAreNeverEvidence(t *testing.T) {
	for _, tolerated := range []float64{0.001, 0.01, 0.03, 0.05, 0.3, 0.98} {
		s := newShare(tolerated)
		for range 10_000 {
			s.outcome(false)
			if s.e() > 1 {
				t.Fatalf("tolerated %v: evidence %v of updates that ended well", tolerated, s.e())
			}
		}
	}
}

// TestAGoodBuildIsHaltedAtMostAsOftenAsAlphaSays draws outcomes at the tolerated share itself, whatever that is.
func TestASharesEvidenceHasTheExpectationOne(t *testing.T) {
	for _, tolerated := range []float64{0.01, 0.05, 0.3} {
		for _, q := range []float64{tolerated, tolerated / 2} {
			s := newShare(tolerated)
			good, bad := s, s
			good.l, bad.l = make([]float64, len(s.l)), make([]float64, len(s.l))
			good.outcome(false)
			bad.outcome(true)
			if mean := q*bad.e() + (1-q)*good.e(); mean > 1+1e-12 {
				t.Errorf("tolerated %v, in truth %v: one outcome makes %v of 1", tolerated, q, mean)
			}
		}
	}
}

// TestARatiosEvidenceHasTheExpectationOne also says that the order of ties within a line does not matter on average: of two
// events at one moment, each taken for the first is weighed with the devices at risk before it.
func TestARatiosEvidenceHasTheExpectationOne(t *testing.T) {
	for _, risk := range [][2]int{{1, 1}, {3, 97}, {50, 50}, {97, 3}} {
		one := func(news ...bool) float64 {
			r, at := newRatio(1, 2, 3.5, 10, 50, 500), risk
			for _, isNew := range news {
				r.event(isNew, at)
				if isNew {
					at[0]--
				} else {
					at[1]--
				}
			}
			return r.e()
		}
		p := float64(risk[0]) / float64(risk[0]+risk[1])
		if mean := p*one(true) + (1-p)*one(false); math.Abs(mean-1) > 1e-12 {
			t.Errorf("%v at risk: one event makes %v of 1", risk, mean)
		}
		mean := 0.0
		for _, first := range []bool{true, false} {
			for _, second := range []bool{true, false} {
				chance, n := p, float64(risk[0])
				if !first {
					chance = 1 - p
				} else {
					n--
				}
				q := n / float64(risk[0]+risk[1]-1)
				if !second {
					q = 1 - q
				}
				mean += chance * q * one(first, second)
			}
		}
		if math.Abs(mean-1) > 1e-12 {
			t.Errorf("%v at risk: two events at once make %v of 1", risk, mean)
		}
	}
}

func TestTheRatioThatIsNamedIsWhatWasCounted(t *testing.T) {
	for _, c := range []struct {
		seen     [2]int
		expected float64
		want     float64
	}{
		{[2]int{0, 0}, 0, 1},
		{[2]int{4, 96}, 4, 1},
		{[2]int{10, 90}, 5, 10.0 / 5 * 95 / 90},
		{[2]int{7, 0}, 0.9, 7 / 0.9},
		{[2]int{30, 0}, 1e-9, mostTimes},
	} {
		if got := (&compared{c.seen, c.expected}).ratio(); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v, %v expected: %v, want %v", c.seen, c.expected, got, c.want)
		}
	}
}

func logOf(x float64) float64 { return math.Log(x) }
