package contract

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// CrashStore is what triage needs of the catalog but for regrouping, which has tests of its own over the real one, and how
// a test lays dumps and builds into it.
type CrashStore interface {
	WaitingCrashes(limit int) ([]crash.Crash, error)
	FailedCrashes(notBy string, limit int) ([]crash.Crash, error)
	CrashesIn(state crash.State, wanted func(crash.Crash) bool) ([]crash.Crash, error)
	BuildsByELF(prefix string) ([]fleet.Build, error)
	Build(fleet.ModelCode, fleet.Version) (fleet.Build, error)
	RecordCrash(ctx context.Context, c crash.Crash, keep int) (crash.Outcome, error)
	RecordCrashes(ctx context.Context, some []crash.Crash, keep int, done func(crash.Crash, crash.Outcome, error))
	WakeCrashes(ctx context.Context, b fleet.Build) (int, error)
	Dump(fleet.DeviceKey, fleet.DumpName) (crash.Listed, error)
	AskedCrashes(limit int) ([]crash.Crash, error)
	AskAgain(context.Context, fleet.DeviceKey, fleet.DumpName) error
	KeepCrash(ctx context.Context, c crash.Crash, why string) error

	LayDump(*testing.T, fleet.Dump)
	LayBuild(*testing.T, fleet.Build)
}

