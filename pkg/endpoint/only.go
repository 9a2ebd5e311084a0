package endpoint

import (
	"log/slog"
	"net/http"
	"time"
)

// Only answers every request with one error, such as a gateway that is not ready yet. show may answer it in another form, and
// is nil where every one is JSON.
func Only(logger *slog.Logger, e *Error, show ShowFailure) http.Handler {
	rs := &Routes{logger: logger, mux: http.NewServeMux(), failed: show, now: time.Now}
	rs.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		rs.run(w, r, &entry{handle: func(http.ResponseWriter, *http.Request) error { return e }})
	})
	return rs
}
