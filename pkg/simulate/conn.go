package simulate

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	receiveWindow = 5744        // lwIP's default, in bytes
	readBuffer    = 512         // esp_http_client's, in bytes
	block         = 1024        // of an image or a dump, as firmware reads and sends them, in bytes
	piece         = 4096        // of an image, as a device with small TLS buffers asks for it, in bytes
	quiet         = time.Minute // without a byte: the devices wait 5 s, which a busy machine exceeds
)

// conn is one connection of a device, on which a gateway's answers are read as slowly as the device reads.
type conn struct {
	net.Conn
	read *bufio.Reader
	host string
}

func dial(ctx context.Context, gateway *url.URL, settings *tls.Config) (*conn, error) {
	d := net.Dialer{Timeout: quiet, Control: func(_, _ string, c syscall.RawConn) (err error) {
		if e := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receiveWindow)
		}); e != nil {
			return e
		}
		return err
	}}
	port := gateway.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[gateway.Scheme]
	}
	socket, err := d.DialContext(ctx, "tcp", net.JoinHostPort(gateway.Hostname(), port))
	if err != nil {
		return nil, err
	}
	if gateway.Scheme == "https" {
		settings = settings.Clone()
		settings.ServerName = gateway.Hostname()
		shaken := tls.Client(socket, settings)
		if err := shaken.HandshakeContext(ctx); err != nil {
			socket.Close()
			return nil, err
		}
		socket = shaken
	}
	return &conn{Conn: socket, read: bufio.NewReaderSize(patient{socket}, readBuffer), host: gateway.Host}, nil
}

// patient ends a read that nothing comes of.
type patient struct{ net.Conn }

func (c patient) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(quiet)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// ask sends a request and reads the header of its answer.
func (c *conn) ask(r *request, method string, more ...[2]string) (*http.Response, error) {
	var head strings.Builder
	version := "HTTP/1.1"
	if r.old {
		version = "HTTP/1.0"
	}
	fmt.Fprintf(&head, "%s %s %s\r\nHost: %s\r\n", method, r.path, version, c.host)
	for _, h := range append(more, r.header...) {
		fmt.Fprintf(&head, "%s: %s\r\n", h[0], h[1])
	}
	if r.body != nil {
		fmt.Fprintf(&head, "Content-Length: %s\r\n", strconv.Itoa(len(r.body)))
	}
	if err := c.send([]byte(head.String() + "\r\n")); err != nil {
		return nil, err
	}
	for rest := r.body; len(rest) > 0; rest = rest[min(len(rest), block):] {
		if err := c.send(rest[:min(len(rest), block)]); err != nil {
			return nil, err
		}
	}
	resp, err := http.ReadResponse(c.read, &http.Request{Method: method})
	if err == nil && resp.ContentLength < 0 && resp.StatusCode != http.StatusNotModified {
		return nil, fmt.Errorf("%s without a Content-Length, which clients of this kind need", resp.Status)
	}
	return resp, err
}

func (c *conn) send(b []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(quiet)); err != nil {
		return err
	}
	_, err := c.Write(b)
	return err
}

// mostAnswer is what a device has room for in an answer that is no image, in bytes.
const mostAnswer = 64 << 10

func body(resp *http.Response) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer+1))
	if err == nil && len(b) > mostAnswer {
		err = fmt.Errorf("an answer of more than %d bytes", mostAnswer)
	}
	return b, err
}
