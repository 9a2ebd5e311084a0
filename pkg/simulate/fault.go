package simulate

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is what is wrong with a version.
type Fault struct {
	Version string
	What    FaultKind
	Share   float64       // of the devices; of Crashes: of the intervals
	After   time.Duration // of DiesLater: of the fleet's time since it booted the version
}

// FaultKind is how a version is bad.
type FaultKind string

// The kinds of faults.
const (
	FallsSilent FaultKind = "silent" // the device boots it and is not heard again
	Crashes     FaultKind = "crash"  // it crashes in so many of its intervals
	GoesBack    FaultKind = "back"   // it crashes in its first boot, and the bootloader goes back to the version before
	DiesLater   FaultKind = "late"   // it runs well for a while, and is not heard again then
)

// ParseFault reads "1.1.0=silent", "1.1.0=crash:5%", "1.1.0=back:30%" or "1.1.0=late:6h".
func ParseFault(s string) (Fault, error) {
	wrong := fmt.Errorf("bad version %q: want VERSION=silent, VERSION=crash:5%%, VERSION=back:30%% or VERSION=late:6h", s)
	at := strings.LastIndex(s, "=")
	if at < 1 {
		return Fault{}, wrong
	}
	what, share, shared := strings.Cut(s[at+1:], ":")
	f := Fault{Version: s[:at], What: FaultKind(what), Share: 1}
	if f.What == DiesLater {
		after, err := time.ParseDuration(share)
		if err != nil || after <= 0 {
			return Fault{}, wrong
		}
		f.After = after
		return f, nil
	}
	if !slices.Contains([]FaultKind{FallsSilent, Crashes, GoesBack}, f.What) {
		return Fault{}, wrong
	}
	if shared {
		number, percent := strings.CutSuffix(share, "%")
		n, err := strconv.ParseFloat(number, 64)
		if err != nil || !percent || !(n >= 0 && n <= 100) {
			return Fault{}, wrong
		}
		f.Share = n / 100
	}
	return f, nil
}

// has reports that a device is one of those that the version does this to: always the same ones of a seed.
func (p *Plan) has(key, version string, what FaultKind) bool {
	for i, f := range p.Faults {
		if f.Version == version && f.What == what && p.draw(key, version, string(what), strconv.Itoa(i)) < f.Share {
			return true
		}
	}
	return false
}

// lifetime is how long a device with the version is heard, 0 for ever.
func (p *Plan) lifetime(version string) time.Duration {
	for _, f := range p.Faults {
		if f.Version == version && f.What == DiesLater {
			return f.After
		}
	}
	return 0
}

// crashRate is the probability of a crash in an interval.
func (p *Plan) crashRate(version string) float64 {
	rate := p.CrashRate
	for _, f := range p.Faults {
		if f.Version == version && f.What == Crashes {
			rate = max(rate, f.Share)
		}
	}
	return rate
}

// draw is a number from 0 up to 1 that follows from the seed and the words.
func (p *Plan) draw(words ...string) float64 { return p.source(words...).Float64() }

// source is a device's own luck.
func (p *Plan) source(words ...string) *rand.Rand {
	h := fnv.New64a()
	for _, w := range words {
		_, _ = h.Write([]byte(w + "\x00")) // never fails
	}
	return rand.New(rand.NewPCG(p.Seed, h.Sum64()))
}
