package endpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// WriteJSON writes v with a Content-Length: without an explicit one net/http goes chunked past 2,048 bytes and tells an
// HTTP/1.0 client nothing, and devices fail on both.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return Write(w, status, b.Bytes())
}

// Write writes a whole body with a Content-Length. The caller sets the Content-Type.
func Write(w http.ResponseWriter, status int, body []byte) error {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err := w.Write(body)
	if errors.Is(err, http.ErrBodyNotAllowed) { // an answer to HEAD
		return nil
	}
	return err
}

// ReadJSON reads one JSON value of at most limit bytes into v and refuses members that v does not have: a misspelt one
// would otherwise be a silent nothing.
func ReadJSON(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return err
	case errors.Is(err, io.EOF):
		return Errorf(http.StatusBadRequest, "body_missing", "the body is empty; want JSON")
	case err != nil:
		return Errorf(http.StatusBadRequest, "body_not_json", "the body is not the expected JSON: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Errorf(http.StatusBadRequest, "body_not_json", "there is something after the JSON in the body")
	}
	return nil
}
