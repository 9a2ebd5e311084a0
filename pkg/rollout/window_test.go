package rollout

import (
	"errors"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestAWindowIsOpenByTheClockAlsoOverMidnight(t *testing.T) {
	at := func(day int, clock string) time.Time { // of a week that begins on Monday, the 4th of May 2026
		c, err := time.Parse("15:04:05", clock)
		if err != nil {
			t.Fatal(err)
		}
		return time.Date(2026, 5, 4+day, c.Hour(), c.Minute(), c.Second(), 0, time.UTC)
	}
	for _, one := range []struct {
		window string
		day    int
		clock  string
		open   bool
	}{
		{"", 6, "12:00:00", true},
		{"08:00-20:00", 6, "07:59:59", false},
		{"08:00-20:00", 6, "08:00:00", true},
		{"08:00-20:00", 6, "19:59:59", true},
		{"08:00-20:00", 6, "20:00:00", false},
		{"Mo-Fr 22:00-05:00", 0, "04:59:59", false}, // of Sunday's evening, on which it does not open
		{"Mo-Fr 22:00-05:00", 0, "22:00:00", true},
		{"Mo-Fr 22:00-05:00", 1, "04:59:59", true},
		{"Mo-Fr 22:00-05:00", 1, "05:00:00", false},
		{"Mo-Fr 22:00-05:00", 4, "23:00:00", true},
		{"Mo-Fr 22:00-05:00", 5, "04:00:00", true}, // of Friday's evening
		{"Mo-Fr 22:00-05:00", 5, "22:30:00", false},
		{"Sa,Su 08:00-20:00", 4, "12:00:00", false},
		{"Sa,Su 08:00-20:00", 6, "12:00:00", true},
		{"Fr-Mo 08:00-20:00", 6, "12:00:00", true},
		{"Fr-Mo 08:00-20:00", 1, "12:00:00", false},
		{"00:00-24:00", 3, "23:59:59", true},
		{"Su 20:00-24:00", 6, "23:59:59", true},
		{"Su 20:00-24:00", 0, "00:00:00", false},
	} {
		w, err := parseWindow(one.window)
		if err != nil {
			t.Errorf("%q: %v", one.window, err)
			continue
		}
		if got := w.open(at(one.day, one.clock)); got != one.open {
			t.Errorf("%q on day %d at %s: open %v", one.window, one.day, one.clock, got)
		}
	}
}

func TestAWindowThatMakesNoSenseIsRefused(t *testing.T) {
	for _, s := range []string{
		" ", "at night", "Mo-Fr", "22:00", "Mo 22:00", "22:00-", "-05:00", "22-05", "22:0-05:00", "22:000-05:00", "25:00-05:00", "24:01-05:00",
		"24:00-00:00", "24:00-05:00",
		"22:60-05:00", "-1:00-05:00", "22:00-22:00", "Mo- 22:00-05:00", "-Fr 22:00-05:00", "Mo,,Tu 22:00-05:00", "mo 22:00-05:00",
		"Mo-Tu-We 22:00-05:00", "Mo  22:00-05:00", "Mo 22:00-05:00 ", "Mo 22:00-05:00-06:00", "Mon 22:00-05:00", ", 22:00-05:00",
	} {
		if w, err := parseWindow(s); !errors.Is(err, fleet.ErrRefused) || w != nil {
			t.Errorf("%q is %+v, %v", s, w, err)
		}
	}
}

// FuzzWindow: whatever is written is refused, or opens and closes in every week.
func FuzzWindow(f *testing.F) {
	for _, s := range []string{"Mo-Fr 22:00-05:00", "Sa,Su 08:00-20:00", "00:00-24:00", "24:00-00:01", "Su 0:00-0:01", "Mo-Mo 1:00-2:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		w, err := parseWindow(s)
		if err != nil {
			if !errors.Is(err, fleet.ErrRefused) {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		open := 0
		for at, end := monday, monday.AddDate(0, 0, 7); at.Before(end); at = at.Add(time.Minute) {
			if w.open(at) {
				open++
			}
		}
		if open == 0 {
			t.Errorf("%q never opens", s)
		}
	})
}

var monday = time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
