package crash

import (
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func byVersion(a, b fleet.Version) bool {
	sign, _ := fleet.CompareVersions(a, b)
	return sign > 0
}

func seen(v fleet.Version, day int, device fleet.DeviceKey) Crash {
	return Crash{Device: device, Model: "pump", Version: v, Fingerprint: "f", Reason: string(v), Uploaded: time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC)}
}

func TestAGroupCountsCrashesDevicesAndVersions(t *testing.T) {
	var g Group
	if news := g.Add(seen("1.1.0", 2, "aaaaaaaa"), true, byVersion); news != New {
		t.Errorf("the first crash is %s", news)
	}
	if news := g.Add(seen("1.0.0", 1, "bbbbbbbb"), true, byVersion); news != Known {
		t.Errorf("the second crash is %s", news)
	}
	g.Add(seen("1.2.0", 3, "aaaaaaaa"), false, byVersion)
	if g.Count != 3 || g.Devices != 2 || g.FirstVersion != "1.0.0" || g.LastVersion != "1.2.0" || g.FirstSeen.Day() != 1 || g.LastSeen.Day() != 3 || g.Reason != "1.2.0" {
		t.Errorf("group %+v", g)
	}
}

func TestARegressionGoesByVersionOrderAndNotByTimeOfArrival(t *testing.T) {
	for _, test := range []struct {
		version fleet.Version
		want    News
		state   GroupState
	}{
		{"1.9.0", Known, Resolved}, // a straggler, uploaded long after
		{"1.10.0", Regression, Open},
		{"1.11.0", Regression, Open},
	} {
		var g Group
		g.Add(seen("1.0.0", 1, "aaaaaaaa"), true, byVersion)
		g.Resolve("1.10.0", time.Time{})
		if news := g.Add(seen(test.version, 9, "aaaaaaaa"), false, byVersion); news != test.want || g.State != test.state || g.Regressed != (test.want == Regression) {
			t.Errorf("%s after resolved in 1.10.0: %s, %s", test.version, news, g.State)
		}
	}
}

func TestAnIgnoredGroupKeepsCountingAndStaysIgnored(t *testing.T) {
	var g Group
	g.Add(seen("1.0.0", 1, "aaaaaaaa"), true, byVersion)
	g.Ignore(Bound{}, time.Time{})
	if news := g.Add(seen("2.0.0", 2, "aaaaaaaa"), false, byVersion); news != Known || g.State != Ignored || g.Count != 2 {
		t.Errorf("%s, %+v", news, g)
	}
	g.Reopen(time.Time{})
	if g.State != Open {
		t.Error("still", g.State)
	}
}

func TestARegressionThatIsIgnoredIsNoneAnyMore(t *testing.T) {
	var g Group
	g.Add(seen("1.0.0", 1, "aaaaaaaa"), true, byVersion)
	g.Resolve("1.1.0", time.Time{})
	if news := g.Add(seen("1.2.0", 2, "aaaaaaaa"), false, byVersion); news != Regression {
		t.Fatalf("it is %s", news)
	}
	g.Ignore(Bound{}, time.Time{})
	if g.State != Ignored || g.Regressed || g.RegressedIn != "" || g.ResolvedIn != "" {
		t.Errorf("%+v", g)
	}
}
