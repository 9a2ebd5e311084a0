package crash

import (
	"math"
	"testing"
)

// The ends as tables of the Poisson distribution have them: half of chi-square's quantiles at 2k and 2k+2 degrees of freedom.
func TestTheIntervalOfARateIsTheExactOne(t *testing.T) {
	for k, want := range map[int][2]float64{
		0: {0, 2.9957}, 1: {0.0513, 4.7439}, 2: {0.3554, 6.2958}, 3: {0.8177, 7.7537}, 5: {1.9701, 10.5130}, 10: {5.4254, 16.9622},
		20: {13.2547, 29.0620}, 50: {38.9647, 63.2871},
	} {
		low, high := interval90(k)
		if math.Abs(low-want[0]) > 1e-4 || math.Abs(high-want[1]) > 1e-4 {
			t.Errorf("%d crashes: %.4f to %.4f, want %.4f to %.4f", k, low, high, want[0], want[1])
		}
	}
}

// A mean at the upper end shows k crashes or fewer in 5 of 100 cases, and one at the lower end k or more: added up here
// term by term, as a second way to the same.
func TestAtTheEndsOfTheIntervalFiveOfAHundredCasesRemain(t *testing.T) {
	for k := range 3000 {
		if k > 60 && k%397 != 0 {
			continue
		}
		low, high := interval90(k)
		if below := atMost(k, high); math.Abs(below-0.05) > 1e-9 {
			t.Errorf("%d crashes, upper end %g: %g", k, high, below)
		}
		if k > 0 {
			if above := 1 - atMost(k-1, low); math.Abs(above-0.05) > 1e-9 {
				t.Errorf("%d crashes, lower end %g: %g", k, low, above)
			}
		}
	}
	if low, high := interval90(1_000_000); math.Abs(low-998_356) > 2 || math.Abs(high-1_001_647) > 2 {
		t.Errorf("a million crashes: %f to %f", low, high)
	}
}

func atMost(k int, mean float64) (p float64) {
	for i := range k + 1 {
		lg, _ := math.Lgamma(float64(i) + 1)
		p += math.Exp(float64(i)*math.Log(mean) - mean - lg)
	}
	return p
}

func TestWithoutADeviceThatWasHeardThereIsNoRate(t *testing.T) {
	if r := RateOf(Count{Crashes: 3}, 2); r.PerDay != nil || r.Low != nil || r.High != nil || r.Crashes != 3 {
		t.Errorf("%+v", r)
	}
	r := RateOf(Count{Crashes: 2, Heard: 48}, 1)
	if *r.PerDay != 1 || *r.Low > 0.18 || *r.High < 3.14 {
		t.Errorf("two crashes in two device-days: %v from %v to %v", *r.PerDay, *r.Low, *r.High)
	}
}
