package gateway

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/tryout/press"
)

// TestADumpThatArrivesIsShownByThePagesThatAreOpen plays a page: it reads the list, listens, and asks again when it is told to.
// The second dump is one of a known crash, which leaves no event.
func TestADumpThatArrivesIsShownByThePagesThatAreOpen(t *testing.T) {
	g, url := start(t, settings(t))
	until(t, "the gateway has recovered", g.recovery.isOver)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // bounds a hang
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	build, err := press.Read("1.0.0")
	must(err)
	zip, err := build.Bundle("press")
	must(err)
	must(g.store.AddModel(t.Context(), fleet.Model{Code: "press"}))
	_, err = g.depot.Accept(t.Context(), fleet.Submission{Model: "press", Body: bytes.NewReader(zip), Size: int64(len(zip)), Origin: fleet.FromAPI})
	must(err)
	const secret = "a secret of the presses"
	for n := range 2 {
		d := fleet.Device{Key: fleet.DeviceKey(fmt.Sprintf("press%03d", n)), Model: "press"}
		must(g.store.AddDevice(t.Context(), d, auth.DeviceSecrets{Current: auth.HashSecret(secret)}))
	}
	token, _, err := (&auth.Operators{Store: g.store, Now: time.Now}).Create(t.Context(), "Ana", auth.Viewer)
	must(err)
	ask := func(path string, headers ...string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+path, nil)
		must(err)
		req.Header.Set("Authorization", "Bearer "+token)
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		must(err)
		return resp
	}
	read := func(path string, headers ...string) string {
		resp := ask(path, headers...)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		must(err)
		return string(body)
	}
	_, address, listens := strings.Cut(read("/crashes"), `data-stream="`)
	if !listens {
		t.Fatal("the page listens to nothing")
	}
	address, _, _ = strings.Cut(address, `"`)
	listening := ask(address)
	defer listening.Body.Close()
	stream := bufio.NewScanner(listening.Body)

	var dump []byte
	for _, dump = range build.Dumps {
		break
	}
	for n, want := range []string{`data-label="crashes">1</td>`, `data-label="crashes">2</td>`} {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/iot/coredump?chip=esp32c3&firmware_version=1.0.0", bytes.NewReader(dump))
		must(err)
		req.SetBasicAuth(fmt.Sprintf("iotdevice-press-press%03d", n), secret)
		resp, err := http.DefaultClient.Do(req)
		must(err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			t.Fatal(resp.Status)
		}
		for shown := false; !shown; { // nothing but a hint makes this page ask again
			if !stream.Scan() {
				t.Fatalf("the stream has ended before the page shows %s", want)
			}
			if nouns, hinted := strings.CutPrefix(stream.Text(), "data: "); hinted && strings.Contains(nouns, "crash") {
				shown = strings.Contains(read("/crashes", "Slipway-Live", "yes"), want)
			}
		}
	}
}
