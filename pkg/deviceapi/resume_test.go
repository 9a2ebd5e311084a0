package deviceapi

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func publish(r *rig, v fleet.Version) {
	r.models["pump"] = fleet.Model{Code: "pump", FirmwareVersion: v}
}

func TestADownloadGoesOnWithTheBuildThatItBeganWith(t *testing.T) {
	older, current := bytes.Repeat([]byte("1.0 "), 5000), bytes.Repeat([]byte("1.1 "), 5000)
	for name, begin := range map[string]string{
		"whole from its start":   "X: none",
		"a range that is open":   "Range: bytes=0-",
		"its first block":        "Range: bytes=0-4095",
		"an If-None-Match lost":  `If-None-Match: "of-0.9"`,
		"an If-Range that holds": `If-Range: "of-1.0"`,
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, nil)
			publish(r, "1.0")
			r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken, begin)
			publish(r, "1.1")
			for _, method := range []string{"HEAD", "GET"} {
				got := r.do(t, method, "/api/iot/firmware", nil, pumpsToken, "Range: bytes=4096-")
				if got.status != http.StatusPartialContent || got.header.Get("X-Firmware-Version") != "1.0" || method == "GET" && !bytes.Equal(got.body, older[4096:]) {
					t.Errorf("%s: %d, version %s, %.12q", method, got.status, got.header.Get("X-Firmware-Version"), got.body)
				}
			}
			got := r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken, "Range: bytes=4096-", `If-Range: "of-1.0"`)
			if got.status != http.StatusOK || !bytes.Equal(got.body, current) {
				t.Errorf("whoever says whose rest it wants: %d, %.12q", got.status, got.body)
			}
			got = r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken, "Range: bytes=4096-")
			if got.status != http.StatusPartialContent || !bytes.Equal(got.body, current[4096:]) {
				t.Errorf("after it was sent the new one from its start: %d, %.12q", got.status, got.body)
			}
		})
	}
}

func TestADownloadWhoseBuildIsGoneStartsOver(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, r *rig){
		"nothing was ever sent": func(_ *testing.T, r *rig) { delete(r.sent, "aaaaaaa1") },
		"the build is removed": func(t *testing.T, r *rig) {
			if err := os.Remove(filepath.Join(r.dir, "pump-1.0")); err != nil {
				t.Fatal(err)
			}
		},
		"a rollout has taken it back": func(_ *testing.T, r *rig) { r.taken = "1.0" },
		"the build is replaced":       func(_ *testing.T, r *rig) { r.sent["aaaaaaa1"] = fleet.Sent{Version: "1.0", ETag: `"of other bytes"`} },
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, nil)
			publish(r, "1.0")
			r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken)
			publish(r, "1.1")
			lose(t, r)
			got := r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken, "Range: bytes=4096-")
			if got.status != http.StatusRequestedRangeNotSatisfiable || got.length != 0 || got.header.Get("Content-Range") != "bytes */20000" {
				t.Errorf("%d, length %d, %v", got.status, got.length, got.header)
			}
		})
	}
}

func TestTheAddressOfABuildNeverGoesOnWithOtherBytes(t *testing.T) {
	r := open(t, nil)
	r.do(t, "GET", "/api/iot/firmware/1.0", nil, pumpsToken)
	if got := r.do(t, "GET", "/api/iot/firmware/1.0", nil, pumpsToken, "Range: bytes=4096-"); got.status != http.StatusPartialContent {
		t.Errorf("the rest of the same bytes: %d", got.status)
	}
	r.sent["aaaaaaa1"] = fleet.Sent{Version: "1.0", ETag: `"as it was before it was replaced"`}
	if got := r.do(t, "GET", "/api/iot/firmware/1.0", nil, pumpsToken, "Range: bytes=4096-"); got.status != http.StatusRequestedRangeNotSatisfiable || got.length != 0 {
		t.Errorf("the rest of other bytes: %d, length %d", got.status, got.length)
	}
}