// Crashes is run on a store that knows the model pump and neither dumps nor builds.
func Crashes(t *testing.T, open func(t *testing.T) CrashStore) {
	all := func(crash.Crash) bool { return true }
	names := func(t *testing.T, some []crash.Crash, err error, want ...fleet.Dump) {
		t.Helper()
		ok := err == nil && len(some) == len(want)
		for i := range want {
			ok = ok && some[i].Name == want[i].Name()
		}
		if !ok {
			t.Errorf("%+v, %v; want %v", some, err, want)
		}
	}
	lay := func(t *testing.T, s CrashStore, n int) (laid []fleet.Dump) {
		for i := range n {
			laid = append(laid, dump("aaaaaaaa", i))
			s.LayDump(t, laid[i])
		}
		return laid
	}
	// judged records what triage found of a dump.
	judged := func(t *testing.T, s CrashStore, d fleet.Dump, change func(*crash.Crash)) {
		t.Helper()
		listed, err := s.Dump(d.Device, d.Name())
		must(t, err)
		change(&listed.Crash)
		_, err = s.RecordCrash(t.Context(), listed.Crash, 0)
		must(t, err)
	}
	t.Run("dumps wait, oldest first, and no more are handed out than asked for", func(t *testing.T) {
		s := open(t)
		laid := lay(t, s, 3)
		some, err := s.WaitingCrashes(2)
		names(t, some, err, laid[:2]...)
		some, err = s.WaitingCrashes(10)
		names(t, some, err, laid...)
	})
	t.Run("many are recorded at once, and one that is gone keeps no other from it", func(t *testing.T) {
		s := open(t)
		var some []crash.Crash
		for _, d := range append(lay(t, s, 3), dump("gone", 9)) {
			some = append(some, crash.Crash{Device: d.Device, Model: d.Model, Name: d.Name(), Uploaded: d.UploadedAt, State: crash.Reported})
		}
		some[1], some[3] = some[3], some[1]
		var told []string
		s.RecordCrashes(t.Context(), some, 0, func(c crash.Crash, _ crash.Outcome, err error) {
			told = append(told, fmt.Sprint(c.Device, " ", errors.Is(err, fleet.ErrUnknown)))
		})
		if want := []string{"aaaaaaaa false", "gone true", "aaaaaaaa false", "aaaaaaaa false"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		if left, err := s.WaitingCrashes(10); err != nil || len(left) != 0 {
			t.Errorf("waiting still: %+v, %v", left, err)
		}
	})
	t.Run("what was looked at waits no more", func(t *testing.T) {
		s := open(t)
		laid := lay(t, s, 2)
		judged(t, s, laid[0], func(c *crash.Crash) { c.State, c.Why, c.DecodedBy = crash.Failed, "no dump", "1.0.0" })
		some, err := s.WaitingCrashes(10)
		names(t, some, err, laid[1])
		some, err = s.CrashesIn(crash.Failed, all)
		names(t, some, err, laid[0])
		some, err = s.CrashesIn(crash.Failed, func(crash.Crash) bool { return false })
		names(t, some, err)
	})
	t.Run("what failed is tried again by another version only", func(t *testing.T) {
		s := open(t)
		laid := lay(t, s, 2)
		for _, d := range laid {
			judged(t, s, d, func(c *crash.Crash) { c.State, c.DecodedBy = crash.Failed, "1.0.0" })
		}
		some, err := s.FailedCrashes("1.0.0", 10)
		names(t, some, err)
		some, err = s.FailedCrashes("2.0.0", 1)
		names(t, some, err, laid[0])
	})
	t.Run("a build wakes those that wait for its ELF, and those without a hash that declared it", func(t *testing.T) {
		s := open(t)
		laid := lay(t, s, 3)
		for i, hash := range []string{"ab12", "cd34", ""} {
			judged(t, s, laid[i], func(c *crash.Crash) {
				if c.State, c.ELFHash = crash.Missing, hash; hash == "" {
					c.Grade = crash.MissingELF
				}
			})
		}
		for _, b := range []struct {
			build fleet.Build
			woken []fleet.Dump
		}{
			{fleet.Build{Model: "pump", Version: "9.0.0", ELFSHA256: "ffff"}, nil},
			{fleet.Build{Model: "pump", Version: "2.0.0", ELFSHA256: "ab1234"}, laid[:1]},
			{fleet.Build{Model: "pump", Version: "1.0.0", ELFSHA256: "eeee"}, []fleet.Dump{laid[0], laid[2]}},
		} {
			s.LayBuild(t, b.build)
			_, err := s.WakeCrashes(t.Context(), b.build)
			must(t, err)
			some, err := s.WaitingCrashes(10)
			names(t, some, err, b.woken...)
		}
	})
	t.Run("what somebody asks for is handed out until it was looked at, and what waits as it is, is not", func(t *testing.T) {
		s := open(t)
		laid := lay(t, s, 5)
		judged(t, s, laid[0], func(c *crash.Crash) { c.State, c.DecodedBy = crash.Failed, "1.0.0" })
		judged(t, s, laid[1], func(c *crash.Crash) { c.State, c.Fingerprint = crash.Reported, "f1" })
		judged(t, s, laid[2], func(c *crash.Crash) { c.State, c.ELFHash = crash.Missing, "ab12" })
		some, err := s.AskedCrashes(10)
		names(t, some, err)
		for _, d := range laid[:4] {
			must(t, s.AskAgain(t.Context(), d.Device, d.Name()))
		}
		some, err = s.AskedCrashes(2)
		names(t, some, err, laid[:2]...)
		begun, err := s.AskedCrashes(10)
		names(t, begun, err, laid[:3]...)
		judged(t, s, laid[0], func(c *crash.Crash) { c.State, c.Fingerprint = crash.Reported, "f1" })
		must(t, s.KeepCrash(t.Context(), begun[1], "it is damaged"))
		if kept, err := s.Dump(laid[1].Device, laid[1].Name()); err != nil || kept.Crash.State != crash.Reported || kept.Crash.Why != "it is damaged" {
			t.Errorf("what stays as it was: %+v, %v", kept.Crash, err)
		}
		some, err = s.AskedCrashes(10)
		names(t, some, err, laid[2])
		judged(t, s, laid[2], func(c *crash.Crash) { c.Again = nil }) // it was begun before they asked
		some, err = s.AskedCrashes(10)
		names(t, some, err, laid[2])
		_, err = s.WakeCrashes(t.Context(), fleet.Build{Model: "pump", Version: "2.0.0", ELFSHA256: "ab1234"})
		must(t, err)
		some, err = s.AskedCrashes(10)
		names(t, some, err)
		some, err = s.WaitingCrashes(10)
		names(t, some, err, laid[2:]...)
		gone := dump("aaaaaaaa", 9)
		is(t, "asking for one that is not there", s.AskAgain(t.Context(), gone.Device, gone.Name()), fleet.ErrUnknown)
	})
	t.Run("builds are found by the beginning of their ELF's hash", func(t *testing.T) {
		s := open(t)
		s.LayBuild(t, fleet.Build{Model: "pump", Version: "1.0.0", ELFSHA256: "ab1234"})
		s.LayBuild(t, fleet.Build{Model: "pump", Version: "2.0.0", ELFSHA256: "ab5678"})
		for prefix, want := range map[string]int{"ab": 2, "ab12": 1, "ab1234": 1, "cd": 0} {
			if got, err := s.BuildsByELF(prefix); err != nil || len(got) != want {
				t.Errorf("%s: %v, %v; want %d", prefix, got, err, want)
			}
		}
		if b, err := s.Build("pump", "2.0.0"); err != nil || b.ELFSHA256 != "ab5678" {
			t.Errorf("%+v, %v", b, err)
		}
		_, err := s.Build("pump", "3.0.0")
		is(t, "another version", err, fleet.ErrUnknown)
	})
	t.Run("a dump that is not there is unknown", func(t *testing.T) {
		_, err := open(t).Dump("aaaaaaaa", dump("aaaaaaaa", 1).Name())
		is(t, "it", err, fleet.ErrUnknown)
	})
}

// ReportStore is what triage needs of the dump directories.
type ReportStore interface {
	WriteReport(fleet.DeviceKey, fleet.DumpName, []byte) error
	ReadReport(fleet.DeviceKey, fleet.DumpName) ([]byte, error)
}

// Reports is run on a store and a dump that lies in it.
func Reports(t *testing.T, open func(t *testing.T) (ReportStore, fleet.Dump)) {
	s, d := open(t)
	_, err := s.ReadReport(d.Device, d.Name())
	is(t, "a report that nobody wrote", err, fleet.ErrUnknown)
	for _, report := range []string{"one", "another"} {
		must(t, s.WriteReport(d.Device, d.Name(), []byte(report)))
		if got, err := s.ReadReport(d.Device, d.Name()); err != nil || string(got) != report {
			t.Errorf("%q, %v; want %q", got, err, report)
		}
	}
}
