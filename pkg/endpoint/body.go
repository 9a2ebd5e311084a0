package endpoint

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// bodyPatience is the time for each progressStep bytes of a body. A device on bad Wi-Fi brings them, a client that holds
// connections open does not.
const bodyPatience = time.Minute

// After an early refusal so much is still read and thrown away while it keeps coming: a client that writes its whole dump
// before it looks at the answer would lose the answer to a reset.
const (
	drainMost     = 2 << 20
	drainGap      = 2 * time.Second  // between two blocks
	drainPatience = 10 * time.Second // for all of them
	drainBlock    = 16 << 10
)

// requestBody gives a body deadlines that move with its progress. They are the connection's own: net/http has one for a
// whole request only, which a bundle of 500 MiB and a dump of 1 MiB cannot share.
type requestBody struct {
	io.ReadCloser
	conn    *http.ResponseController
	left    int   // bytes until the deadline moves
	touched bool  // the handler has read: a client that waits for "100 Continue" has been told to send
	ended   bool  // nothing is left to read
	failed  error // the first error of a read, other than its end
	now     func() time.Time
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.touched = true
	if b.left <= 0 {
		b.extend(bodyPatience)
		b.left = progressStep
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= n
	b.ended = b.ended || err != nil
	if !isEnd(err) && b.failed == nil {
		b.failed = err
	}
	return n, err
}

// extend moves the deadline for reading.
func (b *requestBody) extend(by time.Duration) {
	b.conn.SetReadDeadline(b.now().Add(by)) //nolint:errcheck // a recorder in a test has no connection
}

// answerEarly writes an answer while the body may still be coming. Left to itself net/http would read up to 256 KiB of
// it first, so that a client which waits for the answer before it sends would wait for ever; and it would reset the
// connection of one that sends more.
func (b *requestBody) answerEarly(w *response, r *http.Request, write func() error) error {
	if b.ended || r.ProtoMajor != 1 || r.ContentLength == 0 {
		return write()
	}
	waiting := strings.EqualFold(r.Header.Get("Expect"), "100-continue") && !b.touched
	w.Header().Set("Connection", "close") // where the body ends and the next request begins is no longer sure
	if waiting {
		return write() // reading would make net/http say "100 Continue"
	}
	if err := b.conn.EnableFullDuplex(); err != nil {
		return write()
	}
	if err := write(); err != nil {
		return err
	}
	if err := b.conn.Flush(); err != nil {
		return err
	}
	b.drain()
	return nil
}

func (b *requestBody) drain() {
	block := make([]byte, drainBlock)
	end := b.now().Add(drainPatience)
	for drained := 0; drained < drainMost; {
		gap := min(drainGap, end.Sub(b.now()))
		b.conn.SetReadDeadline(b.now().Add(gap)) //nolint:errcheck // as in extend
		n, err := b.ReadCloser.Read(block)
		if err != nil {
			return // the answer is out: what the client still does is its own matter
		}
		drained += n
	}
}
