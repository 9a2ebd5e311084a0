package gateway

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestCallersWaitForRecoveryAndTheHealthCheckDoesNot(t *testing.T) {
	for name, test := range map[string]struct {
		path  string
		takes time.Duration
		want  int
		after time.Duration // until the answer
	}{
		"a device that comes a moment early":  {"/api/iot/coredump", 2 * time.Second, http.StatusNoContent, 2 * time.Second},
		"a device that comes much too early":  {"/api/iot/coredump", time.Minute, http.StatusServiceUnavailable, 3 * time.Second},
		"the health check":                    {"/api/health", time.Minute, http.StatusNoContent, 0},
		"anybody, once recovery is long over": {"/api/iot/coredump", 0, http.StatusNoContent, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &recovery{over: make(chan struct{})}
				time.AfterFunc(test.takes, func() { close(r.over) })
				if test.takes == 0 {
					<-r.over
				}
				served := r.hold(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }), slog.New(slog.DiscardHandler))
				start, answer := time.Now(), httptest.NewRecorder()
				served.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, test.path, nil))
				if took := time.Since(start); answer.Code != test.want || took != test.after {
					t.Errorf("%d after %s, want %d after %s", answer.Code, took, test.want, test.after)
				}
				if answer.Code == http.StatusServiceUnavailable && answer.Header().Get("Retry-After") == "" {
					t.Error("it is not told when to come again")
				}
			})
		})
	}
}
