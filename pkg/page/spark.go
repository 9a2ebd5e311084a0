package page

import (
	"fmt"
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/crash"
)

// spark is how often something crashed on each of the last days, drawn small.
type spark struct {
	Text string // what it shows, for who does not see it
	Bars []sparkBar
}

// sparkBar is a day, in units of the drawing: it is sparkHigh high, and a day is sparkWide wide.
type sparkBar struct{ X, Y, High int }

const (
	sparkHigh = 16
	sparkWide = 5 // a bar and the gap behind it
)

// sparkOf draws the highest day as high as there is room, and no day with a crash as none.
func sparkOf(r crash.Recent, now time.Time) spark {
	counts := r.Last(now)
	most, total := max(1, slices.Max(counts)), 0
	var s spark
	for i, n := range counts {
		total += n
		if n > 0 {
			high := max(1, n*sparkHigh/most)
			s.Bars = append(s.Bars, sparkBar{i * sparkWide, sparkHigh - high, high})
		}
	}
	s.Text = fmt.Sprintf("%s in %d days, %d today", plural(total, "crash", "crashes"), len(counts), counts[len(counts)-1])
	return s
}
