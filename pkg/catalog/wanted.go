package catalog

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// keptWanted is what was wanted when it was looked at last. Where a hundred thousand dumps wait a look takes a second: it is
// then made again after twenty times as long, though more have come.
type keptWanted struct {
	mu   sync.Mutex // guards what follows: who comes while it is made waits for it
	all  []crash.Wanted
	mark string // of the hints, when it was begun
	made time.Time
	took time.Duration
}

const (
	quickLook = 20 * time.Millisecond
	lookRest  = 20 // times what the look took
)

// Wanted are the firmwares that dumps wait for, by model and hash: by the hash that a dump carries, or by the version that its
// device declared where it carries none. It reads each dump that waits, unless none has changed since.
func (c *Catalog) Wanted() ([]crash.Wanted, error) {
	k := &c.wanted
	k.mu.Lock()
	defer k.mu.Unlock()
	nouns, mark := c.hints.Since(k.mark)
	changed := k.mark == "" || slices.Contains(nouns, "dump")
	if !changed || k.took > quickLook && time.Since(k.made) < lookRest*k.took {
		return slices.Clone(k.all), nil
	}
	began := time.Now()
	all, err := c.lookForWanted()
	if err == nil {
		k.all, k.mark, k.made, k.took = all, mark, time.Now(), time.Since(began)
	}
	return slices.Clone(all), err
}

func (c *Catalog) lookForWanted() ([]crash.Wanted, error) {
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
