package endpoint

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const imageSize = 1 << 20

// followed serves an image and says what arrived of each answer.
func followed(t *testing.T, image []byte) (register func(*Routes), arrivals chan Arrival) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, image, 0o600); err != nil {
		t.Fatal(err)
	}
	arrivals = make(chan Arrival, 8)
	return func(rs *Routes) {
		rs.Handle("GET", "/image", "", func(w http.ResponseWriter, r *http.Request) error {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			answer := Follow(w)
			w.Header().Set("Content-Type", "application/octet-stream")
			err = ServeContent(w, r, time.Time{}, int64(len(image)), f)
			answer.End(func(a Arrival) { arrivals <- a })
			return err
		})
	}, arrivals
}

// lwip is a client with the receive window of a device.
func lwip(t *testing.T, address string, secured bool) (c net.Conn, plain *net.TCPConn) {
	t.Helper()
	dialer := net.Dialer{Control: receiveWindow(5744)}
	c, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	plain = c.(*net.TCPConn)
	if secured {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	return c, plain
}

func TestWhatArrivedOfAnImageIsToldByWhatTheClientsTCPAcknowledged(t *testing.T) {
	identity := identityOf(t)
	image := bytes.Repeat([]byte("firmware"), imageSize/8)
	const block, handful = 1024, 64 << 10
	get := func(c net.Conn, version, header string) {
		fmt.Fprintf(c, "GET /image HTTP/%s\r\nHost: x\r\n%s\r\n", version, header)
	}
	read := func(t *testing.T, c net.Conn, n int) {
		if _, err := io.ReadFull(c, make([]byte, n)); err != nil {
			t.Error(err)
		}
	}
	for name, test := range map[string]struct {
		play        func(t *testing.T, c net.Conn, plain *net.TCPConn)
		whole       bool
		least, most int64
	}{
		"it reads all and stays connected": {func(t *testing.T, c net.Conn, _ *net.TCPConn) {
			get(c, "1.1", "")
			read(t, c, imageSize)
			time.Sleep(time.Second) // it works on what it has; nobody waits for it
		}, true, imageSize, imageSize + 16<<10},
		"it reads all, slowly in the end, and closes": {func(t *testing.T, c net.Conn, _ *net.TCPConn) {
			get(c, "1.1", "Connection: close\r\n")
			read(t, c, imageSize-16<<10)
			time.Sleep(300 * time.Millisecond)
			if _, err := io.Copy(io.Discard, c); err != nil {
				t.Error(err)
			}
		}, true, imageSize, imageSize + 16<<10},
		"HTTP/1.0, and it reads to the end of the stream": {func(t *testing.T, c net.Conn, _ *net.TCPConn) {
			get(c, "1.0", "")
			read(t, c, imageSize-8<<10)
			time.Sleep(300 * time.Millisecond) // net/http has closed the connection by now
			if _, err := io.Copy(io.Discard, c); err != nil {
				t.Error(err)
			}
		}, true, imageSize, imageSize + 16<<10},
		"a range": {func(t *testing.T, c net.Conn, _ *net.TCPConn) {
			get(c, "1.1", "Range: bytes=4096-8191\r\n")
			read(t, c, 4096)
			time.Sleep(300 * time.Millisecond)
		}, true, 4096, 8 << 10},
		"it closes after a block": {func(t *testing.T, c net.Conn, plain *net.TCPConn) {
			get(c, "1.1", "")
			read(t, c, block)
			_ = plain.Close()
		}, false, 0, 16 << 10},
		"it closes after some": {func(t *testing.T, c net.Conn, plain *net.TCPConn) {
			get(c, "1.1", "")
			read(t, c, handful)
			_ = plain.Close()
		}, false, handful - 16<<10, handful + 32<<10},
		"it resets after all but the last bytes": {func(t *testing.T, c net.Conn, plain *net.TCPConn) {
			get(c, "1.1", "")
			read(t, c, imageSize-16<<10)
			_ = plain.SetLinger(0)
			_ = plain.Close()
		}, false, imageSize - 32<<10, imageSize},
		"it is gone, and says nothing": {func(t *testing.T, c net.Conn, plain *net.TCPConn) {
			get(c, "1.1", "")
			read(t, c, imageSize-16<<10)
			time.Sleep(time.Second) // the server ends meanwhile
		}, false, imageSize - 32<<10, imageSize},
	} {
		for _, secured := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %v", name, secured), func(t *testing.T) {
				t.Parallel()
				register, arrivals := followed(t, image)
				address := served(t, NewGate(), secured, identity, register)
				c, plain := lwip(t, address, secured)
				test.play(t, c, plain)
				if name == "it is gone, and says nothing" {
					select {
					case a := <-arrivals:
						t.Errorf("told %+v while it may still come", a)
					default:
					}
					_ = plain.SetLinger(0)
					_ = plain.Close()
				}
				select {
				case a := <-arrivals:
					t.Logf("%+v", a)
					if a.Whole != test.whole || a.Bytes < test.least || a.Bytes > test.most {
						t.Errorf("%+v, want whole %v and %d to %d bytes", a, test.whole, test.least, test.most)
					}
				case <-time.After(long):
					t.Error("nothing is told")
				}
				if len(arrivals) > 0 {
					t.Errorf("told twice: %+v", <-arrivals)
				}
			})
		}
	}
}

