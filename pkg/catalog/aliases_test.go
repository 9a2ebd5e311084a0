package catalog

import (
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestANameMeansOneDeviceAndGoesWithIt(t *testing.T) {
	c := withModel(t, "pump")
	one, two := newDevice("pump", 1), newDevice("pump", 2)
	one.Device.Aliases = []fleet.Alias{"24:6f:28:aa:00:01", "board-1"}
	must(t, c.AddDevice(t.Context(), one.Device, one.Secrets))
	must(t, c.AddDevice(t.Context(), two.Device, two.Secrets))
	call := func(key fleet.DeviceKey, aliases ...fleet.Alias) error {
		_, err := c.UpdateDevice(t.Context(), key, func(d *fleet.Device) error {
			d.Aliases = aliases
			return nil
		})
		return err
	}
	means := func(name string, key fleet.DeviceKey) {
		t.Helper()
		d, err := c.DeviceByAlias(name)
		if key == "" {
			want(t, err, fleet.ErrUnknown)
			return
		}
		if err != nil || d.Key != key {
			t.Errorf("%q means %q, %v; want %q", name, d.Key, err, key)
		}
	}
	means("board-1", one.Device.Key)
	means(string(one.Device.Key), one.Device.Key)
	means("board-3", "")
	means("a/b", "")
	want(t, call(two.Device.Key, "board-1"), fleet.ErrTaken)
	want(t, call(two.Device.Key, fleet.Alias(one.Device.Key)), fleet.ErrTaken)
	must(t, call(two.Device.Key, "beefcafe")) // as a key is written
	late := newDevice("pump", 3)
	late.Device.Key = "beefcafe"
	want(t, c.AddDevice(t.Context(), late.Device, late.Secrets), fleet.ErrTaken)
	late = newDevice("pump", 3)
	late.Device.Aliases = []fleet.Alias{"beefcafe"}
	want(t, c.AddDevices(t.Context(), []auth.NewDevice{late}), fleet.ErrTaken)

	must(t, call(one.Device.Key, "board-1", "board-3")) // one stays, one goes, one comes
	means("24:6f:28:aa:00:01", "")
	means("board-1", one.Device.Key)
	means("board-3", one.Device.Key)
	must(t, call(two.Device.Key, "24:6f:28:aa:00:01"))
	must(t, c.RemoveDevice(t.Context(), one.Device.Key))
	means("board-3", "")
	must(t, c.RemoveDevice(t.Context(), two.Device.Key))
	if n := below(t, c, "da/"); n != 0 {
		t.Errorf("%d names are left of devices that are gone", n)
	}
}

func TestAnImportInWhichTwoDevicesHaveOneNameAddsNone(t *testing.T) {
	c := withModel(t, "pump")
	fleetOf := make([]auth.NewDevice, 150)
	for i := range fleetOf {
		fleetOf[i] = newDevice("pump", i)
	}
	fleetOf[0].Device.Aliases = []fleet.Alias{"board-1"}
	fleetOf[149].Device.Aliases = []fleet.Alias{"board-1"}
	want(t, c.AddDevices(t.Context(), fleetOf), fleet.ErrTaken)
	if n := below(t, c, "da/", "d/"); n != 0 {
		t.Errorf("%d records are left", n)
	}
}
