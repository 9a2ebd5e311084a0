package endpoint

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
)

// response notes what was answered. It keeps ReadFrom, without which no file would go out by sendfile.
type response struct {
	http.ResponseWriter
	conn      *http.ResponseController
	body      *requestBody
	client    *conn // nil of a Unix socket, and in tests
	status    int   // 0 until the header is written
	operation *series
	notes     []slog.Attr
	capture   bool   // hold back a 416: see ServeContent
	refused   bool   // one was held back
	written   int64  // bytes of the body
	failed    error  // the first error of a write: the client is gone
	seen      []byte // of a JSON body, for Witness
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
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if w.refused {
		return len(p), nil
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if Witness != nil && isJSON(w.Header()) {
		w.seen = append(w.seen, p...)
	}
	n, err := w.ResponseWriter.Write(p)
	w.written += int64(n)
	w.note(err)
	return n, err
}

func (w *response) note(err error) {
	if w.failed == nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		w.failed = err
	}
}

// ReadFrom hands a file down to the connection.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	to, ok := w.ResponseWriter.(io.ReaderFrom)
	if !ok {
		return io.Copy(onlyWriter{w}, src)
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := to.ReadFrom(src)
	w.written += n
	w.note(err)
	return n, err
}

// Flush sends what is buffered.
func (w *response) Flush() { w.conn.Flush() } //nolint:errcheck // http.Flusher has no way to say it

// Unwrap lets an http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type onlyWriter struct{ io.Writer }
