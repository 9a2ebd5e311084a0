package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
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
		"the style of the page that waits":    {"/static/style.css", time.Minute, http.StatusNoContent, 0},
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

func TestABrowserThatComesWhileTheGatewayStartsGetsAPageThatGoesOnByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recovery{over: make(chan struct{})}
		served := r.hold(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), slog.New(slog.DiscardHandler))
		for _, test := range []struct {
			method, accept string
			html           bool
			refresh        string
		}{
			{http.MethodGet, "text/html,application/xhtml+xml,*/*;q=0.8", true, "3"},
			{http.MethodPost, "text/html,*/*", true, ""}, // asked again it would be sent again
			{http.MethodGet, "*/*", false, ""},
			{http.MethodGet, "", false, ""},
		} {
			req := httptest.NewRequest(test.method, "/devices?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", nil)
			req.Header.Set("Accept", test.accept)
			answer := httptest.NewRecorder()
			served.ServeHTTP(answer, req)
			h, body := answer.Header(), answer.Body.String()
			if answer.Code != http.StatusServiceUnavailable || h.Get("Retry-After") != "2" || h.Get("Refresh") != test.refresh || h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %q: %d %v", test.method, test.accept, answer.Code, h)
			}
			if html := strings.HasPrefix(h.Get("Content-Type"), "text/html"); html != test.html || html == strings.Contains(body, `"correlationId"`) || html != strings.Contains(body, "The gateway is starting") {
				t.Errorf("%s %q gets\n%s", test.method, test.accept, body)
			}
			if test.html && (strings.Contains(body, "<script>a") || !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'") || strings.Contains(body, "was not taken") != (test.method == http.MethodPost)) {
				t.Errorf("%s: %v\n%s", test.method, h, body)
			}
		}
	})
}

func TestAGatewayThatIsStoppedWhileItRecoversEndsInOrder(t *testing.T) {
	g, err := New(settings(t), Binary{Version: "1.2.3"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	var some []fleet.Dump // to recover: whether it stops before one of them is a matter of chance, before each of them not
	for n := range 100 {
		some = append(some, fleet.Dump{Device: "aaaaaaaa", Model: "pump", UploadedAt: time.Now().Add(-time.Duration(n) * time.Second)})
	}
	if err := g.store.RecordDumps(t.Context(), some); err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := g.Run(stopped); err != nil {
		t.Errorf("it ends with %v", err)
	}
	select {
	case <-g.recovery.over:
		t.Error("it has recovered, so that this shows nothing")
	default:
	}
}
