package catalog

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// wantsOn holds the devices of a group that are kept in memory against those that are wanted, and against the records.
func wantsOn(t *testing.T, c *Catalog, when, address string, want ...fleet.DeviceKey) {
	t.Helper()
	_, devices, err := c.CrashedOn(address)
	if err != nil || !slices.Equal(devices, want) {
		t.Errorf("%s: %s was seen on %v, %v; want %v", when, address, devices, err, want)
	}
	counted, _, err := c.GroupDevices(address, "", 0)
	must(t, err)
	var stored []fleet.DeviceKey
	for _, d := range counted {
		stored = append(stored, d.Device)
	}
	if !slices.Equal(devices, stored) {
		t.Errorf("%s: kept are %v, and there are %v", when, devices, stored)
	}
}

func TestTheDevicesOfAGroupAreReadOnceAndBroughtAlong(t *testing.T) {
	p := newPlant(t)
	c := p.Catalog
	crashed := func(n int, fingerprint string) { p.decoded(p.uploads(n, "1.0"), "1.0", fingerprint) }
	crashed(5, "f0")
	crashed(1, "f0")
	crashed(3, "f1")
	wantsOn(t, c, "at first", "f0", keyOf(1), keyOf(5))
	wantsOn(t, c, "at first", "f1", keyOf(3))
	_, before, err := c.CrashedOn("f0")
	must(t, err)
	crashed(4, "f0")
	crashed(2, "f1")
	wantsOn(t, c, "after others crashed", "f0", keyOf(1), keyOf(4), keyOf(5))
	wantsOn(t, c, "after others crashed", "f1", keyOf(2), keyOf(3))
	if !slices.Equal(before, []fleet.DeviceKey{keyOf(1), keyOf(5)}) {
		t.Errorf("what was answered before has become %v", before)
	}
	read := Reads()
	if _, _, err := c.CrashedOn("f0"); err != nil || Reads()-read > 1 {
		t.Errorf("%d records and keys are read of a group that was asked for before, %v", Reads()-read, err)
	}
	g, err := c.MergeGroups(t.Context(), "f0", "f1")
	must(t, err)
	all := []fleet.DeviceKey{keyOf(1), keyOf(2), keyOf(3), keyOf(4), keyOf(5)}
	wantsOn(t, c, "after a merge", g.Fingerprint, all...)
	wantsOn(t, c, "by the address of before", "f1", all...)
	_, _, err = c.SplitGroup(t.Context(), "f0", []string{"f1"})
	must(t, err)
	wantsOn(t, c, "after a split", "f1", keyOf(2), keyOf(3))
	if _, _, err := c.CrashedOn("f7"); !errors.Is(err, fleet.ErrUnknown) {
		t.Errorf("of no group: %v", err)
	}
}

func TestADumpThatMovesToAnotherChainTakesItsDeviceAlong(t *testing.T) {
	p := newPlant(t)
	p.decoded(p.uploads(1, "1.0"), "1.0", "f0")
	moved := p.uploads(2, "1.0")
	p.decoded(moved, "1.0", "f0")
	wantsOn(t, p.Catalog, "at first", "f0", keyOf(1), keyOf(2))
	p.decoded(moved, "1.0", "g0") // by rules that have changed
	wantsOn(t, p.Catalog, "decoded again", "f0", keyOf(1))
	wantsOn(t, p.Catalog, "decoded again", "g0", keyOf(2))
	if addresses, err := p.CrashAddresses(); err != nil || !slices.Contains(addresses, "f0") || !slices.Contains(addresses, "g0") {
		t.Errorf("%v, %v", addresses, err)
	}
}

func TestTheDevicesOfChainsThatAreKeptAreBounded(t *testing.T) {
	x := groupIndex{devices: map[string][]fleet.DeviceKey{}}
	for n := range 7 {
		x.keepDevices(fmt.Sprint("f", n), make([]fleet.DeviceKey, mostAsked/3))
		kept := 0
		for _, devices := range x.devices {
			kept += len(devices)
		}
		if kept > mostAsked || len(x.devices[fmt.Sprint("f", n)]) != mostAsked/3 {
			t.Errorf("after %d chains %d devices are kept", n+1, kept)
		}
	}
}
