package page

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/crash"
)

// plot is what the script draws: crashes of each hour, a line for each version. The table of versions says the same sums.
type plot struct {
	Times  []int64    `json:"times"` // begins of hours, seconds since 1970
	Series []plotLine `json:"series"`
}

type plotLine struct {
	Name   string `json:"name"`
	Counts []int  `json:"counts"` // as many as times
}

const mostLines = 6 // of a plot: the versions that crashed most

// plotOf draws the hours that are kept, "" where none of them has a crash.
func plotOf(counted []crash.VersionSeries, now time.Time) (string, error) {
	const hour = int64(time.Hour / time.Second)
	last := now.Unix() / hour * hour
	var p plot
	for at := last - (crash.KeptHours-1)*hour; at <= last; at += hour {
		p.Times = append(p.Times, at)
	}
	total := func(l plotLine) (n int) {
		for _, c := range l.Counts {
			n += c
		}
		return n
	}
	for _, v := range counted {
		line := plotLine{v.Version, make([]int, len(p.Times))}
		for _, b := range v.Kept(now).HourBuckets() {
			if i := (b.At.Unix() - p.Times[0]) / hour; i >= 0 && i < int64(len(p.Times)) {
				line.Counts[i] = b.Crashes
			}
		}
		if total(line) > 0 {
			p.Series = append(p.Series, line)
		}
	}
	if len(p.Series) == 0 {
		return "", nil
	}
	slices.SortFunc(p.Series, func(a, b plotLine) int { return cmp.Or(total(b)-total(a), cmp.Compare(a.Name, b.Name)) })
	p.Series = p.Series[:min(len(p.Series), mostLines)]
	text, err := json.Marshal(p)
	return string(text), err
}
