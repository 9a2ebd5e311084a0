package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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
	endPoll     = 10 * time.Millisecond

	// sendAhead is how many bytes the kernel takes from us before the client has room for them. A device reads one block
	// of an image and closes: what was queued for it would be work for nothing.
	sendAhead = 16 << 10
)

// Listener is one way in.
type Listener struct {
	net.Listener
	Handler http.Handler
	TLS     *tls.Config // nil for plain HTTP

	// MaxConnections bounds this listener's open connections; beyond it the longest idle one is closed, and where none is
	// idle new ones wait in the kernel's queue. 0 is no bound, for the CLI's socket.
	MaxConnections int

	// Identify may add to the context of a connection, such as who is at the other end of a Unix socket. Optional.
	Identify func(context.Context, net.Conn) context.Context
}

// Serve serves all listeners until ctx ends. Then it closes them and idle connections at once, answers for half a second
// what is arriving on the others, and lets requests in flight finish for at most 14 s. When it returns, no handler runs
// any more. An error of one listener ends all.
func Serve(ctx context.Context, logger *slog.Logger, listeners ...Listener) error {
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	inFlight := &atomic.Int64{}
	ended := make(chan error, len(listeners))
	servers := make([]*http.Server, len(listeners))
	doors := make([]*capped, len(listeners))
	for i, l := range listeners {
		servers[i], doors[i] = l.server(base, logger, inFlight)
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
	return first
}

func serveOne(ctx context.Context, srv *http.Server, l Listener, limited net.Listener) error {
	var err error
	if l.TLS != nil {
		err = srv.ServeTLS(limited, "", "")
	} else {
		err = srv.Serve(limited)
	}
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) && ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serve %s: %w", l.Addr(), err)
}

func (l Listener) server(base context.Context, logger *slog.Logger, inFlight *atomic.Int64) (*http.Server, *capped) {
	limitSendAhead(l.Listener)
	limited := newCapped(l.Listener, l.MaxConnections)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // devices speak no other, and streams of HTTP/2 would slip past the cap
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inFlight.Add(1)
			defer inFlight.Add(-1)
			l.Handler.ServeHTTP(w, r)
		}),
		TLSConfig:         l.TLS,
		Protocols:         protocols,
		ReadHeaderTimeout: headerPatience,
		WriteTimeout:      writePatience, // moved by the progress of bodies, see requestBody and response
		IdleTimeout:       idlePatience,
		MaxHeaderBytes:    headerMost,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug), // handshakes that clients break off
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext:       l.Identify,
		ConnState:         limited.changed,
	}
	return srv, limited
}

// callLast lets nobody else in, and returns when nobody is left or lastCall is over.
func callLast(servers []*http.Server, doors []*capped) {
	for i, srv := range servers {
		srv.SetKeepAlivesEnabled(false) // closes those that are idle
		doors[i].Close()                //nolint:errcheck // Serve reports what goes wrong with it
	}
	for waited := time.Duration(0); waited < lastCall && slices.ContainsFunc(doors, (*capped).occupied); waited += endPoll {
		time.Sleep(endPoll)
	}
}

// shutDown returns when no handler runs, or at the latest after gracePeriod and endPeriod.
func shutDown(servers []*http.Server, cut context.CancelFunc, inFlight *atomic.Int64) {
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
	for waited := time.Duration(0); inFlight.Load() > 0 && waited < endPeriod; waited += endPoll {
		time.Sleep(endPoll)
	}
}

// limitSendAhead sets TCP_NOTSENT_LOWAT, which accepted connections inherit. A listener that is no socket of ours, or a
// kernel without it, serves as well and queues more.
func limitSendAhead(l net.Listener) {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { //nolint:errcheck // best effort, as said above
		unix.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, sendAhead) //nolint:errcheck // best effort
	})
}