func TestWhatIsSentIsNotedOnceADownloadAndNotForChecks(t *testing.T) {
	r := open(t, nil)
	for range 3 {
		r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken)
		r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken, "Range: bytes=8-")
		r.do(t, "GET", "/api/iot/firmware/1.0", nil, pumpsToken, `If-None-Match: "of-1.0"`)
		r.do(t, "HEAD", "/api/iot/firmware/1.0", nil, pumpsToken)
		r.do(t, "GET", "/api/iot/firmware-version", nil, pumpsToken)
	}
	if r.noted != 1 || r.sent["aaaaaaa1"].Version != "1.1" {
		t.Errorf("noted %d times, %+v", r.noted, r.sent)
	}
}

func TestOnADiskThatTakesNothingDownloadsGoOnAllTheSame(t *testing.T) {
	r := open(t, nil)
	publish(r, "1.0")
	r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken)
	publish(r, "1.1")
	r.full = fleet.Full("no room")
	if got := r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken); got.status != http.StatusOK || got.header.Get("X-Firmware-Version") != "1.1" {
		t.Errorf("the image: %d", got.status)
	}
	if got := r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken, "Range: bytes=8-"); got.header.Get("X-Firmware-Version") != "1.1" {
		t.Errorf("its rest is of %s: what is on record is older than what was sent", got.header.Get("X-Firmware-Version"))
	}
	r.full = nil
	r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken)
	if r.sent["aaaaaaa1"].Version != "1.1" {
		t.Errorf("with room again nothing is noted: %+v", r.sent)
	}
}

func TestADeviceThatWasPinnedGoesOnWithNothingThatWasNotedNowhere(t *testing.T) {
	for name, change := range map[string]func(r *rig){
		"it is pinned": func(r *rig) { r.devices["aaaaaaa1"] = fleet.Device{Key: "aaaaaaa1", Model: "pump", Pin: "1.0"} },
		"the record of what it was sent is taken from it": func(r *rig) { delete(r.sent, "aaaaaaa1") },
	} {
		r := open(t, nil)
		publish(r, "1.0")
		r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken)
		publish(r, "1.1")
		r.full = fleet.Full("no room")
		r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken)
		change(r)
		got := r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken, "Range: bytes=4096-")
		if got.status != http.StatusRequestedRangeNotSatisfiable || got.length != 0 {
			t.Errorf("%s: %d, version %s", name, got.status, got.header.Get("X-Firmware-Version"))
		}
	}
}

func TestSeveralRangesInOneAnswerAreNoWholeImage(t *testing.T) {
	r := open(t, nil)
	publish(r, "1.0")
	if got := r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken, "Range: bytes=0-1,3-4"); got.status != http.StatusPartialContent {
		t.Fatal(got.status)
	}
	r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken) // on the same connection: the answer before has arrived
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.seen {
		if s.Transfer != nil && s.Transfer.Arrived < s.Transfer.Size {
			t.Errorf("%+v", s.Transfer)
		}
	}
	whole := 0
	for _, s := range r.seen {
		if s.Transfer != nil && s.Transfer.Whole {
			whole++
		}
	}
	if whole > 1 {
		t.Errorf("%d whole images", whole)
	}
}

func TestAPinnedDeviceIsOfferedItsBuildOnEveryRoute(t *testing.T) {
	r := open(t, nil)
	r.devices["aaaaaaa1"] = fleet.Device{Key: "aaaaaaa1", Model: "pump", Pin: "1.0"}
	if got := r.do(t, "GET", "/api/iot/firmware-version", nil, pumpsToken); got.member(t, "firmware_version") != "1.0" {
		t.Errorf("%s", got.body)
	}
	for _, method := range []string{"GET", "HEAD"} {
		if got := r.do(t, method, "/api/iot/firmware", nil, pumpsToken); got.header.Get("X-Firmware-Version") != "1.0" {
			t.Errorf("%s: %v", method, got.header)
		}
	}
}
