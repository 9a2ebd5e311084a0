package catalog

import (
	"cmp"
	"slices"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Wanted are the firmwares that dumps wait for, by model and hash. It reads each dump that waits for one: by the hash that it
// carries, or by the version that its device declared where it carries none.
func (c *Catalog) Wanted() ([]crash.Wanted, error) {
	type want struct {
		crash.Wanted
		devices map[fleet.DeviceKey]bool
	}
	all := map[[3]string]*want{}
	err := c.eachCrashIn(crash.Missing, func(one crash.Crash) error {
		key := [3]string{string(one.Model), one.ELFHash}
		if one.ELFHash == "" {
			key[2] = one.DeclaredVersion
		}
		w := all[key]
		if w == nil {
			w = &want{crash.Wanted{ELFHash: one.ELFHash, Model: one.Model, Since: one.Uploaded}, map[fleet.DeviceKey]bool{}}
			all[key] = w
		}
		w.Dumps++
		w.devices[one.Device] = true
		if one.Uploaded.Before(w.Since) {
			w.Since = one.Uploaded
		}
		if at, known := slices.BinarySearch(w.Versions, one.DeclaredVersion); !known {
			w.Versions = slices.Insert(w.Versions, at, one.DeclaredVersion)
		}
		return nil
	})
	wanted := make([]crash.Wanted, 0, len(all))
	for _, w := range all {
		w.Devices = len(w.devices)
		wanted = append(wanted, w.Wanted)
	}
	slices.SortFunc(wanted, func(a, b crash.Wanted) int { return cmp.Compare(a.ID(), b.ID()) })
	return wanted, err
}
