// Package endpoint turns functions that return errors into HTTP handlers, and serves them within limits.
//
// It knows HTTP and nothing of the house: what an error means is said by the door that returns an [Error]. In one place
// each it recovers from panics, counts operations, writes the error body, and logs a failed request with the
// correlation id that its body carries.
//
// It promises what clients in the field need: every answer has a Content-Length, to HTTP/1.0 clients too; an error is
// JSON whose details are an object, those of unknown paths and methods included; HEAD answers only where it is named;
// a file goes out by sendfile. It distrusts every client: headers, bodies and downloads have to make progress in time,
// and connections are counted.
package endpoint

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"strings"
)

// Handler answers a request or returns why not. An [Error] says what the client sees; any other error is a 500 that
// tells the client nothing and the log everything. A handler that returns an error has written nothing before.
type Handler func(http.ResponseWriter, *http.Request) error

// Error is what a client sees of a failure, and its cause, which only the log sees.
type Error struct {
	Status      int            // HTTP status, 400 or more
	Code        string         // for programs: snake_case, stable; "" takes the status's own words
	Message     string         // for people; "" takes the status's own words
	Description string         // RFC 6749's error_description; "" leaves the member out
	Details     map[string]any // always an object in the answer, empty when nil
	Header      http.Header    // added to the answer, such as Retry-After
	NoBody      bool           // the answer ends with its header
	Cause       error
}

// Errorf is an Error without details.
func Errorf(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Because adds the cause, for the log only.
func (e *Error) Because(cause error) *Error {
	e.Cause = cause
	return e
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Cause }

// errorBody is the answer of every failure, in this order.
type errorBody struct {
	Error         string         `json:"error"`
	Description   string         `json:"error_description,omitempty"`
	Code          string         `json:"code"`
	Details       map[string]any `json:"details"` // devices in the field rely on its being an object
	CorrelationID string         `json:"correlationId"`
}

// answerError writes the failure. The correlation id in the body is also in the log line.
func answerError(w *response, r *http.Request, e *Error, correlation string, show ShowFailure) error {
	if w.Header().Get("Cache-Control") == "" {
		w.Header().Set("Cache-Control", "no-store") // a 404 of today may be kept otherwise
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	maps.Copy(w.Header(), e.Header)
	words := http.StatusText(e.Status)
	body := errorBody{
		Error:         cmp.Or(e.Message, strings.ToLower(words)),
		Description:   e.Description,
		Code:          cmp.Or(e.Code, strings.ReplaceAll(strings.ToLower(words), " ", "_")),
		Details:       e.Details,
		CorrelationID: correlation,
	}
	if body.Details == nil {
		body.Details = map[string]any{}
	}
	return w.body.answerEarly(w, r, func() error {
		if e.NoBody {
			w.Header().Del("Content-Type")
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(e.Status)
			return nil
		}
		if show != nil {
			if shown, err := show(w, r, e, correlation); shown || err != nil {
				return err
			}
		}
		return WriteJSON(w, e.Status, body)
	})
}

// visible is what the client is told about an error of a handler.
func visible(err error, r *http.Request, w *response) *Error {
	var e *Error
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &tooLarge):
		return Errorf(http.StatusRequestEntityTooLarge, "body_too_large", "the body is larger than %d bytes", tooLarge.Limit).Because(err)
	case w.body.failed != nil && errors.Is(w.body.failed, os.ErrDeadlineExceeded):
		return Errorf(http.StatusRequestTimeout, "body_too_slow", "the body came too slowly").Because(err)
	case w.body.failed != nil:
		return Errorf(http.StatusBadRequest, "body_incomplete", "the body ended early").Because(err)
	case r.Context().Err() != nil || w.failed != nil:
		e := Errorf(http.StatusServiceUnavailable, "interrupted", "the request was interrupted").Because(err)
		e.Header = http.Header{"Retry-After": {"1"}}
		return e
	}
	return Errorf(http.StatusInternalServerError, "internal_error", "internal error").Because(err)
}

func logFailure(ctx context.Context, logger *slog.Logger, w *response, r *http.Request, e *Error, correlation string) {
	level := slog.LevelDebug // thousands of devices that are told "not yet" are no news, and of a full disk the gateway says once that it is
	if e.Status >= 500 && e.Status != http.StatusInsufficientStorage && e.Header.Get("Retry-After") == "" {
		level = slog.LevelError
	}
	if !logger.Enabled(ctx, level) {
		return
	}
	attrs := append([]slog.Attr{
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path), // never the query or a header: they may carry secrets
		slog.Int("status", e.Status),
		slog.String("remote", r.RemoteAddr),
		slog.String("correlation_id", correlation),
		slog.String("error", e.Error()),
	}, w.notes...)
	logger.LogAttrs(ctx, level, "request failed", attrs...)
}

func newCorrelation() string { return strings.ToLower(rand.Text()[:16]) }

// isEnd reports that a body was read to its end, which is no failure.
func isEnd(err error) bool {
	return err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF)
}
