package simulate

import (
	"math"
	"slices"
	"sync"
	"time"
)

// tally counts what is played.
type tally struct {
	mu       sync.Mutex // guards what follows
	requests map[Request]*timing
	devices  []Played
	errors   []string
}

// Played is a device as it was left.
type Played struct {
	Key       string   `json:"device_key"`
	Kind      Kind     `json:"kind"`
	Runs      string   `json:"runs"`
	Named     []string `json:"named"` // versions that it was told of, or sent the beginning of
	Silent    bool     `json:"silent"`
	WentBack  string   `json:"went_back,omitempty"` // the version that it left
	Boots     int      `json:"boots"`
	Crashes   int      `json:"crashes"`
	Dumps     int      `json:"dumps"` // uploaded
	Downloads int      `json:"downloads"`
	Checks    int      `json:"checks"`
	Errors    int      `json:"errors"`
}

// mostErrors are told in words: the first ones show what is wrong.
const mostErrors = 5

func newTally(devices []Device, runs string) *tally {
	t := &tally{requests: map[Request]*timing{}}
	for _, d := range devices {
		t.devices = append(t.devices, Played{Key: d.Key, Kind: d.Kind, Runs: runs, Named: []string{}})
	}
	return t
}

func (t *tally) note(i int, d *device) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := &t.devices[i]
	p.Runs, p.Silent, p.WentBack, p.Boots, p.Crashes = d.runs, d.silent, d.left, d.boots, d.crashes
	if len(d.named) > 0 {
		p.Named = d.named
	}
}

func (t *tally) request(i int, kind Request, took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.requests[kind] == nil {
		t.requests[kind] = &timing{}
	}
	p := &t.devices[i]
	t.requests[kind].add(took, err != nil)
	switch {
	case err != nil:
		p.Errors++
		if len(t.errors) < mostErrors {
			t.errors = append(t.errors, err.Error())
		}
	case kind == Dump:
		p.Dumps++
	case kind == Download:
		p.Downloads++
	case kind == Check:
		p.Checks++
	}
}

// timing is how long the requests of a kind took: counts in steps of a twentieth, so that a day of a large fleet is as small
// as a minute.
type timing struct {
	counts [steps]int
	count  int
	errors int
	max    time.Duration
}

const (
	steps = 420 // from 10 µs to 2 hours
	least = 10 * time.Microsecond
	ratio = 1.05
)

func (t *timing) add(d time.Duration, failed bool) {
	t.count++
	if failed {
		t.errors++
	}
	t.max = max(t.max, d)
	at := 0
	if d > least {
		at = min(steps-1, int(math.Log(float64(d)/float64(least))/math.Log(ratio)))
	}
	t.counts[at]++
}

// percentile is the time that so many of 100 requests did not exceed, to a twentieth.
func (t *timing) percentile(p int) time.Duration {
	want := (t.count*p + 99) / 100
	for i, n := range t.counts {
		if want -= n; want <= 0 {
			return min(t.max, time.Duration(float64(least)*math.Pow(ratio, float64(i+1))))
		}
	}
	return t.max
}

// Timing sums up the requests of a kind. Times are in milliseconds.
type Timing struct {
	Request Request `json:"request"`
	Count   int     `json:"count"`
	Errors  int     `json:"errors"`
	P50     float64 `json:"p50_ms"`
	P95     float64 `json:"p95_ms"`
	P99     float64 `json:"p99_ms"`
	Max     float64 `json:"max_ms"`
}

// Summary is what was played.
type Summary struct {
	Lived     float64        `json:"seconds"` // of the fleet's time
	Requests  []Timing       `json:"requests"`
	Versions  map[string]int `json:"versions"` // of the devices that are not silent
	Silent    int            `json:"silent"`
	WentBack  int            `json:"went_back"`
	Boots     int            `json:"boots"`
	Crashes   int            `json:"crashes"`
	Dumps     int            `json:"dumps"`
	Downloads int            `json:"downloads"`
	Checks    int            `json:"checks"`
	Errors    int            `json:"errors"`
	Messages  []string       `json:"messages"` // the first errors
	Devices   []Played       `json:"devices"`
}

// Summary is what was played until now.
func (p *Player) Summary() Summary {
	t := p.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Summary{
		Lived: time.Since(p.begun).Seconds() * p.plan.Speed, Versions: map[string]int{}, Requests: []Timing{},
		Messages: append([]string{}, t.errors...), Devices: slices.Clone(t.devices),
	}
	for _, kind := range []Request{Token, Config, Dump, Version, Check, Download} {
		if r := t.requests[kind]; r != nil {
			s.Requests = append(s.Requests, Timing{kind, r.count, r.errors, ms(r.percentile(50)), ms(r.percentile(95)), ms(r.percentile(99)), ms(r.max)})
		}
	}
	for _, d := range s.Devices {
		if d.Silent {
			s.Silent++
		} else {
			s.Versions[d.Runs]++
		}
		if d.WentBack != "" {
			s.WentBack++
		}
		s.Boots += d.Boots
		s.Crashes += d.Crashes
		s.Dumps += d.Dumps
		s.Downloads += d.Downloads
		s.Checks += d.Checks
		s.Errors += d.Errors
	}
	return s
}

func ms(d time.Duration) float64 { return math.Round(float64(d)/1e4) / 100 }
