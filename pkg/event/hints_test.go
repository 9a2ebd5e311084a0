package event

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestAStormOfChangesWakesTwiceASecondAndTheFirstAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHints()
		woken, stop := h.Watch()
		defer stop()
		time.Sleep(time.Minute)
		began := time.Now()
		var wakes []time.Duration
		go func() {
			for range woken {
				wakes = append(wakes, time.Since(began))
			}
		}()
		for range 1000 { // in five seconds
			h.Changed("dump")
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		h.End()
		synctest.Wait()
		var want []time.Duration
		for after := time.Duration(0); after <= 5*time.Second; after += betweenHints {
			want = append(want, after)
		}
		if !slices.Equal(wakes, want) {
			t.Errorf("woken after %v, want %v", wakes, want)
		}
	})
}

func TestAMarkTellsWhatChangedBehindItAndNothingElse(t *testing.T) {
	h := NewHints()
	h.Changed("crash")
	mark := h.Mark()
	if nouns, now := h.Since(mark); len(nouns) != 0 || now != mark {
		t.Errorf("%v, %s", nouns, now)
	}
	h.Changed("dump", "device")
	h.Changed("dump")
	nouns, now := h.Since(mark)
	if !slices.Equal(nouns, []string{"device", "dump"}) || now == mark {
		t.Errorf("%v, %s", nouns, now)
	}
	if again, _ := h.Since(now); len(again) != 0 {
		t.Errorf("told twice: %v", again)
	}
	for _, foreign := range []string{"", "x", NewHints().Mark(), mark + "0", mark[:9] + "-1"} {
		if nouns, _ := h.Since(foreign); !slices.Equal(nouns, []string{Everything}) {
			t.Errorf("since %q: %v", foreign, nouns)
		}
	}
}
