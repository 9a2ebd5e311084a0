package endpoint

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

// serving starts Serve on a port of its own and ends it with the test.
func serving(t *testing.T, most int, register func(*Routes)) (address string, stop func() time.Duration) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceValue(serve(t, l, most, register))
	t.Cleanup(func() { stop() })
	return l.Addr().String(), stop
}

// serve starts Serve; stop ends it and returns how long that took.
func serve(t *testing.T, l net.Listener, most int, register func(*Routes)) (stop func() time.Duration) {
	t.Helper()
	rs := NewRoutes(slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
	register(rs)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		ended <- Serve(ctx, slog.New(slog.DiscardHandler), Listener{Listener: l, Handler: rs, MaxConnections: most})
	}()
	return func() time.Duration {
		started := time.Now()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		return time.Since(started)
	}
}

// pipes is a listener without a network, so that a test of times can run in a bubble of synctest: there a second is exactly
// a second, however busy the machine is.
type pipes struct {
	waiting chan net.Conn // as in a kernel's queue
	closed  chan struct{}
	once    sync.Once
}

func newPipes() *pipes { return &pipes{waiting: make(chan net.Conn, 16), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.waiting:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

func (p *pipes) connect(t *testing.T) net.Conn {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close() })
	p.waiting <- there
	return here
}

func connect(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func ask(c net.Conn, path string, patience time.Duration) (string, error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
		return "", err
	}
	answer := make([]byte, 4096)
	n, err := c.Read(answer)
	return string(answer[:n]), err
}

func hello(rs *Routes) {
	rs.Handle("GET", "/hello", "", func(w http.ResponseWriter, _ *http.Request) error { return WriteJSON(w, 200, "hello") })
}

func TestIdleConnectionsDoNotKeepTheServerUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		stop := serve(t, p, 0, hello)
		for range 3 {
			if answer, err := ask(p.connect(t), "/hello", time.Second); err != nil || !strings.Contains(answer, "hello") {
				t.Fatalf("%q %v", answer, err)
			}
		}
		if took := stop(); took >= lastCall {
			t.Errorf("the end took %v", took)
		}
	})
}

func TestAConnectionThatNeverAskedEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		stop := serve(t, p, 0, hello)
		silent := p.connect(t)
		if answer, err := ask(p.connect(t), "/hello", time.Second); err != nil {
			t.Fatalf("%q %v", answer, err)
		}
		if took := stop(); took > gracePeriod {
			t.Errorf("the end took %v", took)
		}
		if _, err := silent.Read(make([]byte, 1)); err == nil {
			t.Error("the silent connection is still open")
		}
	})
}

func TestARequestInFlightIsFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		stop := serve(t, p, 0, func(rs *Routes) {
			rs.Handle("GET", "/slow", "", func(w http.ResponseWriter, r *http.Request) error {
				time.Sleep(3 * lastCall)
				return WriteJSON(w, 200, map[string]any{"canceled": r.Context().Err() != nil})
			})
		})
		answered := make(chan string)
		c := p.connect(t)
		go func() {
			answer, _ := ask(c, "/slow", gracePeriod)
			answered <- answer
		}()
		synctest.Wait() // until the request is inside
		var end sync.WaitGroup
		end.Go(func() { stop() })
		if answer := <-answered; !strings.Contains(answer, `{"canceled":false}`) {
			t.Errorf("answer %q", answer)
		}
		end.Wait()
	})
}

func TestARequestThatIsOnItsWayWhenTheEndComesIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		stop := serve(t, p, 0, uploads)
		c := p.connect(t)
		fmt.Fprint(c, "POST /take HTTP/1.1\r\nHost: x\r\n") // the rest of its headers comes after the end was called
		var end sync.WaitGroup
		end.Go(func() { stop() })
		time.Sleep(lastCall / 2)
		fmt.Fprint(c, "Content-Length: 4\r\n\r\n")
		fmt.Fprint(c, "dump")
		if answer, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
			t.Errorf("%s %v", answer, err)
		}
		end.Wait()
	})
}

