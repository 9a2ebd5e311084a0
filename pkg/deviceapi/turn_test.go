package deviceapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestADeviceHasItsTurnBeforeAnAnswerNamesAVersion(t *testing.T) {
	for _, route := range []string{"GET /api/iot/firmware", "HEAD /api/iot/firmware", "GET /api/iot/firmware-version"} {
		t.Run(route, func(t *testing.T) {
			r := open(t, nil)
			r.turned = map[fleet.DeviceKey]fleet.Version{"aaaaaaa1": "1.0"}
			method, path, _ := strings.Cut(route, " ")
			got := r.do(t, method, path, nil, pumpsToken)
			if v := got.header.Get("X-Firmware-Version"); path == "/api/iot/firmware" && v != "1.0" {
				t.Errorf("the answer names %q: its turn is version 1.0", v)
			}
			if path != "/api/iot/firmware" && string(got.body) != `{"firmware_version":"1.0"}`+"\n" {
				t.Errorf("the answer is %s", got.body)
			}
			if len(r.turns) != 1 {
				t.Errorf("it had %d turns", len(r.turns))
			}
		})
	}
}

func TestTheRestOfADownloadIsNoTurn(t *testing.T) {
	r := open(t, nil)
	r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken)
	r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken, "Range: bytes=4096-")
	if len(r.turns) != 1 {
		t.Errorf("%d turns, want the one of the begin", len(r.turns))
	}
}

// esp_https_ota asks for the size by HEAD, and counts its ranges by it: a turn in between would end its download in the middle.
func TestTheFirstRangeAfterAHeadIsNoTurn(t *testing.T) {
	r := open(t, nil)
	for range 2 {
		r.do(t, "HEAD", "/api/iot/firmware", nil, pumpsToken)
		r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken, "Range: bytes=0-4095")
	}
	if len(r.turns) != 2 {
		t.Errorf("%d turns, want those of the two HEADs", len(r.turns))
	}
	r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken, "Range: bytes=0-4095")
	r.do(t, "HEAD", "/api/iot/firmware", nil, pumpsToken)
	r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken)
	if len(r.turns) != 5 {
		t.Errorf("%d turns, want those of a range without a HEAD, and of all of an image", len(r.turns))
	}
}

func TestADeviceThatFetchesAVersionByNameIsTold(t *testing.T) {
	r := open(t, nil)
	r.do(t, "HEAD", "/api/iot/firmware/1.0", nil, pumpsToken)
	r.do(t, "GET", "/api/iot/firmware/1.0", nil, pumpsToken)
	if !slices.Equal(r.strayed, []string{"aaaaaaa1 1.0"}) {
		t.Errorf("strayed: %q", r.strayed)
	}
}

// A halt ends what is being sent. What it does not find there yet, as it was offered just before, must not begin after it.
func TestAnAnswerThatAHaltComesBeforeIsNotBegun(t *testing.T) {
	for name, path := range map[string]string{"offered": "/api/iot/firmware", "taken by itself": "/api/iot/firmware/1.0"} {
		t.Run(name, func(t *testing.T) {
			r := open(t, nil)
			r.turned = map[fleet.DeviceKey]fleet.Version{"aaaaaaa1": "1.0"}
			r.noting = func() { r.taken = "1.0" } // it is offered by then, and no byte has gone out
			if got := r.do(t, "GET", path, nil, pumpsToken); got.status == http.StatusOK || len(got.body) > 1000 {
				t.Errorf("status %d and %d bytes", got.status, len(got.body))
			}
			if got := r.do(t, "GET", "/api/iot/firmware/1.0", nil, pumpsToken); got.status != http.StatusOK {
				t.Errorf("status %d: what a device asks for by name after a halt is its own matter", got.status)
			}
		})
	}
}

func TestADeviceThatTakesABuildByNameIsSentNothingThatIsNotOnRecord(t *testing.T) {
	r := open(t, nil)
	r.full = fleet.Full("no room")
	if got := r.do(t, "GET", "/api/iot/firmware/1.0", nil, pumpsToken); got.status != http.StatusInsufficientStorage {
		t.Errorf("status %d, want 507", got.status)
	}
}
