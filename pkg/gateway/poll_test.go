package gateway

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"

	"github.com/slipway-gateway/slipway/testdata/described"
)

// unread is an answer that nobody reads, and that costs nothing itself.
type unread struct {
	header http.Header
	status int
}

func (u *unread) Header() http.Header         { return u.header }
func (u *unread) WriteHeader(status int)      { u.status = status }
func (u *unread) Write(b []byte) (int, error) { return len(b), nil }

// TestAVersionPollAllocatesLittle counts what the whole chain of handlers allocates for a poll: route, token, offer,
// sighting, counters and answer. net/http's own share of a connection is not in it.
func TestAVersionPollAllocatesLittle(t *testing.T) {
	const most = 42 // measured are 39, with and without the race detector
	described.Unwatched(t)
	g, err := New(settings(t), Binary{Version: "1.2.3"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	close(g.recovery.over) // nothing lies there
	device := fleet.Device{Key: "dev00001", Model: "pump"}
	err = g.store.AddModel(t.Context(), fleet.Model{Code: "pump"})
	if err == nil {
		err = g.store.AddDevice(t.Context(), device, auth.DeviceSecrets{})
	}
	if err == nil {
		_, _, err = g.store.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: "1.0"}, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	issuer := &auth.Issuer{Keys: g.keys, Devices: g.store, Lifetime: g.cfg.TokenLifetime, Earliest: g.clock.earliest, Now: time.Now}
	token, err := issuer.Mint(device)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/api/iot/firmware-version", nil)
	r.Header.Set("Authorization", "Bearer "+token.AccessToken)
	w := &unread{header: http.Header{}}
	allocations := testing.AllocsPerRun(1000, func() {
		clear(w.header)
		w.status = http.StatusOK
		g.allDoors.ServeHTTP(w, r)
	})
	if w.status != http.StatusOK {
		t.Fatalf("status %d", w.status)
	}
	t.Logf("%.0f allocations", allocations)
	if allocations > most {
		t.Errorf("a poll makes %.0f allocations, want %d at most", allocations, most)
	}
}
