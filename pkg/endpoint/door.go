package endpoint

import (
	"container/list"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sendAhead is how many bytes the kernel takes from us before the client has room for them. A device reads one block of an
// image and closes: what was queued for it would be work for nothing.
const sendAhead = 16 << 10

const acceptAgain = 50 * time.Millisecond // after an error that passes, such as too many open files

// door is a listener as net/http sees it. It bounds the open connections, lets strangers through the gate, and closes the
// connection that has been idle longest where there is no room.
type door struct {
	net.Listener
	gate   *gate
	tls    *tls.Config // nil for plain HTTP
	small  bool        // records
	most   int         // 0: no bound, and no gate
	logger *slog.Logger

	mu       sync.Mutex // guards what follows
	change   *sync.Cond
	open     int        // connections that Accept has returned and that are not closed yet
	admitted list.List  // of *conn, for Accept
	idle     *list.List // of net.Conn, the longest idle one first
	places   map[net.Conn]*list.Element
	failed   error // of the listener
	closed   bool
}

func newDoor(l Listener, logger *slog.Logger) *door {
	d := &door{Listener: l.Listener, most: l.MaxConnections, logger: logger, idle: list.New(), places: map[net.Conn]*list.Element{}}
	d.change = sync.NewCond(&d.mu)
	if l.TLS != nil {
		d.tls, d.small = l.TLS.Clone(), l.SmallRecords
		d.tls.NextProtos = []string{"http/1.1"}
	}
	switch {
	case l.Gate != nil:
		d.gate = &l.Gate.gate
	case l.MaxConnections > 0:
		d.gate = &NewGate().gate
	}
	return d
}

// run accepts connections and hands them to the gate, until the listener is closed. A door without a gate has nothing to
// run: Accept asks the listener itself.
func (d *door) run() {
	if d.gate == nil {
		return
	}
	for {
		nc, err := d.Listener.Accept()
		if err != nil {
			if ne, ok := err.(net.Error); ok && ne.Temporary() { //nolint:errorlint,staticcheck // as net/http has it: too many open files
				d.logger.Warn("connection not accepted", "error", err)
				time.Sleep(acceptAgain)
				continue
			}
			d.mu.Lock()
			d.failed = err
			d.change.Broadcast()
			d.mu.Unlock()
			return
		}
		tcp, ok := nc.(*net.TCPConn)
		if !ok { // of a listener that is none of ours
			nc.Close()
			continue
		}
		d.gate.arrive(&conn{TCPConn: tcp, gate: d.gate, door: d, from: whose(tcp.RemoteAddr())})
	}
}

// admit hands a connection to Accept. The gate calls it.
func (d *door) admit(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.admitted.PushBack(c)
	d.change.Broadcast()
}

// Accept waits for room, then for a connection.
func (d *door) Accept() (net.Conn, error) {
	if d.gate == nil {
		return d.Listener.Accept()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		first := d.admitted.Front()
		switch {
		case first != nil && (d.open < d.most || d.most == 0):
			d.open++
			return d.secured(d.admitted.Remove(first).(*conn)), nil // the list holds nothing else
		case d.closed:
			return nil, net.ErrClosed
		case d.failed != nil:
			return nil, d.failed
		case first != nil:
			d.evict()
		}
		d.change.Wait()
	}
}

func (d *door) secured(c *conn) net.Conn {
	if d.tls == nil {
		return c
	}
	return &tlsConn{Conn: tls.Server(c, d.tls), tcp: c, small: d.small, logger: d.logger}
}

// evict closes the connection that has been idle longest. Its server notices and reports its end.
func (d *door) evict() {
	if oldest := d.idle.Front(); oldest != nil {
		nc := d.idle.Remove(oldest).(net.Conn) // the list holds nothing else
		delete(d.places, nc)
		go nc.Close() // that of TLS may wait for its mutex
	}
}

// changed is http.Server's ConnState.
func (d *door) changed(nc net.Conn, state http.ConnState) {
	d.mu.Lock()
	if place, ok := d.places[nc]; ok {
		d.idle.Remove(place)
		delete(d.places, nc)
	}
	switch state {
	case http.StateNew:
		if d.gate == nil {
			d.open++
		}
	case http.StateIdle:
		d.places[nc] = d.idle.PushBack(nc)
		d.change.Broadcast() // whoever waits may evict it
	case http.StateClosed, http.StateHijacked:
		d.open--
		d.change.Broadcast()
	}
	d.mu.Unlock()
	if c := tcpOf(nc); c != nil && (state == http.StateClosed || state == http.StateHijacked) {
		d.gate.leave(c)
	}
}

// left returns when no connection is open, or ctx ends.
func (d *door) left(ctx context.Context) {
	waitUntil(ctx, d.change, func() bool { return d.open == 0 && d.admitted.Len() == 0 })
}

// waitUntil returns when what the condition's lock guards holds, or ctx ends.
func waitUntil(ctx context.Context, change *sync.Cond, holds func() bool) {
	stop := context.AfterFunc(ctx, func() {
		change.L.Lock()
		defer change.L.Unlock()
		change.Broadcast()
	})
	defer stop()
	change.L.Lock()
	defer change.L.Unlock()
	for !holds() && ctx.Err() == nil {
		change.Wait()
	}
}

// Close also ends an Accept that waits, once it has handed out who was let in, and the connections whose turn has not come.
func (d *door) Close() error {
	d.mu.Lock()
	d.closed = true
	d.change.Broadcast()
	d.mu.Unlock()
	if d.gate != nil {
		d.gate.empty(d)
	}
	return d.Listener.Close()
}

// limitSendAhead sets TCP_NOTSENT_LOWAT, which accepted connections inherit, but for those of MPTCP. A listener that is no
// socket of ours, or a kernel without it, serves as well and queues more.
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
