package catalog

import (
	"fmt"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// below counts the keys below prefixes.
func below(t *testing.T, c *Catalog, prefixes ...string) (n int) {
	t.Helper()
	for _, prefix := range prefixes {
		must(t, c.view(func(txn *badger.Txn) error {
			return each(txn, prefix, "", false, func(string, *badger.Item) error {
				n++
				return nil
			})
		}))
	}
	return n
}

func TestADeviceHasOneMACWhichGoesWithIt(t *testing.T) {
	c := withModel(t, "pump")
	one, two := newDevice("pump", 1), newDevice("pump", 2)
	must(t, c.AddDevice(t.Context(), one.Device, one.Secrets))
	must(t, c.AddDevice(t.Context(), two.Device, two.Secrets))
	of := func(mac string, want fleet.DeviceKey) {
		t.Helper()
		if key, found, err := c.DeviceOfMAC(mac); key != want || found != (want != "") || err != nil {
			t.Errorf("%s is %q, %v, %v, want %q", mac, key, found, err, want)
		}
	}
	for i := range 100 {
		must(t, c.KeepMAC(t.Context(), fmt.Sprintf("%012x", i), one.Device.Key))
	}
	of(fmt.Sprintf("%012x", 98), "")
	of(fmt.Sprintf("%012x", 99), one.Device.Key)
	must(t, c.KeepMAC(t.Context(), fmt.Sprintf("%012x", 99), two.Device.Key)) // the board is another one's now
	must(t, c.KeepMAC(t.Context(), fmt.Sprintf("%012x", 99), two.Device.Key)) // once more
	must(t, c.KeepMAC(t.Context(), "0242ac110001", one.Device.Key))
	of(fmt.Sprintf("%012x", 99), two.Device.Key)
	if n := below(t, c, "dx/", "dw/"); n != 4 {
		t.Errorf("%d keys of two MACs", n)
	}
	must(t, c.RemoveDevice(t.Context(), one.Device.Key))
	must(t, c.KeepMAC(t.Context(), "0242ac110001", one.Device.Key)) // a message that was on its way
	must(t, c.RemoveDevice(t.Context(), two.Device.Key))
	if n := below(t, c, "dx/", "dw/"); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}