func TestBeyondTheCapTheLongestIdleConnectionGoes(t *testing.T) {
	rs := NewRoutes(slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
	hello(rs)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := newDoor(Listener{Listener: l, MaxConnections: 3}, slog.New(slog.DiscardHandler))
	srv := &http.Server{Handler: rs, ConnState: d.changed}
	var serving sync.WaitGroup
	serving.Go(d.run)
	serving.Go(func() { srv.Serve(d) }) //nolint:errcheck // it ends with the listener
	defer serving.Wait()
	defer srv.Close() //nolint:errcheck // it only closes connections
	var idle []net.Conn
	for n := range 3 {
		c := connect(t, l.Addr().String())
		if _, err := ask(c, "/hello", long); err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
		until(t, "the connection is idle", func() bool {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.idle.Len() == n+1
		})
	}
	if answer, err := ask(connect(t, l.Addr().String()), "/hello", long); err != nil || !strings.Contains(answer, "hello") {
		t.Fatalf("the fourth: %q %v", answer, err)
	}
	if answer, err := ask(idle[0], "/hello", long); err == nil {
		t.Errorf("the first is still served: %q", answer)
	}
	if _, err := ask(idle[2], "/hello", long); err != nil {
		t.Errorf("the third was closed: %v", err)
	}
}

func TestBeyondTheCapABusyServerLetsTheNextWait(t *testing.T) {
	inside, proceed := make(chan struct{}), make(chan struct{})
	address, stop := serving(t, 2, func(rs *Routes) {
		hello(rs)
		rs.Handle("GET", "/busy", "", func(w http.ResponseWriter, _ *http.Request) error {
			inside <- struct{}{}
			<-proceed
			return WriteJSON(w, 200, 1)
		})
	})
	for range 2 {
		fmt.Fprint(connect(t, address), "GET /busy HTTP/1.1\r\nHost: x\r\n\r\n")
		<-inside
	}
	third := connect(t, address)
	if _, err := fmt.Fprint(third, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answered := func(within time.Duration) (int, error) {
		if err := third.SetReadDeadline(time.Now().Add(within)); err != nil {
			t.Fatal(err)
		}
		return third.Read(make([]byte, 100))
	}
	if _, err := answered(100 * time.Millisecond); err == nil {
		t.Fatal("the third was served beyond the cap")
	}
	close(proceed)
	if n, err := answered(long); n == 0 {
		t.Errorf("the third was never served: %v", err)
	}
	stop()
}

func TestAServerAtItsCapEnds(t *testing.T) {
	address, stop := serving(t, 1, hello)
	if _, err := ask(connect(t, address), "/hello", long); err != nil {
		t.Fatal(err)
	}
	stop()
}

func TestAClientThatClosesAfterTheFirstBlockIsNotSentTheRest(t *testing.T) {
	address, _ := serving(t, 10, shelf(t, make([]byte, 4<<20)))
	dialer := net.Dialer{Control: receiveWindow(5744)} // as lwIP has it
	c, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /file HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := io.ReadFull(c, make([]byte, 1400)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // while the client compares versions; a busy machine sends less in it, never more
	if got := received(t, c.(*net.TCPConn)); got > 32<<10 {
		t.Errorf("%d bytes on the wire for one block", got)
	} else {
		t.Logf("%d bytes on the wire for one block", got)
	}
}

func TestOneListenersFailureEndsAll(t *testing.T) {
	good, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broken.Close()
	err = Serve(t.Context(), slog.New(slog.DiscardHandler), Listener{Listener: good, Handler: http.NotFoundHandler()},
		Listener{Listener: broken, Handler: http.NotFoundHandler()})
	if err == nil || !strings.Contains(err.Error(), broken.Addr().String()) {
		t.Errorf("Serve: %v", err)
	}
	if _, err := net.Dial("tcp", good.Addr().String()); err == nil {
		t.Error("the good listener still listens")
	}
}

func receiveWindow(bytes int) func(string, string, syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) {
			// the kernel doubles what is asked, and gives half of it to its own books
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, bytes)
		}); e != nil {
			return e
		}
		return err
	}
}

func received(t *testing.T, c *net.TCPConn) uint64 {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	if e := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	return info.Bytes_received
}
