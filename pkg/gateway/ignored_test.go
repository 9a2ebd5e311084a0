package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// TestAGatewayThatWasOffOpensWhatWasIgnoredUntilThen has the time pass between two starts.
func TestAGatewayThatWasOffOpensWhatWasIgnoredUntilThen(t *testing.T) {
	cfg := settings(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("it is ignored", func(t *testing.T) {
		g, url := start(t, cfg)
		get(t, url+"/api/health")
		d := fleet.Dump{Device: "aaaaaaaa", Model: "pump", UploadedAt: time.Now().Add(-time.Hour)}
		must(g.store.RecordDumps(t.Context(), []fleet.Dump{d}))
		_, err := g.store.RecordCrash(t.Context(), crash.Crash{
			Device: d.Device, Model: d.Model, Name: d.Name(), Uploaded: d.UploadedAt, State: crash.Reported, Version: "1.0", Fingerprint: "f",
		}, 0)
		must(err)
		_, err = g.store.UpdateGroup(t.Context(), "f", func(one *crash.Group) error {
			one.Ignore(crash.Bound{At: time.Now().Add(-time.Minute).UTC().Truncate(time.Second)}, d.UploadedAt.UTC())
			return nil
		})
		must(err)
	})
	g, _ := start(t, cfg)
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		one, _, _, err := g.store.Group("f")
		must(err)
		if one.State == crash.Open {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is %+v", one)
		}
	}
	page, err := g.store.Events(event.Filter{Kinds: []string{string(event.CrashReopened)}})
	must(err)
	if len(page.Events) != 1 || !strings.Contains(string(page.Events[0].Details), "it was ignored until") {
		t.Errorf("told is %+v", page.Events)
	}
}
