package access

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/event"
)

// failuresPerMinute of one address tell a typo from somebody who tries tokens. The right one is taken however many wrong ones
// came before it: a person shares an address with whoever else is behind the same router.
const failuresPerMinute = 10

// mostPaced addresses are kept apart. With more of them all begin anew: 256 random bits are not found in the meantime.
const mostPaced = 4096

// paces slow down who shows wrong tokens.
type paces struct {
	now func() time.Time

	mu   sync.Mutex // guards what follows
	from map[string]*rate.Limiter
}

// failed counts a wrong token, and says when the next one is looked at once there were too many.
func (p *paces) failed(remote string) error {
	now := p.now()
	if p.bucket(remote).AllowN(now, 1) {
		return nil
	}
	return tooManyGuesses()
}

// later says the same of an address that has failed too often, and counts nothing.
func (p *paces) later(remote string) error {
	now := p.now()
	if p.bucket(remote).TokensAt(now) >= 1 {
		return nil
	}
	return tooManyGuesses()
}

func (p *paces) bucket(remote string) *rate.Limiter {
	source := event.Source(remote)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.from == nil || len(p.from) > mostPaced {
		p.from = map[string]*rate.Limiter{}
	}
	bucket := p.from[source]
	if bucket == nil {
		bucket = rate.NewLimiter(rate.Every(time.Minute/failuresPerMinute), failuresPerMinute)
		p.from[source] = bucket
	}
	return bucket
}

func tooManyGuesses() error {
	e := endpoint.Errorf(http.StatusTooManyRequests, "too_many_guesses", "too many wrong tokens from this address: wait a minute")
	e.Header = http.Header{"Retry-After": {strconv.Itoa(int(time.Minute/failuresPerMinute/time.Second) + 1)}}
	return e
}
