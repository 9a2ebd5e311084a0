package endpoint

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestAClientThatTakesSomethingIsWaitedForAndOneThatTakesNothingIsNot(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := connect(t, l.Addr().String())
	defer client.Close()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := &conn{TCPConn: nc.(*net.TCPConn), gate: &NewGate().gate}
	for name, steps := range map[string][]int64{
		"moves each time": {progressStep, progressStep, 3 * progressStep, 7},
		"stalls":          {progressStep, progressStep - 1},
		"takes nothing":   {0},
	} {
		asked := 0
		done, err := c.take(func(int64) (int64, error) {
			n := steps[asked]
			asked++
			if asked == len(steps) && n == 7 {
				return n, nil // the rest
			}
			return n, os.ErrDeadlineExceeded
		})
		want, sum := os.ErrDeadlineExceeded, int64(0)
		if name == "moves each time" {
			want = nil
		}
		for _, n := range steps {
			sum += n
		}
		if !errors.Is(err, want) || done != sum || asked != len(steps) {
			t.Errorf("%s: %d bytes in %d steps, %v", name, done, asked, err)
		}
	}
}

// A client with a small window that takes its time between blocks gets the whole of a file, by TLS too, where a write that
// has once timed out can never go on.
func TestASlowClientGetsTheWholeFile(t *testing.T) {
	const (
		size     = 3 << 20
		patience = 5 * time.Second // far above what a busy machine holds the client up
		blocks   = 20
	)
	identity := identityOf(t)
	for _, secured := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secured), func(t *testing.T) {
			t.Parallel() // they wait
			g := NewGate()
			g.patience, g.writePatience = patience, patience
			address := served(t, g, secured, identity, shelf(t, make([]byte, size)))
			dialer := net.Dialer{Control: receiveWindow(16 << 10)}
			c, err := dialer.DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if secured {
				c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
			}
			if _, err := io.WriteString(c, "GET /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			// Slower than the gateway waits for all of it, faster than it waits for a step.
			for range blocks {
				if _, err := io.ReadFull(c, make([]byte, 16<<10)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(patience * 6 / 5 / blocks)
			}
			if rest, err := io.Copy(io.Discard, c); err != nil || rest < size-blocks*16<<10 {
				t.Errorf("the last %d bytes: %v", rest, err)
			}
		})
	}
}

func TestWhatNetHTTPRefusesByItselfIsJSONWithALengthToo(t *testing.T) {
	identity := identityOf(t)
	for _, secured := range []bool{false, true} {
		address := served(t, NewGate(), secured, identity, hello)
		for request, want := range map[string]int{
			"GET /hello HTTP/1.1\r\n\r\n":                                         400, // no Host
			"nonsense\r\n\r\n":                                                    400,
			"GET /hello HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n":                400,
			"GET /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: brotli\r\n\r\n": 501,
			"GET /hello HTTP/3.7\r\nHost: x\r\n\r\n":                              505,
			"GET /hello HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10): 431,
		} {
			c := connect(t, address)
			if secured {
				c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
			}
			if err := c.SetDeadline(time.Now().Add(long)); err != nil {
				t.Fatal(err)
			}
			go io.WriteString(c, request) //nolint:errcheck // what is refused may not be read to its end
			checkRefusal(t, c, want)
		}
	}
	address := served(t, NewGate(), true, identity, hello)
	c := connect(t, address)
	if _, err := io.WriteString(c, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	checkRefusal(t, c, 400) // plain HTTP where TLS is spoken
}

func checkRefusal(t *testing.T, c net.Conn, want int) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Errorf("%d: %v", want, err)
		return
	}
	defer res.Body.Close()
	var body struct {
		Error, Code   string
		Details       map[string]any
		CorrelationID string
	}
	err = json.NewDecoder(res.Body).Decode(&body)
	if res.StatusCode != want || res.ContentLength <= 0 || err != nil || body.Code == "" || body.Error == "" || body.Details == nil || body.CorrelationID == "" {
		t.Errorf("%d, length %d, %+v, %v; want %d", res.StatusCode, res.ContentLength, body, err, want)
	}
}

func TestAnAnswerThatOnlyLooksLikeARefusalIsLeftAlone(t *testing.T) {
	for _, p := range []string{
		"", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK" + string(refusalHeader) + "x",
		"HTTP/1.1 200 OK\r\nDate: x" + string(refusalHeader), "firmware HTTP/1.1 400 Bad Request" + string(refusalHeader), "HTTP/1.1 x" + string(refusalHeader),
	} {
		if own := inOurWords([]byte(p)); own != nil {
			t.Errorf("%q became %q", p, own)
		}
	}
}

func TestARequestOverTLSKnowsIt(t *testing.T) {
	address := served(t, NewGate(), true, identityOf(t), func(rs *Routes) {
		rs.Handle("GET", "/tls", "", func(w http.ResponseWriter, r *http.Request) error { return WriteJSON(w, 200, r.TLS != nil) })
	})
	c := tls.Client(connect(t, address), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if answer, err := ask(c, "/tls", long); err != nil || !strings.HasSuffix(strings.TrimSpace(answer), "true") {
		t.Errorf("%q %v", answer, err)
	}
	if p := c.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
		t.Errorf("negotiated %q", p)
	}
}

// served is a server for one test; secured speaks TLS.
func served(t *testing.T, g *Gate, secured bool, identity tls.Certificate, register func(*Routes)) (address string) {
	t.Helper()
	rs := NewRoutes(slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
	register(rs)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	way := Listener{Listener: l, Handler: rs, MaxConnections: 100, Gate: g}
	if secured {
		way.TLS = &tls.Config{Certificates: []tls.Certificate{identity}}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- Serve(ctx, slog.New(slog.DiscardHandler), way) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

func identityOf(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
