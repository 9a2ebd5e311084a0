package deviceapi

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/slipway-gateway/slipway/pkg/auth"
)

// guessesPerMinute wrong secrets of one client from one address are told apart from a typo. The right secret is taken
// however many wrong ones came before it: a device shares its address with whoever else is behind the same router.
const guessesPerMinute = 10

// journalPerMinute bounds the journal's lines about wrong secrets in all: client ids can be made up.
const journalPerMinute = 60

// Guesses paces wrong secrets and tells the journal of them, once a minute for each client id.
type Guesses struct {
	logger *slog.Logger
	failed func(remote string) // counts a wrong secret
	now    func() time.Time

	mu     sync.Mutex // guards what follows
	paced  generations[guesser, *rate.Limiter]
	logged generations[string, time.Time]
	lines  *rate.Limiter
}

type guesser struct{ address, client string }

// NewGuesses has seen none.
func NewGuesses(logger *slog.Logger, failed func(remote string), now func() time.Time) *Guesses {
	return &Guesses{logger: logger, failed: failed, now: now, lines: rate.NewLimiter(rate.Every(time.Minute/journalPerMinute), journalPerMinute)}
}

// judge is called with the outcome of each check of a client's secret. A wrong one comes back as it is, or once the
// client is over its pace as a 429 that says when to try again.
func (g *Guesses) judge(r *http.Request, client string, err error) error {
	if !errors.Is(err, auth.ErrInvalidClient) {
		return err
	}
	g.failed(r.RemoteAddr)
	client = client[:min(len(client), mostID)]
	address, _, splitErr := net.SplitHostPort(r.RemoteAddr)
	if splitErr != nil {
		address = r.RemoteAddr
	}
	now := g.now()
	g.mu.Lock()
	who := guesser{address, client}
	if errors.Is(err, auth.ErrNotAdopted) { // who guesses a shared secret may call itself another at each try
		who.client = "a device to adopt"
	}
	wait := g.wait(who, now)
	tell := g.tell(client, now)
	g.mu.Unlock()
	if tell {
		g.logger.Warn("wrong client secret", "client_id", client, "remote", address, "reason", err)
	}
	if wait > 0 {
		return later(http.StatusTooManyRequests, "too_many_guesses", "too many wrong secrets", wait).Because(err)
	}
	return err
}

// wait counts a wrong secret, or says how long a further one has to wait. The caller holds mu.
func (g *Guesses) wait(who guesser, now time.Time) time.Duration {
	bucket, ok := g.paced.find(who)
	if !ok {
		bucket = rate.NewLimiter(rate.Every(time.Minute/guessesPerMinute), guessesPerMinute)
	}
	g.paced.put(who, bucket)
	return takeTurn(bucket, now)
}

// tell says whether the journal gets a line. The caller holds mu.
func (g *Guesses) tell(client string, now time.Time) bool {
	if last, ok := g.logged.find(client); ok && now.Sub(last) < time.Minute && !now.Before(last) {
		return false
	}
	g.logged.put(client, now)
	return g.lines.AllowN(now, 1)
}
