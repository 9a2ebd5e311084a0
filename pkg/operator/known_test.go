package operator

import (
	"net/http"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
)

func TestAFilterThatNamesWhatWasNeverSeenIsAnErrorWithTheNearest(t *testing.T) {
	d := open(t, nil)
	d.crashes(2, "abort", "main main.c:1")
	for _, test := range []struct {
		path string
		want int
		says string
	}{
		{"/api/devices?model=pmup", http.StatusNotFound, `the nearest known one is \"pump\"`},
		{"/api/devices?model=PUMP", http.StatusBadRequest, `the nearest known one is \"pump\"`},
		{"/api/devices?model=pump", http.StatusOK, "aaaaaaaa"},
		{"/api/devices?crash=0000000000000001", http.StatusOK, "aaaaaaaa"},
		{"/api/devices?crash=0000000000000007", http.StatusNotFound, `there is no crash group \"0000000000000007\"; the nearest known one is \"000000000000000`},
		{"/api/devices?crash=0000000000000001&state=silent", http.StatusOK, `"devices":[]`},
		{"/api/devices/aaaaaaab", http.StatusNotFound, `the nearest known one is \"aaaaaaaa\"`},
		{"/api/devices/aaaaaaab/coredumps", http.StatusNotFound, `the nearest known one is \"aaaaaaaa\"`},
		{"/api/devices/aaaaaaaa/coredumps?state=failed", http.StatusOK, `"coredumps":[]`},
		{"/api/coredumps?device=aaaaaaab", http.StatusNotFound, `the nearest known one is \"aaaaaaaa\"`},
		{"/api/coredumps?device=short", http.StatusBadRequest, `the nearest known one is \"aaaaaaaa\"`},
		{"/api/coredumps?model=pumpe", http.StatusNotFound, `the nearest known one is \"pump\"`},
		{"/api/coredumps?state=repotred", http.StatusBadRequest, `the nearest is \"reported\"`},
		{"/api/crashes?model=pumpe", http.StatusNotFound, `the nearest known one is \"pump\"`},
		{"/api/crashes?version=1.O", http.StatusNotFound, `the nearest known one is \"1.0\"`},
		{"/api/crashes?version=1.0&state=resolved", http.StatusOK, `"crashes":[]`},
		{"/api/crashes?state=opened", http.StatusBadRequest, `the nearest is \"open\"`},
		{"/api/crashes?sort=counts", http.StatusBadRequest, `the nearest known one is \"count\"`},
		{"/api/device-models/pumpe/builds", http.StatusNotFound, `the nearest known one is \"pump\"`},
	} {
		a := d.ask(http.MethodGet, test.path, "", d.bearer(auth.Viewer)...)
		if a.StatusCode != test.want || !strings.Contains(a.body, test.says) {
			t.Errorf("%s: %s %s; want %d with %q", test.path, a.Status, a.body, test.want, test.says)
		}
	}
}

func TestAWishToReplaceIsTrueOrFalse(t *testing.T) {
	d := open(t, nil)
	d.crashes(0, "", "")
	a := d.ask(http.MethodPost, "/api/pipeline/models/pump/firmware?replace=yes", "x", d.bearer(auth.Pipeline)...)
	if a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "want true or false") {
		t.Errorf("%s %s", a.Status, a.body)
	}
}
