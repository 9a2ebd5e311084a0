package endpoint

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// ServeContent answers with a file or the ranges of it that the request names, as http.ServeContent does; a range that
// is not there becomes an Error that still carries Content-Range. Set Content-Type and ETag before. Hand in the
// *os.File itself: anything around it hides it from sendfile.
func ServeContent(w http.ResponseWriter, r *http.Request, modified time.Time, size int64, file io.ReadSeeker) error {
	rw, ok := w.(*response)
	if !ok {
		http.ServeContent(w, r, "", modified, file)
		return nil
	}
	rw.capture = true
	http.ServeContent(rw, r, "", modified, file)
	rw.capture = false
	if !rw.refused {
		return nil
	}
	rw.refused = false
	rw.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", size)) // net/http leaves it out where the header does not parse
	return &Error{
		Status: http.StatusRequestedRangeNotSatisfiable, Code: "range_not_satisfiable",
		Message: fmt.Sprintf("no byte of the range is within the %d bytes", size), Details: map[string]any{"size": size},
	}
}
