package endpoint

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of looking after answers whose end is still on its way. What is left of one when its handler has returned is
// what the kernel holds, some 20 KiB: on a line of a factory that takes seconds, and only a client that is gone takes longer.
const (
	mostFollowed  = 1024 // at a time; beyond it the one that is followed longest is given up
	followedMost  = 10 * time.Minute
	followedEvery = 100 * time.Millisecond
)

// Arrival is what has become of an answer. What net/http has written says nothing of that: with a device's small window
// the last 20 KiB of an image are in the kernel when the handler returns, and a whole image that nobody reads would be.
type Arrival struct {
	Bytes int64 // that the client's TCP has acknowledged, header and TLS's own bytes included
	Whole bool  // the answer was written to its end, and all of it was acknowledged
}

// Following is an answer that is being looked after.
type Following struct {
	w     *response
	begun int64 // what will have been acknowledged when all before this answer has arrived
}

// Follow begins before the first byte of an answer is written.
func Follow(w http.ResponseWriter) *Following {
	rw, _ := w.(*response)
	f := &Following{w: rw}
	if rw != nil && rw.client != nil {
		rw.client.followed.Store(true)
		acked, queued, _ := rw.client.queue()
		f.begun = acked + queued
	}
	return f
}

// End is called when the handler has written what it wanted to. tell is called once, maybe minutes later, in another
// goroutine.
func (f *Following) End(tell func(Arrival)) {
	w := f.w
	if w == nil || w.client == nil { // no TCP: what was written has arrived
		tell(Arrival{Whole: w == nil || w.complete()})
		return
	}
	w.conn.Flush() //nolint:errcheck // w.failed has it
	acked, queued, open := w.client.queue()
	w.client.gate.arrivals.settle(w.client, acked)
	l := &look{client: w.client, begun: f.begun, target: acked + queued, complete: w.complete(), since: time.Now(), dup: -1, tell: tell}
	if !open || queued == 0 {
		l.end(acked)
		return
	}
	w.client.gate.arrivals.follow(l)
}

// complete reports that the answer was written to its end.
func (w *response) complete() bool {
	length, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64)
	return w.failed == nil && err == nil && w.written == length
}

// look is one answer whose end is on its way.
type look struct {
	client        *conn
	begun, target int64 // of acknowledged bytes: where the answer begins and where it ends
	complete      bool
	since         time.Time
	dup           int // of the socket, once net/http has closed its own; -1 before
	tell          func(Arrival)
}

func (l *look) end(acked int64) {
	l.tell(Arrival{Bytes: max(0, min(acked, l.target)-l.begun), Whole: l.complete && acked >= l.target})
}

// arrivals follows the answers of all connections.
type arrivals struct {
	every time.Duration // how often it looks

	mu      sync.Mutex // guards what follows
	looks   []*look    // the one that is followed longest first
	running bool       // a goroutine looks at them: it ends with the last one
}

func (a *arrivals) follow(l *look) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.looks) >= mostFollowed {
		a.looks[0].finish()
		a.looks = a.looks[1:]
	}
	a.looks = append(a.looks, l)
	if !a.running {
		a.running = true
		go a.run()
	}
}

// run looks until nobody is left.
func (a *arrivals) run() {
	tick := time.NewTicker(a.every)
	defer tick.Stop()
	for now := range tick.C {
		if !a.look(now) {
			return
		}
	}
}

func (a *arrivals) look(now time.Time) (more bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looks = slices.DeleteFunc(a.looks, func(l *look) bool {
		acked, _, open := l.queue()
		over := !open || acked >= l.target || now.Sub(l.since) >= followedMost
		if over {
			l.finish()
		}
		return over
	})
	a.running = len(a.looks) > 0
	return a.running
}

// empty gives up all that is left: the gateway ends.
func (a *arrivals) empty() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.looks {
		l.finish()
	}
	clear(a.looks)
	a.looks = a.looks[:0]
}

// settle tells of the answers of a connection that have arrived by now, in their order: a client that fetches an image in
// ranges has the one before when it has this one.
func (a *arrivals) settle(c *conn, acked int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looks = slices.DeleteFunc(a.looks, func(l *look) bool {
		arrived := l.client == c && acked >= l.target
		if arrived {
			l.finish()
		}
		return arrived
	})
}

// closing keeps the socket of a connection that net/http closes while its last answer is on its way, and says the end of
// the stream to the client: closing alone would not, as long as a copy is held.
func (a *arrivals) closing(c *conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.looks {
		if l.client == c && l.dup < 0 {
			l.dup = c.duplicate()
			c.CloseWrite() //nolint:errcheck // the client's matter
		}
	}
}

// cutting ends what is followed of a connection that is to be reset.
func (a *arrivals) cutting(c *conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looks = slices.DeleteFunc(a.looks, func(l *look) bool {
		if l.client == c {
			l.finish()
		}
		return l.client == c
	})
}

func (l *look) queue() (acked, queued int64, open bool) {
	if l.dup >= 0 {
		return queueOf(l.dup)
	}
	return l.client.queue()
}

// finish tells what has arrived until now, and gives the copy of the socket back.
func (l *look) finish() {
	acked, _, _ := l.queue()
	if l.dup >= 0 {
		unix.Close(l.dup) //nolint:errcheck // nothing is left to do about it
	}
	l.end(acked)
}

// queue is what the client's TCP has acknowledged since the connection began, and what the kernel still holds for it.
func (c *conn) queue() (acked, queued int64, open bool) {
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { acked, queued, open = queueOf(int(fd)) })
	}
	if err != nil {
		return c.arrived.Load(), 0, false // it was closed
	}
	return acked, queued, open
}

// queueOf asks twice for what was acknowledged: an acknowledgement between the questions would be counted on both sides or
// on none.
func queueOf(fd int) (acked, queued int64, open bool) {
	for {
		before, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return 0, 0, false
		}
		n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		if err != nil {
			n = 0 // it is closed, and nothing is held
		}
		after, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return 0, 0, false
		}
		if before.Bytes_acked == after.Bytes_acked {
			return int64(after.Bytes_acked), int64(n), after.State != unix.BPF_TCP_CLOSE
		}
	}
}

func (c *conn) duplicate() (fd int) {
	fd = -1
	raw, err := c.SyscallConn()
	if err != nil {
		return fd
	}
	raw.Control(func(open uintptr) { //nolint:errcheck // then it is -1, and what is known now counts
		if n, err := unix.FcntlInt(open, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			fd = n
		}
	})
	return fd
}
