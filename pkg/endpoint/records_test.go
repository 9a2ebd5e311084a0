package endpoint

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// recorded notes how long the TLS records are that come in on a connection.
type recorded struct {
	net.Conn
	pending []byte // of a header
	left    int    // of the record
	lengths []int
}

func (r *recorded) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	const header = 5
	for b := p[:n]; len(b) > 0; {
		if skip := min(r.left, len(b)); skip > 0 {
			r.left, b = r.left-skip, b[skip:]
			continue
		}
		r.pending, b = append(r.pending, b[0]), b[1:]
		if len(r.pending) == header {
			r.left = int(binary.BigEndian.Uint16(r.pending[3:]))
			r.lengths, r.pending = append(r.lengths, r.left), nil
		}
	}
	return n, err
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestOverTLSRecordsAreSmallWhereTheyAreToBe(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB
	routes := NewRoutes(slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
	routes.Handle("GET", "/written", "", func(w http.ResponseWriter, _ *http.Request) error { return Write(w, 200, body) })
	routes.Handle("GET", "/served", "", func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "application/octet-stream")
		return ServeContent(w, r, time.Time{}, int64(len(body)), bytes.NewReader(body))
	})
	for _, small := range []bool{true, false} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			for _, path := range []string{"/written", "/served"} {
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() {
					ended <- Serve(ctx, slog.New(slog.DiscardHandler), Listener{
						Listener: listener, Handler: routes, MaxConnections: 10, SmallRecords: small,
						TLS: &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}, MinVersion: tls.VersionTLS12},
					})
				}()
				raw, err := net.Dial("tcp", listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				wire := &recorded{Conn: raw}
				c := tls.Client(wire, &tls.Config{InsecureSkipVerify: true, MaxVersion: version}) //nolint:gosec // a test's own certificate
				if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				answer, err := io.ReadAll(c)
				if err != nil || !bytes.HasSuffix(answer, body) {
					t.Errorf("%s: %d bytes, %v", path, len(answer), err)
				}
				largest := 0
				for _, n := range wire.lengths {
					largest = max(largest, n)
				}
				const around = 64 // bytes of a record that are no content: nonce, tag, type
				if small && largest > smallRecord+around || !small && largest <= smallRecord+around {
					t.Errorf("%s, TLS %#x, small %v: the largest record has %d bytes", path, version, small, largest)
				}
				raw.Close()
				cancel()
				if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
		}
	}
}
