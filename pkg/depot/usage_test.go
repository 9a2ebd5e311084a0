package depot

import (
	"os"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

func TestUsageFollowsEveryChangeAndReadsNothingAgainWithoutOne(t *testing.T) {
	h := open(t, func(o *Options) { o.Now = func() time.Time { return time.Now().Add(time.Hour) } }) // every listing is settled
	h.model(t, "pump")
	count := func() int64 {
		t.Helper()
		n, err := h.Usage()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"})).Build
	one := count()
	second := h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: "1.1.0"})).Build
	two := count()
	if want := one + second.BundleSize + second.ImageSize; two != want {
		t.Errorf("two builds take %d bytes, want %d", two, want)
	}
	f, err := os.OpenFile(h.path("pump", first.Version, bundleSuffix), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("grown by nobody of the house"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if again := count(); again != two {
		t.Errorf("a directory that had not changed was read again: %d bytes, not %d", again, two)
	}
	if err := h.Remove(t.Context(), "pump", first.Version); err != nil {
		t.Fatal(err)
	}
	if left := count(); left != second.BundleSize+second.ImageSize {
		t.Errorf("the build that is left takes %d bytes, want %d", left, second.BundleSize+second.ImageSize)
	}
}
