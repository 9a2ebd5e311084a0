package endpoint

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// capped bounds a listener's open connections without wrapping them: a wrapped net.Conn is no *net.TCPConn any more, and
// files would go through user space. It counts in Accept and is told of ends through http.Server's ConnState.
type capped struct {
	net.Listener
	most int // 0: no bound

	mu     sync.Mutex // guards what follows
	room   *sync.Cond
	open   int        // connections, and the place of the Accept that waits for one
	idle   *list.List // of net.Conn, the longest idle one first
	places map[net.Conn]*list.Element
	closed bool
}

func newCapped(l net.Listener, most int) *capped {
	c := &capped{Listener: l, most: most, idle: list.New(), places: map[net.Conn]*list.Element{}}
	c.room = sync.NewCond(&c.mu)
	return c
}

// Accept waits for room, then for a connection.
func (c *capped) Accept() (net.Conn, error) {
	if err := c.take(); err != nil {
		return nil, err
	}
	conn, err := c.Listener.Accept()
	if err != nil {
		c.give()
	}
	return conn, err
}

func (c *capped) take() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.most > 0 && c.open >= c.most && !c.closed {
		c.evict()
		c.room.Wait()
	}
	if c.closed {
		return net.ErrClosed
	}
	c.open++
	return nil
}

func (c *capped) give() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	c.room.Signal()
}

// evict closes the connection that has been idle longest. Its server notices and reports its end.
func (c *capped) evict() {
	if oldest := c.idle.Front(); oldest != nil {
		conn := c.idle.Remove(oldest).(net.Conn) // the list holds nothing else
		delete(c.places, conn)
		go conn.Close() // that of TLS may wait for its mutex
	}
}

// changed is http.Server's ConnState.
func (c *capped) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if place, ok := c.places[conn]; ok {
		c.idle.Remove(place)
		delete(c.places, conn)
	}
	switch state {
	case http.StateIdle:
		c.places[conn] = c.idle.PushBack(conn)
		c.room.Signal() // whoever waits may evict it
	case http.StateClosed, http.StateHijacked:
		c.open--
		c.room.Signal()
	}
}

// occupied reports that a connection is open.
func (c *capped) occupied() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open > 0
}

// Close also ends an Accept that waits for room.
func (c *capped) Close() error {
	c.mu.Lock()
	c.closed = true
	c.room.Broadcast()
	c.mu.Unlock()
	return c.Listener.Close()
}
