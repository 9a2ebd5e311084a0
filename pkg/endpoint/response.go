package endpoint

import (
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"time"
)

// A client has to take writeStep bytes in each writePatience, about 2 KiB/s: a device that erases flash between blocks
// does, one that is gone does not.
const (
	writeStep     = 256 << 10
	writePatience = 2 * time.Minute
)

// response notes what was answered. It keeps ReadFrom, without which no file would go out by sendfile.
type response struct {
	http.ResponseWriter
	conn      *http.ResponseController
	body      *requestBody
	status    int // 0 until the header is written
	left      int // bytes until the deadline for writing moves
	operation *series
	notes     []slog.Attr
	capture   bool  // hold back a 416: see ServeContent
	refused   bool  // one was held back
	failed    error // the first error of a write: the client is gone
	now       func() time.Time
}

// Note adds facts to the log line that a failure of this request makes, such as the device's key.
func Note(w http.ResponseWriter, attrs ...slog.Attr) {
	if rw, ok := w.(*response); ok {
		rw.notes = append(rw.notes, attrs...)
	}
}

func (w *response) WriteHeader(status int) {
	if w.capture && status == http.StatusRequestedRangeNotSatisfiable {
		w.refused = true
		return
	}
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
		w.extend(0)
	}
	w.ResponseWriter.WriteHeader(status)
}

// extend moves the deadline of the writing once a step's bytes are used up.
func (w *response) extend(n int) {
	if w.left -= n; w.left > 0 {
		return
	}
	w.left = writeStep
	w.conn.SetWriteDeadline(w.now().Add(writePatience)) //nolint:errcheck // a recorder in a test has no connection
}

func (w *response) Write(p []byte) (int, error) {
	if w.refused {
		return len(p), nil
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.extend(len(p))
	n, err := w.ResponseWriter.Write(p)
	w.note(err)
	return n, err
}

func (w *response) note(err error) {
	if w.failed == nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		w.failed = err
	}
}

// ReadFrom hands a file down to the connection in steps, each with its own deadline. One level of io.LimitedReader over
// an *os.File is what the connection recognises for sendfile, so that a limit of the caller's is taken apart here.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	to, ok := w.ResponseWriter.(io.ReaderFrom)
	if !ok {
		return io.Copy(onlyWriter{w}, src)
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	left := int64(math.MaxInt64)
	limited, isLimited := src.(*io.LimitedReader)
	if isLimited {
		left, src = limited.N, limited.R
	}
	var total int64
	for left > 0 {
		w.extend(writeStep)
		step := min(left, writeStep)
		n, err := to.ReadFrom(&io.LimitedReader{R: src, N: step})
		total, left = total+n, left-n
		if isLimited {
			limited.N = left
		}
		if err != nil || n < step {
			return total, err
		}
	}
	return total, nil
}

// Flush sends what is buffered.
func (w *response) Flush() { w.conn.Flush() } //nolint:errcheck // http.Flusher has no way to say it

// Unwrap lets an http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type onlyWriter struct{ io.Writer }