func TestWhatIsOnItsWayWhenTheServerEndsIsToldAsItIs(t *testing.T) {
	register, arrivals := followed(t, make([]byte, 64<<10))
	address, stop := serving(t, 10, register)
	c, _ := lwip(t, address, false)
	fmt.Fprint(c, "GET /image HTTP/1.0\r\n\r\n")
	if _, err := io.ReadFull(c, make([]byte, 50<<10)); err != nil {
		t.Fatal(err)
	}
	stop()
	if a := <-arrivals; a.Whole || a.Bytes < 30<<10 {
		t.Errorf("%+v", a)
	}
}

// Whoever reads to the end of the stream hears of it from whoever closes the connection, and not from the next look.
func TestTheEndOfAStreamWaitsForNoLook(t *testing.T) {
	for _, secured := range []bool{false, true} {
		register, arrivals := followed(t, make([]byte, imageSize))
		g := NewGate()
		g.arrivals.every = time.Hour
		c, _ := lwip(t, served(t, g, secured, identityOf(t), register), secured)
		if err := c.SetReadDeadline(time.Now().Add(long)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, "GET /image HTTP/1.0\r\n\r\n")
		if _, err := io.ReadFull(c, make([]byte, imageSize-8<<10)); err != nil {
			t.Fatal(err)
		}
		waitFollowed(t, g, 1) // net/http is through with it, and the rest is in the kernel
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("TLS %v: %v", secured, err)
		}
		for len(arrivals) == 0 { // until the last acknowledgement has come
			g.arrivals.look(time.Now())
		}
		if a := <-arrivals; !a.Whole {
			t.Errorf("TLS %v: %+v", secured, a)
		}
	}
}

func waitFollowed(t *testing.T, g *Gate, n int) {
	t.Helper()
	for end := time.Now().Add(long); ; time.Sleep(time.Millisecond) {
		g.arrivals.mu.Lock()
		followed := len(g.arrivals.looks)
		g.arrivals.mu.Unlock()
		if followed == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d answers are followed, want %d", followed, n)
		}
	}
}

func TestOfTooManyAnswersOnTheirWayTheOldestIsGivenUp(t *testing.T) {
	g := NewGate()
	g.arrivals.every = time.Hour
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	connect(t, l.Addr().String())
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	told := make(chan int, mostFollowed+10)
	for i := range mostFollowed + 2 {
		g.arrivals.follow(&look{client: &conn{TCPConn: nc.(*net.TCPConn)}, target: 1 << 40, complete: true, since: time.Now(), dup: -1, tell: func(a Arrival) {
			if a.Whole {
				t.Errorf("answer %d is whole", i)
			}
			told <- i
		}})
	}
	if first, second := <-told, <-told; first != 0 || second != 1 || len(told) > 0 {
		t.Errorf("given up: %d, %d and %d more", first, second, len(told))
	}
	g.arrivals.empty()
	if len(told) != mostFollowed {
		t.Errorf("%d were told in the end", len(told))
	}
}

