package clients

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"net/textproto"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	receiveWindow = 5744 // lwIP's default, in bytes
	espBuffer     = 512  // esp_http_client's, for a line of an answer, in bytes
	arduinoBuffer = 1436 // WiFiClient's, in bytes
	quiet         = 2 * time.Minute
)

// link is one connection.
type link struct {
	net.Conn
	read *bufio.Reader
}

// dial connects; no line of an answer may be longer than a buffer.
func (d *Device) dial(buffer int) (*link, error) {
	dialer := net.Dialer{Timeout: quiet, Control: func(_, _ string, c syscall.RawConn) (err error) {
		if e := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receiveWindow)
		}); e != nil {
			return e
		}
		return err
	}}
	c, err := dialer.Dial("tcp", d.Gateway)
	if err != nil {
		return nil, err
	}
	return &link{c, bufio.NewReaderSize(patient{c}, buffer)}, nil
}

type patient struct{ net.Conn }

func (p patient) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(quiet)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

// answer is what came back, up to its body.
type answer struct {
	status  int
	header  textproto.MIMEHeader
	length  int64 // -1: nobody said
	chunked bool
	link    *link
}

// ask sends the lines of a request and its body, a KiB at a time as from flash, and reads the header of the answer.
func (d *Device) ask(l *link, lines []string, body []byte) (*answer, error) {
	first, _, _ := strings.Cut(lines[0], " HTTP/")
	d.Asked[first]++
	if err := l.SetWriteDeadline(time.Now().Add(quiet)); err != nil {
		return nil, err
	}
	head := strings.Join(lines, "\r\n") + "\r\n\r\n"
	if _, err := io.WriteString(l, head); err != nil {
		return nil, err
	}
	var sending error
	for rest := body; len(rest) > 0 && sending == nil; rest = rest[min(len(rest), 1024):] {
		_, sending = l.Write(rest[:min(len(rest), 1024)])
	}
	a, err := l.header(len(lines) > 0 && strings.HasPrefix(lines[0], "HEAD "))
	if err != nil {
		return nil, errors.Join(sending, err)
	}
	return a, nil
}

func (l *link) line() (string, error) {
	b, err := l.read.ReadSlice('\n') // bufio.ErrBufferFull: it does not fit
	return strings.TrimRight(string(b), "\r\n"), err
}

func (l *link) header(head bool) (*answer, error) {
	first, err := l.line()
	if err != nil {
		return nil, err
	}
	a := &answer{header: textproto.MIMEHeader{}, length: -1, link: l}
	if _, err := fmt.Sscanf(first, "HTTP/1.%d %d", new(int), &a.status); err != nil {
		return nil, fmt.Errorf("an answer that begins with %q", first)
	}
	for {
		line, err := l.line()
		if err != nil {
			return nil, err
		}
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		a.header.Add(name, strings.TrimSpace(value))
	}
	if text := a.header.Get("Content-Length"); text != "" {
		if a.length, err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, err
		}
	}
	a.chunked = strings.EqualFold(a.header.Get("Transfer-Encoding"), "chunked")
	if head || a.status == 304 || a.status == 204 {
		a.length = max(a.length, 0)
	}
	return a, nil
}

// body is what a client reads that knows lengths, chunks, and the end of a connection.
func (a *answer) body() io.Reader {
	switch {
	case a.chunked:
		return httputil.NewChunkedReader(a.link.read)
	case a.length >= 0:
		return io.LimitReader(a.link.read, a.length)
	}
	return a.link.read
}

// whole reads a body to its end; one that breaks off is an error, and what there is of it.
func (a *answer) whole(most int) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(a.body(), int64(most)+1))
	switch {
	case err != nil:
		return b, err
	case len(b) > most:
		return b, fmt.Errorf("more than %d bytes", most)
	case !a.chunked && a.length >= 0 && int64(len(b)) < a.length:
		return b, io.ErrUnexpectedEOF
	}
	return b, nil
}

const mostImage = 4 << 20

// basicWanted reports that a refusal asks for HTTP Basic.
func (a *answer) basicWanted() bool {
	return a.status == 401 && strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic")
}

// begins reports that bytes are the begin of an image.
func begins(b []byte) bool { return bytes.HasPrefix(b, []byte{0xe9}) }
