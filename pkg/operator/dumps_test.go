package operator

import (
	"net/http"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
)

func TestADumpSaysThatItIsToBeDecodedAgain(t *testing.T) {
	d := open(t, nil)
	d.crashes(1, "abort()", "main.c:1")
	const name = "coredump_20260504T120000_000000Z"
	says := func() bool {
		a := d.ask(http.MethodGet, "/api/coredumps/aaaaaaaa/"+name, "", d.bearer(auth.Viewer)...)
		if a.StatusCode != http.StatusOK {
			t.Fatalf("%s %s", a.Status, a.body)
		}
		return strings.Contains(a.body, `"decoding_again":true`)
	}
	if says() {
		t.Error("nobody has asked")
	}
	if err := d.store.AskAgain(t.Context(), "aaaaaaaa", name); err != nil {
		t.Fatal(err)
	}
	if !says() {
		t.Error("somebody has asked")
	}
}
