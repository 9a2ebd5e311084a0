package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	headerPatience = 20 * time.Second // TLS handshake and headers: a small gateway has thousands of devices after a power cut
	idlePatience   = 60 * time.Second // between requests of one connection
	headerMost     = 16 << 10         // bytes; an external issuer's token takes 2 KiB of it

	// lastCall is for requests whose headers are on their way when the end comes: net/http alone would drop them without an
	// answer.
	lastCall = 500 * time.Millisecond

	// Requests in flight get gracePeriod, then endPeriod to notice that it is over: together less than the 20 s in which
	// the daemon has to end, with time left to close what lies behind the doors.
	gracePeriod = 14 * time.Second
	endPeriod   = 2 * time.Second
)

// Listener is one way in.
type Listener struct {
	net.Listener
	Handler http.Handler
	TLS     *tls.Config // nil for plain HTTP

	// SmallRecords sends over TLS in records of at most 4 KiB, for clients that cannot take larger ones. It costs a system
	// call for each.
	SmallRecords bool

	// MaxConnections bounds this listener's open connections; beyond it the longest idle one is closed, and where none is
	// idle new ones wait. 0 is no bound, for the CLI's socket.
	MaxConnections int

	// Gate bounds connections that have shown no good credentials, on all listeners that share it. Nil is one of its own,
	// and none where MaxConnections is 0.
	Gate *Gate

	// Identify may add to the context of a connection, such as who is at the other end of a Unix socket. Optional.
	Identify func(context.Context, net.Conn) context.Context
}

// Serve serves all listeners until ctx ends. Then it closes them and idle connections at once, answers for half a second
// what is arriving on the others, and lets requests in flight finish for at most 14 s. When it returns, no handler runs
// any more. An error of one listener ends all.
func Serve(ctx context.Context, logger *slog.Logger, listeners ...Listener) error {
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	inFlight := newHandlers()
	ended := make(chan error, len(listeners))
	servers := make([]*http.Server, len(listeners))
	doors := make([]*door, len(listeners))
	var accepting sync.WaitGroup
	for i, l := range listeners {
		servers[i], doors[i] = l.server(base, logger, inFlight)
		accepting.Go(doors[i].run)
		go func() { ended <- serveOne(ctx, servers[i], l, doors[i]) }()
	}
	var first error
	running := len(listeners)
	select {
	case <-ctx.Done():
	case first = <-ended:
		running--
	}
	callLast(servers, doors)
	shutDown(servers, cut, inFlight)
	for range running {
		if err := <-ended; first == nil {
			first = err
		}
	}
	accepting.Wait()
	for _, d := range doors {
		if d.gate != nil {
			d.gate.arrivals.empty()
		}
	}
	return first
}

func serveOne(ctx context.Context, srv *http.Server, l Listener, d *door) error {
	err := srv.Serve(d) // TLS is the door's matter
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) && ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serve %s: %w", l.Addr(), err)
}

func (l Listener) server(base context.Context, logger *slog.Logger, inFlight *handlers) (*http.Server, *door) {
	limitSendAhead(l.Listener)
	d := newDoor(l, logger)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // devices speak no other, and streams of HTTP/2 would slip past the cap
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inFlight.add(1)
			defer inFlight.add(-1)
			l.Handler.ServeHTTP(w, r)
		}),
		Protocols:         protocols,
		ReadHeaderTimeout: headerPatience, // and for bodies see requestBody, for answers conn
		IdleTimeout:       idlePatience,
		MaxHeaderBytes:    headerMost,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug), // handshakes that clients break off
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			if l.Identify != nil {
				ctx = l.Identify(ctx, nc)
			}
			return withConn(ctx, nc)
		},
		ConnState: d.changed,
	}
	return srv, d
}

// callLast lets nobody else in, and returns when nobody is left or lastCall is over.
func callLast(servers []*http.Server, doors []*door) {
	for i, srv := range servers {
		srv.SetKeepAlivesEnabled(false) // closes those that are idle
		doors[i].Close()                //nolint:errcheck // Serve reports what goes wrong with it
	}
	ctx, over := context.WithTimeout(context.Background(), lastCall)
	defer over()
	for _, d := range doors {
		d.left(ctx)
	}
}

// shutDown returns when no handler runs, or at the latest after gracePeriod and endPeriod.
func shutDown(servers []*http.Server, cut context.CancelFunc, inFlight *handlers) {
	grace, end := context.WithTimeout(context.Background(), gracePeriod)
	defer end()
	var all sync.WaitGroup
	for _, srv := range servers {
		all.Go(func() {
			if srv.Shutdown(grace) != nil {
				cut()
				srv.Close() //nolint:errcheck // it only closes connections, whose errors are their clients'
			}
		})
	}
	all.Wait()
	// Shutdown waits for handlers, Close does not.
	ctx, over := context.WithTimeout(context.Background(), endPeriod)
	defer over()
	inFlight.none(ctx)
}

// handlers counts those that run.
type handlers struct {
	mu     sync.Mutex // guards n
	change *sync.Cond
	n      int
}

func newHandlers() *handlers {
	h := &handlers{}
	h.change = sync.NewCond(&h.mu)
	return h
}

func (h *handlers) add(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.n += n; h.n == 0 {
		h.change.Broadcast()
	}
}

// none returns when no handler runs, or ctx ends.
func (h *handlers) none(ctx context.Context) {
	waitUntil(ctx, h.change, func() bool { return h.n == 0 })
}
