package rollout

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// window is when devices may be offered a build, by the gateway's own local time.
type window struct {
	days     [7]bool // on which it opens
	from, to int     // minutes of the day; to below from is on the next day
}

// mostWindow bytes of text say any window: seven days, each by itself, and two times are 32.
const mostWindow = 64

var weekdays = []string{"Su", "Mo", "Tu", "We", "Th", "Fr", "Sa"}

// parseWindow reads "Mo-Fr 22:00-05:00", "Sa,Su 08:00-20:00" or "22:00-05:00", which is every day.
func parseWindow(s string) (*window, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // no window is one that is always open
	}
	if len(s) > mostWindow {
		return nil, fleet.Refused("a window of %d bytes: at most %d", len(s), mostWindow)
	}
	refused := fleet.Refused("window %q: want days and times such as \"Mo-Fr 22:00-05:00\"", s)
	days, hours, both := strings.Cut(s, " ")
	if !both {
		days, hours = "Mo-Su", s
	}
	w := &window{}
	for _, part := range strings.Split(days, ",") {
		first, last, span := strings.Cut(part, "-")
		if !span {
			last = first
		}
		from, to := slices.Index(weekdays, first), slices.Index(weekdays, last)
		if from < 0 || to < 0 {
			return nil, refused
		}
		for d := from; ; d = (d + 1) % 7 {
			w.days[d] = true
			if d == to {
				break
			}
		}
	}
	from, to, ok := strings.Cut(hours, "-")
	var okFrom, okTo bool
	w.from, okFrom = minuteOf(from)
	w.to, okTo = minuteOf(to)
	if !ok || !okFrom || !okTo || w.from == w.to || w.from == 24*60 {
		return nil, refused
	}
	return w, nil
}

func minuteOf(s string) (int, bool) {
	hour, minute, ok := strings.Cut(s, ":")
	h, errH := strconv.Atoi(hour)
	m, errM := strconv.Atoi(minute)
	return h*60 + m, ok && errH == nil && errM == nil && len(minute) == 2 && h >= 0 && h <= 24 && m >= 0 && m < 60 && h*60+m <= 24*60
}

// open reports that a time lies in the window.
func (w *window) open(t time.Time) bool {
	if w == nil {
		return true
	}
	minute, today := t.Hour()*60+t.Minute(), int(t.Weekday())
	if w.from < w.to {
		return w.days[today] && minute >= w.from && minute < w.to
	}
	return w.days[today] && minute >= w.from || w.days[(today+6)%7] && minute < w.to
}
