package catalog

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// crashesOf are what some devices of the model crashed on the last seven days.
func (p *plant) crashesOf(keys ...fleet.DeviceKey) map[fleet.DeviceKey]int {
	p.t.Helper()
	crashes, err := p.DeviceCrashes("pump", keys, 7)
	must(p.t, err)
	return crashes
}

func (p *plant) wantsCrashes(when string, want map[fleet.DeviceKey]int) {
	p.t.Helper()
	var keys []fleet.DeviceKey
	for n := range 100 {
		keys = append(keys, keyOf(n))
	}
	if got := p.crashesOf(keys...); !maps.Equal(got, want) {
		p.t.Errorf("%s: the devices crashed %v, want %v", when, got, want)
	}
	checkIndexes(p.t, p.Catalog)
}

func TestACrashCountsForItsDeviceWhateverVersionItTurnsOutToBeOf(t *testing.T) {
	p := newPlant(t)
	p.uploads(1, "1.0")
	d := p.uploads(1, "1.1")
	p.uploads(2, "no/version at all")
	three := map[fleet.DeviceKey]int{keyOf(1): 2, keyOf(2): 1}
	p.wantsCrashes("while they wait", three)
	p.decoded(d, "2.0", "f")
	p.wantsCrashes("once one is decoded", three)
	if crashes, err := p.DeviceCrashes("fan", []fleet.DeviceKey{keyOf(1)}, 7); err != nil || len(crashes) > 0 {
		t.Errorf("as a device of another model it crashed %v, %v", crashes, err)
	}
	*p.now = p.now.AddDate(0, 0, 7)
	p.wantsCrashes("a week later", map[fleet.DeviceKey]int{})
}

func TestADeviceIsReadInTheVersionsInWhichItCrashedAndNoOthers(t *testing.T) {
	p := newPlant(t)
	const versions = 40
	for v := range versions {
		p.uploads(1000+v, fmt.Sprintf("1.%d", v)) // of others
	}
	p.uploads(5, "1.3")
	p.uploads(5, "1.7")
	p.uploads(6, "1.3")
	var keys []fleet.DeviceKey
	for n := range 100 {
		keys = append(keys, keyOf(n))
	}
	before := Reads()
	got := p.crashesOf(keys...)
	if read := Reads() - before; read > 3*2 { // a key and a record of each
		t.Errorf("%d records and keys are read of %d devices of which two crashed", read, len(keys))
	}
	if want := map[fleet.DeviceKey]int{keyOf(5): 2, keyOf(6): 1}; !maps.Equal(got, want) {
		t.Errorf("they crashed %v, want %v", got, want)
	}
}

// TestAStartFindsInWhichVersionsDevicesCrashed plays an older version, which knows of no index by device.
func TestAStartFindsInWhichVersionsDevicesCrashed(t *testing.T) {
	p := newPlant(t)
	p.uploads(1, "1.0")
	p.uploads(1, "1.1")
	p.uploads(2, "1.0")
	change := p.store.db.NewWriteBatch()
	must(t, change.Delete([]byte(crashedInKey(crashedKey("pump", "1.1", keyOf(1))))))
	must(t, change.Set([]byte(crashedInKey(crashedKey("pump", "9.9", keyOf(2)))), nil))
	must(t, change.Flush())
	copied := backupOf(t, p.Catalog)
	must(t, p.Close())
	want := map[fleet.DeviceKey]int{keyOf(1): 2, keyOf(2): 1}
	p.open()
	p.wantsCrashes("after a start", want)

	restored := plant{t: t, now: p.now, dir: filepath.Join(t.TempDir(), "restored")}
	o := settled(t, restored.dir)
	o.Now = func() time.Time { return *p.now }
	_, err := Restore(o, bytes.NewReader(copied))
	must(t, err)
	restored.open()
	restored.wantsCrashes("after a restore", want)
}

func TestADeviceThatWasRemovedIsForgottenWithItsCounters(t *testing.T) {
	p := newPlant(t)
	must(t, p.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	must(t, p.AddDevices(t.Context(), devices("pump", 3)))
	p.uploads(1, "1.0")
	must(t, p.RemoveDevice(t.Context(), keyOf(1)))
	p.wantsCrashes("after the removal", map[fleet.DeviceKey]int{keyOf(1): 1}) // its version's counters count it
	*p.now = p.now.AddDate(0, 0, 100)
	must(t, p.NoteTime(*p.now))
	must(t, p.ForgetCounted(t.Context()))
	must(t, p.store.db.View(func(txn *badger.Txn) error {
		return each(txn, crashedInPrefix, "", false, func(key string, _ *badger.Item) error {
			t.Errorf("%s is left", key)
			return nil
		})
	}))
}

func TestAnIndexOfManyIsMadeTrueInPiecesAndThenOnlyCompared(t *testing.T) {
	p := newPlant(t)
	const devices = mostMended + 100
	crashed := func(n int) string { return crashedKey("pump", "1.0", fleet.DeviceKey(fmt.Sprintf("%08d", n))) }
	change := p.store.db.NewWriteBatch()
	for n := range devices {
		must(t, change.Set([]byte(crashed(n)), []byte("{}")))
	}
	must(t, change.Set([]byte(crashedInKey(crashed(devices))), nil))
	must(t, change.Flush())
	must(t, p.adoptCrashed())
	checkIndexes(t, p.Catalog)
	before := Reads()
	must(t, p.adoptCrashed())
	if read := Reads() - before; read > 2*devices+devices/2 {
		t.Errorf("%d keys were read of an index of %d that is true", read, devices)
	}
	change = p.store.db.NewWriteBatch() // as many as before
	must(t, change.Delete([]byte(crashedInKey(crashed(1)))))
	must(t, change.Set([]byte(crashedInKey(crashed(devices+1))), nil))
	must(t, change.Flush())
	must(t, p.adoptCrashed())
	checkIndexes(t, p.Catalog)
}
