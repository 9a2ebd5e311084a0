package fleet

import "testing"

func TestWhatAPlanRulesOutIsSaidInNumbersThatPeopleRead(t *testing.T) {
	for share, want := range map[float64]string{0: "", 0.05: "5 % of boots crash", 0.07: "7 % of boots crash", 0.0015: "0.15 % of boots crash", 1.0 / 3: "33.3 % of boots crash"} {
		if got := BootsText(share); got != want {
			t.Errorf("%g: %q, want %q", share, got, want)
		}
	}
	for more, want := range map[float64]string{
		0: "", 0.005: "0.5 more crashes per 100 devices and day", 0.0004: "0.04 more crashes per 100 devices and day", 0.12345: "12.3 more crashes per 100 devices and day",
		0.00000123: "0.000123 more crashes per 100 devices and day",
	} {
		if got := DailyText(more); got != want {
			t.Errorf("%g: %q, want %q", more, got, want)
		}
	}
}

func TestTheCountsOfMembersAreThoseOfTheirStates(t *testing.T) {
	c := RolloutCounts{Waiting: 1, Offered: 2, Fetching: 3, Fetched: 4, Up: 5, Healthy: 6, Lost: 7, Back: 8, Off: 9, Skipped: 10, Crashed: 11}
	for i, s := range append(MemberStates[:len(MemberStates):len(MemberStates)], MarkCrashed) {
		if c.Of(s) != i+1 {
			t.Errorf("%s: %d, want %d", s, c.Of(s), i+1)
		}
	}
	if n := c.Of("none"); n != 0 {
		t.Errorf("no state: %d", n)
	}
}
