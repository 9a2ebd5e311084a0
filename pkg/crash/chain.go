package crash

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Chain is the way to a crash: the functions that tell it from others, innermost first. A fingerprint names one chain
// exactly, a group holds several near ones. Crashes are counted by chain, and a group is the sum of its chains: so
// people can merge and split groups without anything being counted anew.
type Chain struct {
	Fingerprint string          `json:"fingerprint"`
	Group       string          `json:"group"` // that it belongs to
	Model       fleet.ModelCode `json:"model_code"`
	Kind        string          `json:"kind"`
	Frames      []string        `json:"frames"`
	Old         bool            `json:"old,omitempty"` // of the first rules: a fingerprint without its frames, which takes no more dumps
	Tally
}

// Tally is what is counted of a chain and of a group.
type Tally struct {
	Reason       string          `json:"reason"`    // of the latest crash
	TopFrame     string          `json:"top_frame"` // of the latest crash
	FirstSeen    time.Time       `json:"first_seen"`
	LastSeen     time.Time       `json:"last_seen"`
	Count        int             `json:"count"`         // crashes, also those whose dumps are gone
	FirstVersion fleet.Version   `json:"first_version"` // the oldest by version order
	LastVersion  fleet.Version   `json:"last_version"`  // the newest by version order
	LatestDevice fleet.DeviceKey `json:"latest_device"`
	LatestDump   fleet.DumpName  `json:"latest_dump"`
	Recent       Recent          `json:"recent,omitempty"` // crashes by the day they were uploaded on
}

// Newer reports whether version a is later than b, among the builds of one model: by version order, else by the order
// of acceptance, which only the store knows.
type Newer func(a, b fleet.Version) bool

// Add counts a crash.
func (t *Tally) Add(c Crash, newer Newer) {
	t.Gather(Tally{
		Reason: c.Reason, TopFrame: c.TopFrame, FirstSeen: c.Uploaded, LastSeen: c.Uploaded, Count: 1,
		FirstVersion: c.Version, LastVersion: c.Version, LatestDevice: c.Device, LatestDump: c.Name, Recent: on(c.Uploaded, 1),
	}, newer)
}

// Uncount takes a crash back that was counted. What else is told of it stays.
func (t *Tally) Uncount(c Crash) {
	t.Count--
	t.Recent = t.Recent.plus(on(c.Uploaded, -1))
}

// Gather adds what was counted elsewhere.
func (t *Tally) Gather(other Tally, newer Newer) {
	switch {
	case other.Count == 0:
		return
	case t.Count == 0:
		*t = other
		return
	}
	t.Count += other.Count
	t.Recent = t.Recent.plus(other.Recent)
	if other.FirstSeen.Before(t.FirstSeen) {
		t.FirstSeen = other.FirstSeen
	}
	if newer(t.FirstVersion, other.FirstVersion) {
		t.FirstVersion = other.FirstVersion
	}
	if newer(other.LastVersion, t.LastVersion) {
		t.LastVersion = other.LastVersion
	}
	if !other.LastSeen.Before(t.LastSeen) {
		t.LastSeen, t.LatestDevice, t.LatestDump = other.LastSeen, other.LatestDevice, other.LatestDump
		t.Reason, t.TopFrame = other.Reason, other.TopFrame
	}
}

// MostFrames is how many functions of a stack make a chain, see ESPCORE's fingerprint.
const MostFrames = 5

// mostFrame is how many bytes are kept of one function: five of them leave room for the rest of a summary.
const mostFrame = 120

// clipChain keeps a chain small. Two functions that differ only behind the cut, as templates do, stay two.
func clipChain(frames []string) []string {
	frames = slices.Clone(frames[:min(len(frames), MostFrames)])
	for i, f := range frames {
		short := clip(f, mostFrame)
		if len(f) > mostFrame {
			const digest = 4 // bytes
			sum := sha256.Sum256([]byte(f))
			short = clip(f, mostFrame-2*digest-len("…")) + hex.EncodeToString(sum[:digest])
		}
		frames[i] = short
	}
	return frames
}

// leastCommon is how many functions two chains that are not equal must share: with only one, a function that everybody
// calls would bring together what has nothing in common.
const leastCommon = 2

// Near reports whether two chains are of one bug as far as frames can say, and how many functions they share: they are
// equal, or one is the other with one frame more, as a compiler leaves that inlines a helper or does not. A chain of
// five ends where the rules cut it off, so that a frame more in its middle pushes its last one out.
func Near(a, b []string) (common int, near bool) {
	switch {
	case slices.Equal(a, b):
		return len(a), true
	case len(a) == len(b)+1:
		return len(b), len(b) >= leastCommon && oneMore(a, b)
	case len(b) == len(a)+1:
		return len(a), len(a) >= leastCommon && oneMore(b, a)
	case len(a) == MostFrames && len(b) == MostFrames:
		return MostFrames - 1, pushedOut(a, b) || pushedOut(b, a)
	}
	return 0, false
}

// oneMore reports that long is short with one frame put in.
func oneMore(long, short []string) bool {
	for i := range long {
		if slices.Equal(without(long, i), short) {
			return true
		}
	}
	return false
}

// pushedOut reports that long is cut with one frame put in, and cut's last one therefore gone. The frame is not the last
// one of long: that would be another caller, not a helper.
func pushedOut(long, cut []string) bool {
	for i := range MostFrames - 1 {
		if slices.Equal(without(long, i), cut[:MostFrames-1]) {
			return true
		}
	}
	return false
}

func without(frames []string, i int) []string {
	return slices.Delete(slices.Clone(frames), i, i+1)
}
