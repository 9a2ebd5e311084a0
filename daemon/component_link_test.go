package main

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// mishap is what befalls one connection.
type mishap struct {
	after int  // bytes, of both ways together
	kills bool // the gateway, and not only the connection
}

// cutLink is the way between a device and its gateway. While it is bad, half of the connections are cut somewhere, and some of those
// because the gateway is killed.
type cutLink struct {
	net.Listener
	to   string
	kill func() // is called in the middle of a connection, and returns when the gateway is dead

	mu   sync.Mutex // guards what follows
	luck *rand.Rand
	bad  bool
	cuts int
}

func newCutLink(t testing.TB, to string, seed uint64, kill func()) *cutLink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	link := &cutLink{Listener: l, to: to, kill: kill, luck: rand.New(rand.NewPCG(seed, 1))}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { link.carry(c.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return link
}

func (l *cutLink) setBad(bad bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bad = bad
}

// next decides about a connection: nil for nothing. Small answers and large ones are cut alike.
func (l *cutLink) next() *mishap {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.bad || l.luck.IntN(2) == 0 {
		return nil
	}
	most := 1200
	if l.luck.IntN(2) == 0 {
		most = 75_000
	}
	return &mishap{after: l.luck.IntN(most), kills: l.luck.IntN(8) == 0}
}

// carry passes on what both sides send until one ends, or the mishap comes.
func (l *cutLink) carry(device *net.TCPConn) {
	defer func() { _ = device.Close() }()
	f := l.next()
	c, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	gateway := c.(*net.TCPConn)
	defer func() { _ = gateway.Close() }()
	var mu sync.Mutex // guards left and struck
	left, struck := 0, false
	if f != nil {
		left = f.after
	}
	// allowed says how many of n bytes still go through.
	allowed := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		if f == nil {
			return n
		}
		n = min(n, left)
		left -= n
		return n
	}
	strike := func() {
		mu.Lock()
		first := !struck
		struck = true
		mu.Unlock()
		if !first {
			return
		}
		l.mu.Lock()
		l.cuts++
		l.mu.Unlock()
		if f.kills {
			l.kill()
		}
		for _, c := range []*net.TCPConn{device, gateway} {
			_ = c.SetLinger(0)
			_ = c.Close()
		}
	}
	pass := func(to, from *net.TCPConn) {
		piece := make([]byte, 4096)
		for {
			n, err := from.Read(piece)
			through := allowed(n)
			if _, writeErr := to.Write(piece[:through]); writeErr != nil {
				err = writeErr
			}
			if through < n {
				strike()
				return
			}
			if err != nil {
				if err == io.EOF { //nolint:errorlint // Read returns it as it is
					_ = to.CloseWrite()
				} else {
					_ = to.SetLinger(0)
					_ = to.Close()
				}
				return
			}
		}
	}
	var both sync.WaitGroup
	both.Go(func() { pass(gateway, device) })
	both.Go(func() { pass(device, gateway) })
	both.Wait()
}
