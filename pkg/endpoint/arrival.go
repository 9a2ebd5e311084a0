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
	Bytes int64         // that the client's TCP has acknowledged, header and TLS's own bytes included
	Whole bool          // the answer was written to its end, and all of it was acknowledged
	Ago   time.Duration // since more of it was seen to be acknowledged
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
		q := rw.client.queue()
		f.begun = q.acked + q.held
	}
	return f
}

// Arrived is how much of the answer has arrived until now, header and TLS's own bytes included. It may be asked while the answer is
// being written, by another goroutine; 0 where there is no TCP.
func (f *Following) Arrived() int64 {
	if f.w == nil || f.w.client == nil {
		return 0
	}
	return max(f.w.client.queue().acked-f.begun, 0)
}

// End is called when the handler has written what it wanted to. tell is called once, maybe minutes later, in another
// goroutine.
func (f *Following) End(tell func(Arrival)) {
	w := f.w
	if w == nil || w.client == nil { // no TCP: what was written has arrived
		tell(Arrival{Whole: w == nil || w.complete()})
		return
	}
	w.note(w.conn.Flush())
	q := w.client.queue()
	all := &w.client.gate.arrivals
	now := time.Now()
	// Of a socket that we have closed nobody knows what it held: without a bound whatever had arrived would be all.
	l := &look{
		client: w.client, begun: f.begun, target: q.acked + q.held, acked: q.acked, complete: w.complete() && q.known, since: now, moved: now, dup: -1, tell: tell,
	}
	if q.open && q.held > 0 {
		all.settle(w.client, q.acked)
		all.follow(l)
		return
	}
	all.settle(w.client, q.acked, l)
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
	acked         int64 // when it was looked at last
	complete      bool
	since         time.Time
	moved         time.Time // when more was acknowledged
	dup           int       // of the socket, once net/http has closed its own; -1 before
	tell          func(Arrival)
}

// saw notes what is acknowledged by now.
func (l *look) saw(acked int64, now time.Time) {
	if acked > l.acked {
		l.acked, l.moved = acked, now
	}
}

// arrivals follows the answers of all connections.
type arrivals struct {
	every time.Duration // how often it looks

	mu      sync.Mutex // guards what follows
	looks   []*look    // the one that is followed longest first
	over    []func()   // tells of those that are over, in their order, and were not told yet
	running bool       // a goroutine looks at them: it ends with the last one

	telling sync.Mutex // held while one is told, so that they keep their order: nobody who holds mu waits for it
}

// tell tells of those that are over. Whoever is told may take its time: nobody waits for that to look at another answer.
func (a *arrivals) tell() {
	a.telling.Lock()
	defer a.telling.Unlock()
	for {
		a.mu.Lock()
		if len(a.over) == 0 {
			a.mu.Unlock()
			return
		}
		next := a.over[0]
		a.over = a.over[1:]
		a.mu.Unlock()
		next()
	}
}

func (a *arrivals) follow(l *look) {
	if a.add(l) {
		a.tell()
	}
}

// add reports that it gave one up.
func (a *arrivals) add(l *look) (gaveUp bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if gaveUp = len(a.looks) >= mostFollowed; gaveUp {
		a.finish(a.looks[0])
		a.looks = a.looks[1:]
	}
	a.looks = append(a.looks, l)
	if !a.running {
		a.running = true
		go a.run()
	}
	return gaveUp
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
	a.drop(func(l *look) bool {
		q := l.queue()
		l.saw(q.acked, now)
		return !q.open || q.acked >= l.target || now.Sub(l.since) >= followedMost
	})
	a.tell()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running = len(a.looks) > 0 || len(a.over) > 0
	return a.running
}

// drop ends the looks that are over.
func (a *arrivals) drop(over func(*look) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looks = slices.DeleteFunc(a.looks, func(l *look) bool {
		gone := over(l)
		if gone {
			a.finish(l)
		}
		return gone
	})
}

// empty gives up all that is left: the gateway ends.
func (a *arrivals) empty() {
	a.drop(func(*look) bool { return true })
	a.tell()
}

// settle tells of the answers of a connection that have arrived by now, in their order, and then of those that were never
// followed: a client that fetches an image in ranges has the one before when it has this one.
func (a *arrivals) settle(c *conn, acked int64, unfollowed ...*look) {
	a.drop(func(l *look) bool { return l.client == c && acked >= l.target })
	a.mu.Lock()
	for _, l := range unfollowed {
		a.finish(l)
	}
	a.mu.Unlock()
	a.tell()
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

// cutting ends what is followed of a connection that is to be reset. Whoever cuts it holds the gate's lock: it is told with
// the next look.
func (a *arrivals) cutting(c *conn) {
	a.drop(func(l *look) bool { return l.client == c })
}

// queue is what is known of an answer's connection.
func (l *look) queue() queue {
	if l.dup >= 0 {
		return queueOf(l.dup)
	}
	return l.client.queue()
}

// finish has it told what has arrived until now, and gives the copy of the socket back. The caller holds mu.
func (a *arrivals) finish(l *look) {
	now := time.Now()
	l.saw(l.queue().acked, now)
	if l.dup >= 0 {
		unix.Close(l.dup) //nolint:errcheck // nothing is left to do about it
	}
	told := Arrival{Bytes: max(0, min(l.acked, l.target)-l.begun), Whole: l.complete && l.acked >= l.target, Ago: now.Sub(l.moved)}
	a.over = append(a.over, func() { l.tell(told) })
}

// queue is what goes to a client.
type queue struct {
	acked int64 // bytes that its TCP has acknowledged since the connection began
	held  int64 // what the kernel still holds for it
	open  bool
	known bool // the kernel was asked; else the socket is gone, with what it held
}

func (c *conn) queue() queue {
	q := queue{}
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { q = queueOf(int(fd)) })
	}
	if err != nil || !q.known {
		return queue{acked: c.arrived.Load()}
	}
	return q
}

// queueOf asks twice for what was acknowledged: an acknowledgement between the questions would be counted on both sides or
// on none.
func queueOf(fd int) queue {
	for {
		before, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return queue{}
		}
		n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		if err != nil {
			n = 0 // it is closed, and nothing is held
		}
		after, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return queue{}
		}
		if before.Bytes_acked == after.Bytes_acked {
			return queue{acked: int64(after.Bytes_acked), held: int64(n), open: after.State != unix.BPF_TCP_CLOSE, known: true}
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
