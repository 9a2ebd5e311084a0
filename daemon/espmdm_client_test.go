package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What ESP-IDF's esp_http_client does, as far as firmware in the field relies on it: 512 bytes for a header line either
// way (4,096 for what is sent with a token), a new connection for each request, no look at the status unless the caller
// looks, and an error when nothing comes for so long.
const (
	espHeaderBuffer      = 512
	espTokenHeaderBuffer = 4096
	espPatience          = 2 * time.Minute // the firmware waits 4 s, which a busy machine exceeds
	espReceiveWindow     = 5744            // lwIP's default, in bytes
)

// espExchange is one request on its own connection, after its headers have been answered.
type espExchange struct {
	conn   net.Conn
	body   io.Reader
	status int
	length int64 // -1: the server did not say
}

func (x *espExchange) close() { x.conn.Close() }

// wire is how many bytes came in over the connection.
func (x *espExchange) wire() int64 {
	raw, err := x.conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return -1
	}
	received := int64(-1)
	if raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			received = int64(info.Bytes_received)
		}
	}) != nil {
		return -1
	}
	return received
}

// espRequest is what a caller of esp_http_client sets.
type espRequest struct {
	method, url   string
	authorization string
	contentType   string
	body          []byte
}

// espOpen connects, sends everything, and reads the headers of the answer.
func espOpen(r espRequest) (_ *espExchange, err error) {
	u, err := url.Parse(r.url)
	if err != nil || u.Scheme != "http" {
		return nil, fmt.Errorf("address %q: %w", r.url, errors.Join(err, errors.New("want http")))
	}
	dialer := net.Dialer{Timeout: espPatience, Control: func(_, _ string, c syscall.RawConn) (err error) {
		if e := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, espReceiveWindow)
		}); e != nil {
			return e
		}
		return err
	}}
	conn, err := dialer.DialContext(context.Background(), "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	head, err := r.head(u)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, head); err != nil {
		return nil, err
	}
	for rest := r.body; len(rest) > 0; { // from flash, 1 KiB at a time
		n := min(len(rest), 1024)
		if err := conn.SetWriteDeadline(time.Now().Add(espPatience)); err != nil {
			return nil, err
		}
		if _, err := conn.Write(rest[:n]); err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	return espFetchHeaders(conn)
}

func (r espRequest) head(u *url.URL) (string, error) {
	most := espHeaderBuffer
	lines := []string{
		fmt.Sprintf("%s %s HTTP/1.1", r.method, u.RequestURI()),
		"User-Agent: ESP32 HTTP Client/1.0",
		"Host: " + u.Host,
	}
	if r.authorization != "" {
		most = espTokenHeaderBuffer
		lines = append(lines, "Authorization: "+r.authorization)
	}
	if r.contentType != "" {
		lines = append(lines, "Content-Type: "+r.contentType)
	}
	lines = append(lines, "Content-Length: "+strconv.Itoa(len(r.body)))
	for _, line := range lines {
		if len(line)+2 > most {
			return "", fmt.Errorf("a header line of %d bytes does not fit the buffer of %d", len(line), most)
		}
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n", nil
}

func espFetchHeaders(conn net.Conn) (*espExchange, error) {
	read := bufio.NewReaderSize(patientReader{conn}, espHeaderBuffer)
	line := func() (string, error) {
		b, err := read.ReadSlice('\n')
		return strings.TrimRight(string(b), "\r\n"), err // bufio.ErrBufferFull: the line does not fit
	}
	first, err := line()
	if err != nil {
		return nil, err
	}
	x := &espExchange{conn: conn, length: -1, body: read}
	if _, err := fmt.Sscanf(first, "HTTP/1.1 %d", &x.status); err != nil {
		return nil, fmt.Errorf("answer %q", first)
	}
	for {
		header, err := line()
		if err != nil {
			return nil, err
		}
		if header == "" {
			break
		}
		name, value, _ := strings.Cut(header, ":")
		if textproto.CanonicalMIMEHeaderKey(name) == "Content-Length" {
			if x.length, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64); err != nil {
				return nil, err
			}
		}
		if textproto.CanonicalMIMEHeaderKey(name) == "Transfer-Encoding" {
			return nil, fmt.Errorf("%d is sent in chunks", x.status)
		}
	}
	if x.length < 0 {
		return nil, fmt.Errorf("%d has no Content-Length", x.status)
	}
	x.body = io.LimitReader(read, x.length)
	return x, nil
}

type patientReader struct{ net.Conn }

func (r patientReader) Read(p []byte) (int, error) {
	if err := r.SetReadDeadline(time.Now().Add(espPatience)); err != nil {
		return 0, err
	}
	return r.Conn.Read(p)
}

// readJSON reads a body of at most limit bytes and takes the first JSON value of it, as cJSON does.
func (x *espExchange) readJSON(limit int) (json.RawMessage, error) {
	b, err := io.ReadAll(io.LimitReader(x.body, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(b) > limit {
		return nil, fmt.Errorf("an answer of more than %d bytes", limit)
	}
	var v json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&v); err != nil {
		return nil, fmt.Errorf("%s is no JSON: %w", http.StatusText(x.status), err)
	}
	return v, nil
}
