package deviceapi

import (
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// trickle is an answer of which so much has arrived.
type trickle int64

func (n trickle) Arrived() int64               { return int64(n) }
func (n trickle) End(func(a endpoint.Arrival)) {}

// inTheMiddle is what is told of an image of a MiB of which so much has arrived after a second.
func inTheMiddle(t *testing.T, arrived int64, ends time.Duration) (seen []fleet.Seen) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		y := &way{door: New(Options{Sightings: m, Now: time.Now}), w: httptest.NewRecorder(), answer: trickle(arrived), seen: fleet.Seen{
			Device: "aaaaaaa1", By: fleet.HeardFirmware, Transfer: &fleet.Transfer{Version: "1.0", Size: 1 << 20, To: 1 << 20},
		}}
		y.follow()
		time.Sleep(ends)
		y.written()
		time.Sleep(time.Second)
		seen = m.seen
	})
	return seen
}

func TestAPlainDownloadIsToldOnceBeforeItsEnd(t *testing.T) {
	seen := inTheMiddle(t, 300_000, 3*time.Second)
	if len(seen) != 1 || seen[0].Device != "aaaaaaa1" {
		t.Fatalf("%+v", seen)
	}
	if tr := seen[0].Transfer; !tr.Going || tr.Whole || tr.Arrived <= 16<<10 || tr.Arrived > 300_000 {
		t.Errorf("%+v", tr)
	}
	if seen := inTheMiddle(t, 20_000, 3*time.Second); len(seen) > 0 { // a device that looks at it and takes its time
		t.Errorf("%+v", seen)
	}
	if seen := inTheMiddle(t, 300_000, 100*time.Millisecond); len(seen) > 0 { // over before anybody looked: its end is told
		t.Errorf("%+v", seen)
	}
}
