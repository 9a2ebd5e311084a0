package endpoint

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Bounds of what strangers, clients that have shown no good credentials yet, hold open on all listeners together. A device
// is one for the second that its handshake and its token take; 8,000 behind one address come one after the other.
const (
	mostStrangers   = 256
	mostOfOne       = 64 // of one address
	mostWaiting     = 4096
	evictAfter      = 5 * time.Second // a handshake of a device on bad Wi-Fi takes less
	crowdedFor      = 10 * time.Minute
	prefixOfIPv6    = 64 // a host has a whole /64 to choose addresses from
	mostOfOneMapped = 32 // bits of an IPv4 address: each counts alone
)

// Gate bounds the strangers of all listeners that share it. Where there are too many, the slowest of the fullest address
// goes; of one address no more than its share is let in, and the others wait their turn.
type Gate struct{ gate }

// NewGate makes one.
func NewGate() *Gate {
	return &Gate{gate{
		inside: map[netip.Prefix]map[*conn]struct{}{}, waiting: map[netip.Prefix][]*conn{}, now: time.Now,
		mostStrangers: mostStrangers, mostOfOne: mostOfOne, mostWaiting: mostWaiting, patience: strangerPatience, writePatience: writePatience,
		arrivals: arrivals{every: followedEvery},
	}}
}

type gate struct {
	mostStrangers, mostOfOne, mostWaiting int
	patience                              time.Duration // with a stranger, whatever is waited for
	writePatience                         time.Duration // with anybody who takes nothing of an answer
	now                                   func() time.Time
	arrivals                              arrivals

	mu       sync.Mutex // guards what follows
	inside   map[netip.Prefix]map[*conn]struct{}
	count    int                      // of all inside
	waiting  map[netip.Prefix][]*conn // accepted, and not looked at yet; the first came first
	turns    []netip.Prefix           // the addresses that have somebody waiting, the next one first
	queued   int                      // of all waiting
	closed   int64                    // by the gate, since the start
	crowded  time.Time                // when it last closed one
	crowding string                   // the address that it closed the first one of, of those that came within minutes
}

// Crowd is what the gate sees.
type Crowd struct {
	Strangers, Waiting int   // connections
	Closed             int64 // by the gate, since the start
}

// Crowd counts.
func (g *gate) Crowd() Crowd {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Crowd{g.count, g.queued, g.closed}
}

// Trouble says that the gate had to close connections within the last minutes, "" when not.
func (g *gate) Trouble() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed == 0 || g.now().Sub(g.crowded) > crowdedFor {
		return ""
	}
	return fmt.Sprintf("too many connections without good credentials, first from %s: the slowest are closed", g.crowding)
}

// whose is the address that a connection is counted under.
func whose(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap()
	bits := prefixOfIPv6
	if ip.Is4() {
		bits = mostOfOneMapped
	}
	prefix, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

// arrive lets a connection in, at once or in its turn, or closes it.
func (g *gate) arrive(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	fullest := g.fullest()
	switch own := len(g.inside[c.from]); {
	case own < g.mostOfOne && g.count < g.mostStrangers && len(g.waiting[c.from]) == 0:
		g.enter(c)
	case own < g.mostOfOne && own+1 < len(g.inside[fullest]): // it is not its fault that there is no room
		g.evict(fullest, 0)
		g.enter(c)
	case g.evict(c.from, evictAfter):
		g.wait(c)
		g.next()
	default:
		g.wait(c)
	}
}

func (g *gate) enter(c *conn) {
	all := g.inside[c.from]
	if all == nil {
		all = map[*conn]struct{}{}
		g.inside[c.from] = all
	}
	all[c] = struct{}{}
	g.count++
	c.since = g.now()
	c.door.admit(c)
}

// wait queues a connection. Where too many wait, the last of the address that has the most waiting is closed.
func (g *gate) wait(c *conn) {
	queue, turn := g.waiting[c.from]
	if !turn {
		g.turns = append(g.turns, c.from)
	}
	g.waiting[c.from] = append(queue, c)
	g.queued++
	if g.queued <= g.mostWaiting {
		return
	}
	longest := c.from
	for from, queue := range g.waiting {
		if len(queue) > len(g.waiting[longest]) {
			longest = from
		}
	}
	queue = g.waiting[longest]
	last := queue[len(queue)-1]
	g.waiting[longest] = queue[:len(queue)-1]
	g.queued--
	g.note(longest)
	last.cut()
}

// next lets in who waits and has room, an address in turn.
func (g *gate) next() {
	for range len(g.turns) {
		if g.count >= g.mostStrangers {
			return
		}
		from := g.turns[0]
		g.turns = g.turns[1:]
		queue := g.waiting[from]
		if len(queue) > 0 && len(g.inside[from]) < g.mostOfOne {
			g.enter(queue[0])
			queue = queue[1:]
			g.queued--
		}
		if len(queue) == 0 {
			delete(g.waiting, from)
			continue
		}
		g.waiting[from] = queue
		g.turns = append(g.turns, from)
	}
}

// leave takes a connection off the strangers': it was closed, or has shown good credentials.
func (g *gate) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, inside := g.inside[c.from][c]; inside {
		g.remove(c)
		g.next()
	}
}

func (g *gate) remove(c *conn) {
	delete(g.inside[c.from], c)
	if len(g.inside[c.from]) == 0 {
		delete(g.inside, c.from)
	}
	g.count--
}

func (g *gate) fullest() (from netip.Prefix) {
	for one, all := range g.inside {
		if len(all) > len(g.inside[from]) {
			from = one
		}
	}
	return from
}

// evict closes the slowest connection of an address that was let in before least ago. It reports whether there was one.
func (g *gate) evict(from netip.Prefix, least time.Duration) bool {
	var slowest *conn
	now := g.now()
	for c := range g.inside[from] {
		if now.Sub(c.since) >= least && (slowest == nil || c.slowness(now) > slowest.slowness(now)) {
			slowest = c
		}
	}
	if slowest == nil {
		return false
	}
	g.remove(slowest)
	g.note(from)
	slowest.cut()
	return true
}

// note keeps the first address of a crowd: while it lasts it is the same trouble, in the same words.
func (g *gate) note(from netip.Prefix) {
	now := g.now()
	if g.closed == 0 || now.Sub(g.crowded) > crowdedFor {
		g.crowding = from.String()
		if from.IsSingleIP() {
			g.crowding = from.Addr().String()
		}
	}
	g.closed++
	g.crowded = now
}

// empty closes whoever waits.
func (g *gate) empty(d *door) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for from, queue := range g.waiting {
		kept := queue[:0]
		for _, c := range queue {
			if c.door != d {
				kept = append(kept, c)
				continue
			}
			g.queued--
			c.cut()
		}
		g.waiting[from] = kept
	}
}
