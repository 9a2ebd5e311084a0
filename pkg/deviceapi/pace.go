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

// generation bounds the table: there are at most two of so many devices, about 1 MiB. A device falls out when that many
// others have uploaded after it, and is then let off early, which is better than refusing it for others.
const generation = 4096

// paces are the token buckets of the devices that uploaded lately.
type paces struct {
	pace Pace

	mu         sync.Mutex // guards what follows
	young, old buckets
}

type buckets map[fleet.DeviceKey]*rate.Limiter

func newPaces(p Pace) *paces { return &paces{pace: p, young: buckets{}} }

// take counts an upload of the device, or says how long it has to wait.
func (p *paces) take(key fleet.DeviceKey, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	turn := p.bucket(key).ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait > 0 {
		turn.CancelAt(now)
	}
	return wait
}

// bucket is the device's, which is young again. The caller holds mu.
func (p *paces) bucket(key fleet.DeviceKey) *rate.Limiter {
	if b := p.young[key]; b != nil {
		return b
	}
	if len(p.young) >= generation {
		p.old, p.young = p.young, buckets{}
	}
	b := p.old[key]
	if b == nil {
		b = rate.NewLimiter(rate.Limit(float64(p.pace.PerMinute)/60), p.pace.Burst)
	}
	p.young[key] = b
	return b
}
