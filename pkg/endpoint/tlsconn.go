package endpoint

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// tlsConn is a connection with TLS on it. net/http sees through no wrapper of its own *tls.Conn, so that the handshake is
// made here.
type tlsConn struct {
	*tls.Conn
	tcp    *conn
	small  bool // see Listener.SmallRecords
	logger *slog.Logger
}

// ConnectionState is asked for by net/http before it reads the first request: in the connection's own goroutine, which may
// wait for the client.
func (c *tlsConn) ConnectionState() tls.ConnectionState {
	c.tcp.SetReadDeadline(time.Now().Add(headerPatience)) //nolint:errcheck // the handshake then fails
	if err := c.Handshake(); err != nil {
		c.logger.Debug("TLS handshake failed", "remote", c.RemoteAddr().String(), "error", err)
		var record tls.RecordHeaderError
		if errors.As(err, &record) && record.Conn != nil && looksLikeHTTP(record.RecordHeader) {
			answer := refusal(http.StatusBadRequest, "https_wanted", "this is an HTTPS address: begin with https://")
			io.WriteString(c.tcp, answer) //nolint:errcheck // the client's matter
		}
		c.tcp.Close() //nolint:errcheck // net/http finds it closed
	}
	return c.Conn.ConnectionState()
}

func (c *tlsConn) Write(p []byte) (int, error) {
	if own := inOurWords(p); own != nil {
		_, err := c.Conn.Write(own)
		return len(p), err
	}
	if !c.small {
		return c.Conn.Write(p)
	}
	for n := 0; ; { // each call is a record of its own
		m, err := c.Conn.Write(p[n:min(n+smallRecord, len(p))])
		if n += m; err != nil || n == len(p) {
			return n, err
		}
	}
}

// smallRecord is what a client takes whose mbedTLS has buffers of 4 KiB (MBEDTLS_SSL_IN_CONTENT_LEN), in bytes of content.
const smallRecord = 4096

func looksLikeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH":
		return true
	}
	return false
}
