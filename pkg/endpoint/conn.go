package endpoint

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
)

// A client has to take progressStep bytes in each patience: a device that erases flash between blocks does, on whatever
// Wi-Fi, and one that is gone does not. Who has shown no good credentials is not waited for as long.
const (
	progressStep     = 4 << 10
	writePatience    = 2 * time.Minute
	strangerPatience = 10 * time.Second // for any one wait: a handshake, headers, a step of a body, of an answer, the next request
)

// conn is a client's connection. It embeds *net.TCPConn whole: wrapped in any other way it would hide ReadFrom, and with
// it sendfile.
type conn struct {
	*net.TCPConn
	gate  *gate
	door  *door
	from  netip.Prefix // whose connections are counted together
	since time.Time    // when it was let in
	moved atomic.Int64 // bytes, both ways
	known atomic.Bool  // it has shown good credentials

	followed atomic.Bool  // an answer on it is looked after
	arrived  atomic.Int64 // bytes that its TCP had acknowledged when it was closed, where it was followed
}

// patience is how long the client is waited for, if longest is what a known one gets.
func (c *conn) patience(longest time.Duration) time.Duration {
	if c.known.Load() {
		return longest
	}
	return min(longest, c.gate.patience)
}

// SetReadDeadline is called by net/http and by bodies, which do not know whom they wait for.
func (c *conn) SetReadDeadline(t time.Time) error {
	if latest := time.Now().Add(c.gate.patience); !c.known.Load() && t.After(latest) {
		t = latest
	}
	return c.TCPConn.SetReadDeadline(t)
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	c.moved.Add(int64(n))
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	if own := inOurWords(p); own != nil {
		_, err := c.take(func(done int64) (int64, error) {
			n, err := c.TCPConn.Write(own[done:])
			return int64(n), err
		})
		return len(p), err
	}
	n, err := c.take(func(done int64) (int64, error) {
		n, err := c.TCPConn.Write(p[done:])
		return int64(n), err
	})
	return int(n), err
}

// ReadFrom sends a file by sendfile.
func (c *conn) ReadFrom(src io.Reader) (int64, error) {
	return c.take(func(int64) (int64, error) { return c.TCPConn.ReadFrom(src) })
}

// take calls write, which goes on after done bytes, until the client has taken everything or nothing to speak of for a
// whole patience.
func (c *conn) take(write func(done int64) (int64, error)) (done int64, err error) {
	for {
		if err := c.SetWriteDeadline(time.Now().Add(c.patience(c.gate.writePatience))); err != nil {
			return done, err
		}
		n, err := write(done)
		done += n
		c.moved.Add(n)
		if n < progressStep || !errors.Is(err, os.ErrDeadlineExceeded) {
			return done, err
		}
	}
}

// slowness is what the gate compares: the time that the client has taken for each byte.
func (c *conn) slowness(now time.Time) float64 {
	return now.Sub(c.since).Seconds() / float64(1+c.moved.Load())
}

// Close is called by net/http: for HTTP/1.0 right after the handler, when what is queued for the client still goes out, and
// after a failed write in the middle of it.
func (c *conn) Close() error {
	if c.followed.Load() {
		acked := c.queue().acked
		c.arrived.Store(acked)
		c.gate.arrivals.settle(c, acked)
		c.gate.arrivals.closing(c)
	}
	return c.TCPConn.Close()
}

// cut ends a connection at once: what is still queued for the client is thrown away.
func (c *conn) cut() {
	if c.followed.Load() {
		c.arrived.Store(c.queue().acked)
	}
	c.gate.arrivals.cutting(c)
	c.SetLinger(0)    //nolint:errcheck // then it is closed in the usual way
	c.TCPConn.Close() //nolint:errcheck // the client's matter
}

type connKey struct{}

// withConn lets a request find its connection.
func withConn(ctx context.Context, nc net.Conn) context.Context {
	if c := tcpOf(nc); c != nil {
		return context.WithValue(ctx, connKey{}, c)
	}
	return ctx
}

// tcpOf is the conn in what Accept has returned; nil of a Unix socket's.
func tcpOf(nc net.Conn) *conn {
	switch nc := nc.(type) {
	case *conn:
		return nc
	case *tlsConn:
		return nc.tcp
	}
	return nil
}

// ShowedCredentials notes that the client of this answer has shown good ones: its connection no longer counts among the
// strangers'.
func ShowedCredentials(w http.ResponseWriter) {
	rw, ok := w.(*response)
	if !ok || rw.client == nil || rw.client.known.Swap(true) {
		return
	}
	rw.client.gate.leave(rw.client)
}

// Cut ends the connection of an answer that is being written, at once.
func Cut(w http.ResponseWriter) {
	if rw, ok := w.(*response); ok && rw.client != nil {
		rw.client.cut()
	}
}
