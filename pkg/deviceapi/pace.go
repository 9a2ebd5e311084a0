package deviceapi

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Pace is how often one device may upload: more than a crash loop can.
type Pace struct {
	PerMinute int
	Burst     int
}

// paces are the token buckets of the devices that uploaded lately.
type paces struct {
	pace Pace

	mu      sync.Mutex // guards buckets
	buckets generations[fleet.DeviceKey, *rate.Limiter]
}

func newPaces(p Pace) *paces { return &paces{pace: p} }

// take counts an upload of the device, or says how long it has to wait.
func (p *paces) take(key fleet.DeviceKey, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	bucket, ok := p.buckets.find(key)
	if !ok {
		bucket = rate.NewLimiter(rate.Limit(float64(p.pace.PerMinute)/60), p.pace.Burst)
	}
	p.buckets.put(key, bucket)
	return takeTurn(bucket, now)
}

// takeTurn takes a turn, or says how long it has to wait.
func takeTurn(bucket *rate.Limiter, now time.Time) time.Duration {
	turn := bucket.ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait > 0 {
		turn.CancelAt(now)
	}
	return wait
}

// generation bounds a table: it has at most two of so many entries, about 1 MiB. An entry falls out when that many others
// came after it, and its owner is then let off early, which is better than refusing it for others.
const generation = 4096

// generations is a table of what was put lately: when the young half is full it becomes the old one, which is forgotten
// whole. The zero one is empty.
type generations[K comparable, V any] struct {
	young, old map[K]V
}

func (g *generations[K, V]) find(key K) (V, bool) {
	if v, ok := g.young[key]; ok {
		return v, true
	}
	v, ok := g.old[key]
	return v, ok
}

func (g *generations[K, V]) put(key K, v V) {
	if _, ok := g.young[key]; !ok && len(g.young) >= generation || g.young == nil {
		g.old, g.young = g.young, map[K]V{}
	}
	g.young[key] = v
}
