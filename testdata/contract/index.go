package contract

import (
	"errors"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/dumps"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Index is what the dump directories need of the catalog. What is recorded later must be there when settle returns.
func Index(t *testing.T, open func(t *testing.T) (x dumps.Index, settle func())) {
	known := func(t *testing.T, x dumps.Index) map[fleet.DumpName]fleet.Dump {
		t.Helper()
		all := map[fleet.DumpName]fleet.Dump{}
		must(t, x.EachDump(func(d fleet.Dump) error {
			if _, twice := all[d.Name()]; twice {
				t.Errorf("%s comes twice", d.Name())
			}
			all[d.Name()] = d
			return nil
		}))
		return all
	}
	t.Run("what is recorded is known, once", func(t *testing.T) {
		x, settle := open(t)
		one, two := dump("aaaaaaaa", 1), dump("bbbbbbbb", 2)
		must(t, x.RecordDumps(t.Context(), []fleet.Dump{one}))
		must(t, x.RecordDumps(t.Context(), []fleet.Dump{one}))
		x.RecordDumpLater(two)
		settle()
		if all := known(t, x); len(all) != 2 || all[one.Name()] != one || all[two.Name()] != two {
			t.Errorf("%v", all)
		}
	})
	t.Run("what is removed is gone, and may be removed again", func(t *testing.T) {
		x, _ := open(t)
		one, two := dump("aaaaaaaa", 1), dump("aaaaaaaa", 2)
		must(t, x.RecordDumps(t.Context(), []fleet.Dump{one, two}))
		must(t, x.RemoveDump(t.Context(), one.Device, one.Name()))
		must(t, x.RemoveDump(t.Context(), one.Device, one.Name()))
		if all := known(t, x); len(all) != 1 || all[two.Name()] != two {
			t.Errorf("%v", all)
		}
	})
	t.Run("an error ends the walk and is returned", func(t *testing.T) {
		x, _ := open(t)
		must(t, x.RecordDumps(t.Context(), []fleet.Dump{dump("aaaaaaaa", 1), dump("aaaaaaaa", 2)}))
		stop, calls := errors.New("stop"), 0
		is(t, "the walk", x.EachDump(func(fleet.Dump) error { calls++; return stop }), stop)
		if calls != 1 {
			t.Errorf("%d calls", calls)
		}
	})
	t.Run("a dump without a fingerprint is no end of a crash", func(t *testing.T) {
		x, _ := open(t)
		one := dump("aaaaaaaa", 1)
		must(t, x.RecordDumps(t.Context(), []fleet.Dump{one}))
		if first, last, err := x.EndsOfCrash(one.Device, one.Name()); first || last || err != nil {
			t.Errorf("first %t, last %t, %v", first, last, err)
		}
	})
}
