package endpoint

import (
	"log/slog"
	"net/http"
	"time"
)

// Only answers every request with one error, such as a gateway that is not ready yet.
func Only(logger *slog.Logger, e *Error) http.Handler {
	rs := &Routes{logger: logger, mux: http.NewServeMux(), now: time.Now}
	rs.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		rs.run(w, r, &entry{handle: func(http.ResponseWriter, *http.Request) error { return e }})
	})
	return rs
}
