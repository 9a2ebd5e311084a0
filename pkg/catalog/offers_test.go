package catalog

import (
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// withPinned is a catalog with a build 1.0 of the model pump and a device that is pinned to it, in the middle of its
// download.
func withPinned(t *testing.T) (*Catalog, fleet.DeviceKey) {
	c := withModel(t, "pump", "valve")
	_, _, err := c.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: "1.0", ELFSHA256: "aa"}, false)
	must(t, err)
	n := newDevice("pump", 1)
	must(t, c.AddDevice(t.Context(), n.Device, n.Secrets))
	key := n.Device.Key
	must(t, change(t, c, key, func(d *fleet.Device) { d.Pin = "1.0" }))
	must(t, c.NoteSent(t.Context(), key, fleet.Sent{Version: "1.0", ETag: `"x"`}))
	return c, key
}

func change(t *testing.T, c *Catalog, key fleet.DeviceKey, f func(*fleet.Device)) error {
	_, err := c.UpdateDevice(t.Context(), key, func(d *fleet.Device) error { f(d); return nil })
	return err
}

func TestABuildThatADeviceIsPinnedToStays(t *testing.T) {
	for name, letGo := range map[string]func(t *testing.T, c *Catalog, key fleet.DeviceKey){
		"until it is unpinned": func(t *testing.T, c *Catalog, key fleet.DeviceKey) {
			must(t, change(t, c, key, func(d *fleet.Device) { d.Pin = "" }))
		},
		"until it is removed": func(t *testing.T, c *Catalog, key fleet.DeviceKey) { must(t, c.RemoveDevice(t.Context(), key)) },
		"until it moves to another model, unpinned": func(t *testing.T, c *Catalog, key fleet.DeviceKey) {
			must(t, change(t, c, key, func(d *fleet.Device) { d.Model, d.Pin = "valve", "" }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, key := withPinned(t)
			want(t, c.RemoveBuild(t.Context(), "pump", "1.0"), fleet.ErrTaken)
			if needed, err := c.NeedsBuild(fleet.Build{Model: "pump", Version: "1.0", ELFSHA256: "aa"}); !needed || err != nil {
				t.Errorf("retention would take it: %v, %v", needed, err)
			}
			letGo(t, c, key)
			must(t, c.RemoveBuild(t.Context(), "pump", "1.0"))
		})
	}
}

func TestNobodyIsPinnedToWhatHisModelDoesNotHave(t *testing.T) {
	c, key := withPinned(t)
	want(t, change(t, c, key, func(d *fleet.Device) { d.Pin = "2.0" }), fleet.ErrRefused)
	want(t, change(t, c, key, func(d *fleet.Device) { d.Model = "valve" }), fleet.ErrRefused)
	if d, err := c.Device(key); err != nil || d.Pin != "1.0" || d.Model != "pump" {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestWhatWasSentIsForgottenWhenTheBuildIsTakenFromTheDevice(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*fleet.Device)
		forgets bool
	}{
		"revoked":          {func(d *fleet.Device) { d.Revoked = true }, true},
		"unpinned":         {func(d *fleet.Device) { d.Pin = "" }, true},
		"named":            {func(d *fleet.Device) { d.Name = "press 4" }, false},
		"on another line":  {func(d *fleet.Device) { d.Line = "line3" }, false},
		"labelled":         {func(d *fleet.Device) { d.Labels = []string{"spare"} }, false},
		"pinned as before": {func(d *fleet.Device) { d.Pin = "1.0" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			store, key := withPinned(t)
			must(t, change(t, store, key, c.change))
			if _, known, err := store.LastSent(key); err != nil || known == c.forgets {
				t.Errorf("known: %v, %v", known, err)
			}
		})
	}
}

func TestWhatWasSentToADeviceThatIsRemovedMeanwhileIsNotKept(t *testing.T) {
	c, key := withPinned(t)
	must(t, c.RemoveDevice(t.Context(), key))
	must(t, c.NoteSent(t.Context(), key, fleet.Sent{Version: "1.1", ETag: `"y"`}))
	if s, known, err := c.LastSent(key); known || err != nil {
		t.Errorf("%+v, %v", s, err)
	}
}
