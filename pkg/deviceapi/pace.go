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

// mostPaces bounds the table. Devices that are in it for nothing any more go first.
const mostPaces = 4096

// paces are the token buckets of the devices that uploaded lately.
type paces struct {
	pace Pace

	mu      sync.Mutex // guards buckets
	buckets map[fleet.DeviceKey]*rate.Limiter
}

func newPaces(p Pace) *paces {
	return &paces{pace: p, buckets: map[fleet.DeviceKey]*rate.Limiter{}}
}

// take counts an upload of the device, or says how long it has to wait.
func (p *paces) take(key fleet.DeviceKey, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	bucket := p.buckets[key]
	if bucket == nil {
		if len(p.buckets) >= mostPaces {
			p.forget(now)
		}
		bucket = rate.NewLimiter(rate.Limit(float64(p.pace.PerMinute)/60), p.pace.Burst)
		p.buckets[key] = bucket
	}
	turn := bucket.ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait > 0 {
		turn.CancelAt(now)
	}
	return wait
}

// forget drops the buckets that are full again, and one more where none is: a device that is let off early is better
// than one that is refused for others. The caller holds mu.
func (p *paces) forget(now time.Time) {
	for key, bucket := range p.buckets {
		if bucket.TokensAt(now) >= float64(p.pace.Burst) {
			delete(p.buckets, key)
		}
	}
	for key := range p.buckets {
		if len(p.buckets) < mostPaces {
			return
		}
		delete(p.buckets, key)
	}
}