// ended plays one answer of n bytes on a connection of its own: between comes after the handler has written it and before it
// says so.
func ended(t *testing.T, n int, play func(c *net.TCPConn), between func(rw *response, c *conn)) Arrival {
	t.Helper()
	arrivals := make(chan Arrival, 1)
	register := func(rs *Routes) {
		rs.Handle("GET", "/image", "", func(w http.ResponseWriter, _ *http.Request) error {
			answer := Follow(w)
			err := Write(w, http.StatusOK, make([]byte, n))
			between(w.(*response), w.(*response).client)
			answer.End(func(a Arrival) { arrivals <- a })
			return err
		})
	}
	c, plain := lwip(t, served(t, NewGate(), false, identityOf(t), register), false)
	fmt.Fprint(c, "GET /image HTTP/1.1\r\nHost: x\r\n\r\n")
	play(plain)
	select {
	case a := <-arrivals:
		return a
	case <-time.After(long):
		t.Fatal("nothing is told")
		return Arrival{}
	}
}

func TestAnAnswerWhoseConnectionIsGoneBeforeItsEndIsNotWhole(t *testing.T) {
	reset := func(written <-chan struct{}, read int) func(c *net.TCPConn) {
		return func(c *net.TCPConn) {
			<-written
			if _, err := io.ReadFull(c, make([]byte, read)); err != nil {
				t.Error(err)
			}
			_ = c.SetLinger(0)
			_ = c.Close()
		}
	}
	for name, test := range map[string]struct {
		n, read int
		between func(rw *response, c *conn)
	}{
		"it was reset while all was in net/http's buffer": {1024, 0, func(_ *response, c *conn) {
			for c.queue().open {
				time.Sleep(time.Millisecond)
			}
		}},
		"it was reset while the rest was in the kernel": {20 << 10, 1024, func(rw *response, c *conn) {
			if err := rw.conn.Flush(); err != nil {
				t.Error(err)
			}
			for c.queue().open {
				time.Sleep(time.Millisecond)
			}
		}},
		"the gate cut it": {20 << 10, 1024, func(rw *response, c *conn) {
			if err := rw.conn.Flush(); err != nil {
				t.Error(err)
			}
			for c.queue().acked < 1024 {
				time.Sleep(time.Millisecond)
			}
			c.cut()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			written := make(chan struct{})
			play := reset(written, test.read)
			if name == "the gate cut it" {
				play = func(*net.TCPConn) { <-written }
			}
			a := ended(t, test.n, play, func(rw *response, c *conn) {
				close(written)
				test.between(rw, c)
			})
			if a.Whole || a.Bytes < int64(test.read) {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestWhoeverIsToldOfAnArrivalMayTakeItsTime(t *testing.T) {
	g := NewGate()
	a := &g.arrivals
	a.every = time.Hour
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	connect(t, l.Addr().String())
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := &conn{TCPConn: nc.(*net.TCPConn), gate: &g.gate}
	order := make(chan int, 2)
	told, goOn := make(chan struct{}), make(chan struct{})
	a.follow(&look{client: c, target: 0, dup: -1, since: time.Now(), tell: func(Arrival) {
		close(told)
		<-goOn
		order <- 1
	}})
	ended := make(chan struct{})
	go func() {
		a.look(time.Now()) // it has arrived
		close(ended)
	}()
	<-told
	done := make(chan struct{})
	go func() {
		a.follow(&look{client: c, target: 1 << 40, dup: -1, since: time.Now(), tell: func(Arrival) { order <- 2 }})
		a.closing(c)
		a.cutting(c)
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(long):
		t.Error("others wait for it")
	}
	close(goOn)
	<-ended
	a.empty()
	if first, second := <-order, <-order; first != 1 || second != 2 {
		t.Errorf("told %d, then %d", first, second)
	}
}

func TestAnArrivalSaysHowLongAgoItsLastByteWas(t *testing.T) {
	g := NewGate()
	g.arrivals.every = time.Hour
	now := time.Now()
	var told Arrival
	l := &look{client: &conn{TCPConn: new(net.TCPConn)}, acked: 100, target: 1000, complete: true, since: now.Add(-time.Hour), moved: now.Add(-time.Hour), dup: -1, tell: func(a Arrival) { told = a }}
	l.client.arrived.Store(100)
	g.arrivals.follow(l)
	g.arrivals.empty()
	if told.Ago < time.Hour || told.Whole || told.Bytes != 100 {
		t.Errorf("%+v", told)
	}
}
