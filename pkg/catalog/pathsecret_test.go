package catalog

import (
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestAPathSecretEndsWithTheDevicesRevocationAndRemovalAndIsNotBackWithIt(t *testing.T) {
	c := withModel(t, "pump")
	d := fleet.Device{Key: "a1b2c3d4", Model: "pump"}
	must(t, c.AddDevice(t.Context(), d, auth.DeviceSecrets{}))
	make := func() {
		t.Helper()
		must(t, c.UpdateDeviceSecrets(t.Context(), d.Key, func(s *auth.DeviceSecrets) error { s.Path = auth.HashSecret("x"); return nil }))
	}
	revoke := func(on bool) {
		t.Helper()
		_, err := c.UpdateDevice(t.Context(), d.Key, func(d *fleet.Device) error { d.Revoked = on; return nil })
		must(t, err)
	}
	none := func(what string) {
		t.Helper()
		if s, err := c.DeviceSecrets(d.Key); err != nil || s.Path != "" {
			t.Errorf("%s: %+v, %v", what, s, err)
		}
	}
	make()
	revoke(true)
	revoke(false)
	none("welcomed again")
	revoke(true) // nothing is left to end
	revoke(false)
	make()
	must(t, c.RemoveDevice(t.Context(), d.Key))
	must(t, c.AddDevice(t.Context(), d, auth.DeviceSecrets{}))
	none("added again")

	made, ended := 0, 0
	for _, e := range eventsOf(t, c, event.Filter{}) {
		switch e.Kind {
		case event.DevicePathSecretMade:
			made++
		case event.DevicePathSecretRevoked:
			ended++
		}
	}
	if made != 2 || ended != 1 {
		t.Errorf("%d made, %d ended by themselves", made, ended)
	}
}
