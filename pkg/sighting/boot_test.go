package sighting

import (
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestWhyADeviceBootedIsKeptUntilItsNextBoot(t *testing.T) {
	boot := func(id string, reset fleet.ResetReason, state fleet.OTAState) fleet.Seen {
		return fleet.Seen{By: fleet.HeardVersion, Said: fleet.Said{BootID: id, Reset: reset, OTAState: state}}
	}
	for name, c := range map[string]struct {
		seen  []fleet.Seen
		reset fleet.ResetReason
		state fleet.OTAState
	}{
		"it says so":                         {[]fleet.Seen{boot("a", "panic", "pending_verify")}, "panic", "pending_verify"},
		"it says so once":                    {[]fleet.Seen{boot("a", "panic", "valid"), boot("a", "", "")}, "panic", "valid"},
		"the image is marked valid":          {[]fleet.Seen{boot("a", "sw", "pending_verify"), boot("a", "", "valid")}, "sw", "valid"},
		"it boots again, and says nothing":   {[]fleet.Seen{boot("a", "panic", "valid"), boot("b", "", "")}, "", ""},
		"it boots again, for another reason": {[]fleet.Seen{boot("a", "panic", "valid"), boot("b", "brownout", "")}, "brownout", ""},
		"nobody knows that reason":           {[]fleet.Seen{boot("a", "a bad mood", "odd")}, "", ""},
	} {
		s, b := play(t, c.seen...)
		if got := sightingOf(b, 0); got.Reset != c.reset || got.OTAState != c.state {
			t.Errorf("%s: %q, %q", name, got.Reset, got.OTAState)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if got := sightingOf(s.open(t), 0); got.Reset != c.reset || got.OTAState != c.state {
			t.Errorf("%s, after a restart: %q, %q", name, got.Reset, got.OTAState)
		}
	}
}
