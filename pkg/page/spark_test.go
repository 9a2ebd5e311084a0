package page

import (
	"fmt"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/crash"
)

func TestADayWithACrashIsDrawnAndTheMostIsAsHighAsThereIsRoom(t *testing.T) {
	now := time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	s := sparkOf(crash.Recent{{Day: "2026-03-07", Count: 1}, {Day: "2026-03-19", Count: 100}, {Day: "2026-03-20", Count: 50}}, now)
	if got, want := fmt.Sprint(s.Bars), "[{0 15 1} {60 0 16} {65 8 8}]"; got != want || s.Text != "151 crashes in 14 days, 50 today" {
		t.Errorf("%s %q, want %s", got, s.Text, want)
	}
	if s := sparkOf(nil, now); len(s.Bars) > 0 || s.Text != "0 crashes in 14 days, 0 today" {
		t.Errorf("of none: %+v", s)
	}
}
