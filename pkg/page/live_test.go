package page

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// listen opens the stream of a page that was made at a mark, and returns its lines with data, until it ends.
func (d *desk) listen(address string, headers ...string) <-chan string {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, d.url+address, nil)
	d.must(err)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	d.must(err)
	d.t.Cleanup(func() { resp.Body.Close() })
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || kind != "text/event-stream" {
		d.t.Fatalf("%s %s", resp.Status, kind)
	}
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(resp.Body); in.Scan(); {
			if data, ok := strings.CutPrefix(in.Text(), "data: "); ok && data != "." {
				lines <- data
			}
		}
	}()
	return lines
}

// streamOf is the address of the stream that a page listens to.
func (d *desk) streamOf(body string) string {
	d.t.Helper()
	_, rest, found := strings.Cut(body, `data-stream="`)
	if !found {
		d.t.Fatalf("the page listens to nothing:\n%s", body)
	}
	address, _, _ := strings.Cut(rest, `"`)
	return address
}

func TestAPageHearsOfAFurtherDumpOfAKnownCrashWhichIsNoEvent(t *testing.T) {
	d := open(t)
	d.crashes(1, "abort()", "main.c:1")
	page := d.read("/crashes")
	lines := d.listen(d.streamOf(page.body), "Authorization", "Bearer "+d.tokens[auth.Viewer])
	before, err := d.store.LastEvent()
	d.must(err)
	dump := fleet.Dump{Device: "aaaaaaaa", Model: "pump", FirmwareVersion: "1.0", UploadedAt: noon.Add(time.Minute)}
	d.must(d.store.RecordDumps(t.Context(), []fleet.Dump{dump}))
	_, err = d.store.RecordCrash(t.Context(), crash.Crash{
		Device: dump.Device, Model: dump.Model, Name: dump.Name(), Uploaded: dump.UploadedAt, State: crash.Reported, Version: "1.0", Fingerprint: "0000000000000000",
	}, 0)
	d.must(err)
	heard := ""
	for line := range lines {
		if heard += " " + line; strings.Contains(heard, "crash") && strings.Contains(heard, "dump") {
			break
		}
	}
	if after, err := d.store.LastEvent(); err != nil || after != before {
		t.Errorf("it left an event: %+v, %v", after, err)
	}
}

func TestAPageHearsWhatHappenedBetweenItsMakingAndItsStream(t *testing.T) {
	d := open(t)
	page := d.read("/devices")
	d.must(d.store.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	for name, address := range map[string]string{"its own stream": d.streamOf(page.body), "one of a gateway before": "/changes?since=ABCDEFGH-7"} {
		want := map[string]string{"its own stream": "model", "one of a gateway before": "everything"}[name]
		if heard := <-d.listen(address, "Authorization", "Bearer "+d.tokens[auth.Viewer]); heard != want {
			t.Errorf("%s says %q, want %q", name, heard, want)
		}
	}
}

func TestTheStreamOfAPageEndsWithItsSessionAndIsForThoseWhoMayRead(t *testing.T) {
	d := open(t)
	cookie := d.signIn(auth.Viewer)
	mine := d.listen("/changes?since="+d.store.Hints().Mark(), "Cookie", cookie)
	d.ask(http.MethodPost, "/logout", "", "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
	for range mine {
	}
	if a := d.ask(http.MethodGet, "/changes", "", "Cookie", cookie); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("nobody: %s", a.Status)
	}
	if a := d.ask(http.MethodGet, "/changes", "", "Authorization", "Bearer "+d.tokens[auth.Pipeline]); a.StatusCode != http.StatusForbidden {
		t.Errorf("a pipeline: %s", a.Status)
	}
}

func TestAPageThatIsOpenIsAnsweredItsInside(t *testing.T) {
	d := open(t)
	d.crashes(2, "abort()", "main.c:1")
	for _, path := range []string{"/", "/crashes", "/gateway"} {
		for _, role := range []auth.Role{auth.Viewer, auth.Admin} {
			a := d.ask(http.MethodGet, path, "", "Authorization", "Bearer "+d.tokens[role], liveHeader, "yes")
			if a.StatusCode != http.StatusOK || strings.Contains(a.body, "<header") || !strings.Contains(a.body, "<h1>") {
				t.Errorf("%s for the %s: %s\n%s", path, role, a.Status, a.body)
			}
			if buttons := strings.Contains(a.body, "<button name"); path == "/crashes" && buttons != (role == auth.Admin) {
				t.Errorf("the %s has buttons: %v", role, buttons)
			}
		}
	}
}

func TestOfManyWhoLookAtTheSameOneHasItMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rs renders
		var made atomic.Int32
		mark := "a"
		make := func() ([]byte, error) {
			made.Add(1)
			now := mark
			time.Sleep(20 * time.Millisecond)
			return []byte(now), nil
		}
		look := func() {
			var all sync.WaitGroup
			for range 200 {
				all.Go(func() {
					want := mark
					body, err := rs.get(context.Background(), renderKey{"/", auth.Viewer}, func() string { return mark }, make)
					if string(body) != want || err != nil {
						t.Errorf("%q, %v: want %q", body, err, want)
					}
				})
			}
			all.Wait()
		}
		look()
		if n := made.Load(); n != 1 {
			t.Errorf("200 who look have it made %d times", n)
		}
		mark = "b" // something changes: nobody is shown what was
		look()
		if n := made.Load(); n != 2 {
			t.Errorf("after a change it was made %d times", n)
		}
		time.Sleep(keptRender)
		look() // nothing has changed but the time
		if n := made.Load(); n != 3 {
			t.Errorf("a second later it was made %d times", n)
		}
		began := time.Now()
		for i := range 20 { // a storm
			mark = strings.Repeat("c", i)
			look()
		}
		if n, most := made.Load()-3, int32(time.Since(began)/betweenRenders)+1; n > most {
			t.Errorf("in a storm of %v it was made %d times, want %d at most", time.Since(began), n, most)
		}
	})
}
