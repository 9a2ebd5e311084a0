package gateway

import (
	"context"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/mqtt"
)

// sent is a broker that takes each nudge, and calls back once it has.
type sent func()

func (s sent) Nudge(context.Context, fleet.Device, mqtt.Nudge) error {
	s()
	return nil
}

func TestANudgeThatWasSentIsInTheEventsAlsoWhenNobodyWaitsForItsAnswer(t *testing.T) {
	store := openCatalog(t)
	for range 20 { // a commit and a context that has ended may both be ready
		ctx, leave := context.WithCancel(t.Context())
		if err := (&nudges{sent(leave), store}).Nudge(ctx, fleet.Device{Key: "aaaaaaa1", Model: "pump"}, "firmware"); err != nil {
			t.Errorf("the answer: %v", err)
		}
	}
	page, err := store.Events(event.Filter{Kinds: []string{string(event.DeviceNudged)}, Limit: 100})
	if err != nil || len(page.Events) != 20 {
		t.Errorf("%d events, %v", len(page.Events), err)
	}
}
