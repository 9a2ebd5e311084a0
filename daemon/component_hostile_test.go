//go:build component

package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// enrolledAt is a device of the component's, of version 1.0.0, whose gateway is a test's.
func enrolledAt(t *testing.T, program string, h http.Handler) *espDevice {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	factory := imageOf(t, bundleOf(t, componentModel, "1.0.0"), componentModel)
	return newESPDevice(t, program, factory, server.URL, credentials{ID: "iotdevice-press-abcdefgh", Secret: "a secret of some length"})
}

// TestNoAnswerBringsTheComponentDown: whatever stands where the gateway should, the device reads nothing beyond its buffers
// (the sanitizers see that), goes on, installs nothing, and asks no more often.
func TestNoAnswerBringsTheComponentDown(t *testing.T) {
	t.Parallel()
	program := component.program(t)
	deep := strings.Repeat(`{"a":[`, 600)
	whole := imageOf(t, bundleOf(t, componentModel, "2.0.0"), componentModel)
	other := imageOf(t, bundleOf(t, componentModel, "3.0.0"), componentModel)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	bodies := []string{
		"", "{", "}", "[", `"`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":"`, `{"a":"\`, `{"a":"\"`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a":}`, "null", "{}", "{}x",
		`{"access_token":"a\"b","expires_in":60}`, `{"access_token":5,"expires_in":60}`, `{"access_token":"a","expires_in":"60"}`,
		`{"access_token":"a","expires_in":99999999999999999999}`, `{"access_token":"a","expires_in":-1}`, `{"x":"access_token","expires_in":1}`,
		`{"firmware_version":2}`, `{"firmware_version":"` + strings.Repeat("v", 33) + `"}`, `{"firmware_version":"../../x?y"}`, `{"firmware_version":"2.0.0\""}`,
		deep, deep + strings.Repeat("]}", 600), "{\"a\":\"\x00\"}", strings.Repeat("x", 4095), strings.Repeat("x", 4096), strings.Repeat("x", 70_000),
		`{"a":"` + strings.Repeat("x", 4088) + `"}`, `{"a":"` + strings.Repeat("x", 4089) + `"}`, "<html>", string(whole[:2000]),
	}
	headers := []http.Header{
		{}, {"Retry-After": {"99999999999"}}, {"Retry-After": {"-5"}}, {"Retry-After": {"Fri, 27 Nov 2026 08:00:00 GMT"}}, {"Retry-After": {"0"}},
		{"Etag": {strings.Repeat("e", 300)}}, {"X-Long": {strings.Repeat("l", 600)}}, {"Content-Range": {"bytes 0-1/"}}, {"Content-Range": {"bytes 5000000000-1/2"}},
	}
	for _, step := range []string{"token", "configuration", "dump", "version"} {
		for i, body := range bodies {
			s := newScripted(t, "", 0, whole)
			d := enrolledAt(t, program, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if componentPaths[r.URL.Path] != step {
					s.ServeHTTP(w, r)
					return
				}
				for name, values := range headers[i%len(headers)] {
					w.Header()[name] = values
				}
				w.WriteHeader([]int{200, 200, 429, 503}[i%4])
				fmt.Fprint(w, body)
			}))
			unharmed(t, d.boot("CONTACTS", "6", "SEED", strconv.Itoa(i)), fmt.Sprintf("%s %.60q", step, body))
		}
	}
	for name, image := range map[string][]byte{
		"of another version": other, "with a flipped bit": flipped, "cut short": whole[:len(whole)-4096], "of no magic": append([]byte{0}, whole[1:]...),
		"that is longer than the partition": append(bytes.Clone(whole), make([]byte, slotSize)...), "of 10 bytes": whole[:10], "of none": nil,
		"without a length": whole, "with more behind it": append(bytes.Clone(whole), whole...), "of text": bytes.Repeat([]byte("text"), 5000),
	} {
		s := newScripted(t, "", 0, whole)
		d := enrolledAt(t, program, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch componentPaths[r.URL.Path] {
			case "firmware":
				if name != "without a length" {
					w.Header().Set("Content-Length", strconv.Itoa(len(image)))
				}
				_, _ = w.Write(image)
			case "version":
				fmt.Fprint(w, `{"firmware_version":"2.0.0"}`)
			default:
				s.ServeHTTP(w, r)
			}
		}))
		b := d.boot("CONTACTS", "8")
		if name == "with more behind it" { // the image ends where it says; what follows is as good as flash that was not written
			if len(b.all("installed")) != 1 {
				t.Errorf("an image %s:\n%s", name, b)
			}
			continue
		}
		unharmed(t, b, "an image "+name)
	}
}

func unharmed(t *testing.T, b espBoot, by string) {
	t.Helper()
	if b.code != bootTurnedOff || len(b.all("installed")) > 0 {
		t.Errorf("%s:\n%s", by, b)
	}
	if n := len(componentRequests(t, b)); n > 40 {
		t.Errorf("%s: %d requests in six contacts", by, n)
	}
}

// TestTheComponentTakesATokenThatFitsItsHeaderLine, of 485 bytes, and sends no longer one.
func TestTheComponentTakesATokenThatFitsItsHeaderLine(t *testing.T) {
	t.Parallel()
	program := component.program(t)
	for length, works := range map[int]bool{485: true, 486: false} {
		var with atomic.Int64
		d := enrolledAt(t, program, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/oauth/token" {
				fmt.Fprintf(w, `{"access_token":%q,"expires_in":3600}`, strings.Repeat("t", length))
				return
			}
			with.Add(1)
			if got := len(r.Header.Get("Authorization")); got != len("Bearer ")+length {
				t.Errorf("a token of %d bytes is sent as %d", length, got)
			}
			fmt.Fprint(w, `{"firmware_version":null}`)
		}))
		b := d.boot("CONTACTS", "3")
		if (with.Load() > 0) != works || b.code != bootTurnedOff {
			t.Errorf("a token of %d bytes makes %d requests\n%s", length, with.Load(), b)
		}
	}
}

// TestTheComponentRenewsItsTokenBeforeItEnds, by its own clock, and not at each request.
func TestTheComponentRenewsItsTokenBeforeItEnds(t *testing.T) {
	t.Parallel()
	const lifetime = 1000
	d := enrolledAt(t, component.program(t), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/oauth/token" {
			fmt.Fprintf(w, `{"access_token":"t","expires_in":%d}`, lifetime)
			return
		}
		fmt.Fprint(w, `{"firmware_version":null}`)
	}))
	b := d.boot("CONTACTS", "60")
	last, tokens, others := -1.0, 0, 0
	for _, r := range componentRequests(t, b) {
		if r.step == "token" {
			if last >= 0 && r.at-last < lifetime/2 {
				t.Errorf("a token is renewed after %.0f s", r.at-last)
			}
			last, tokens = r.at, tokens+1
			continue
		}
		others++
		if r.at-last > lifetime*4/5+1 {
			t.Errorf("a token is shown after %.0f of its %d s", r.at-last, lifetime)
		}
	}
	if tokens < 5 || others < 5*tokens/2 {
		t.Errorf("%d tokens for %d requests", tokens, others)
	}
}

// TestDevicesWithTheComponentThatStartTogetherDoNotAskTogether: the first requests of a line that gets its power back are spread over ten
// seconds, and the ones after them over more.
func TestDevicesWithTheComponentThatStartTogetherDoNotAskTogether(t *testing.T) {
	t.Parallel()
	program := component.program(t)
	s := newScripted(t, "", 0, imageOf(t, bundleOf(t, componentModel, "2.0.0"), componentModel))
	first, second := map[int]bool{}, map[int]bool{}
	for seed := range 24 {
		d := enrolledAt(t, program, s)
		var at []float64
		for _, r := range componentRequests(t, d.boot("CONTACTS", "5", "SEED", strconv.Itoa(seed))) {
			if r.step == "version" {
				at = append(at, r.at)
			}
		}
		if len(at) < 2 || at[0] > 12 {
			t.Fatalf("seed %d: it asks at %v", seed, at)
		}
		first[int(at[0])], second[int(at[1]/5)] = true, true
	}
	if len(first) < 7 || len(second) < 8 {
		t.Errorf("24 devices ask in %d different seconds, and again in %d different five seconds", len(first), len(second))
	}
}

// TestTheComponentAllocatesNothingAndDoesNotCallItself looks into what the compiler made of it.
func TestTheComponentAllocatesNothingAndDoesNotCallItself(t *testing.T) {
	dir := t.TempDir()
	source, err := filepath.Abs(filepath.Join(clientDir, "esp-idf", "slipway.c"))
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-std=c11", "-Os", "-fno-inline", "-fcallgraph-info", "-Wstack-usage=600", "-Werror"}
	for _, include := range []string{"stub", "esp-idf"} {
		path, err := filepath.Abs(filepath.Join(clientDir, include))
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "-I"+path)
	}
	cmd := exec.Command(compiler(t, "gcc"), append(args, "-c", source, "-o", "slipway.o")...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	graph, err := os.ReadFile(filepath.Join(dir, "slipway.ci"))
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string][]string{}
	for line := range strings.Lines(string(graph)) {
		words := strings.Split(line, `"`)
		if strings.HasPrefix(line, "edge:") && len(words) > 3 {
			calls[words[1]] = append(calls[words[1]], words[3])
		}
	}
	if len(calls) < 20 {
		t.Fatalf("the call graph has %d functions:\n%s", len(calls), graph)
	}
	var walk func(name string, above []string)
	walk = func(name string, above []string) {
		for _, known := range above {
			if known == name {
				t.Fatalf("%s calls itself: %v", name, above)
			}
		}
		for _, allocates := range []string{"malloc", "calloc", "realloc", "free", "strdup", "printf", "alloca"} {
			if strings.HasSuffix(name, allocates) {
				t.Errorf("%v calls %s", above, name)
			}
		}
		for _, callee := range calls[name] {
			walk(callee, append(above, name))
		}
	}
	for name := range calls {
		walk(name, nil)
	}
}

// TestTheComponentMixesNoTwoImagesOfOneVersion: a build that was replaced in the middle of its download comes whole.
func TestTheComponentMixesNoTwoImagesOfOneVersion(t *testing.T) {
	t.Parallel()
	made := func(base string) []byte {
		image, err := firmware.Build{Code: componentModel, Version: "2.0.0", Base: base}.Image()
		if err != nil {
			t.Fatal(err)
		}
		return image
	}
	one, two := made("1.0.0"), made("1.1.0")
	first := newScripted(t, "firmware", http.StatusOK, one)
	first.whole = false
	replaced := false
	d := enrolledAt(t, component.program(t), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !replaced || componentPaths[r.URL.Path] != "firmware" {
			first.ServeHTTP(w, r)
			return
		}
		if r.Header.Get("If-Range") != `"one"` {
			t.Errorf("%s is asked for with If-Range %q", r.Header.Get("Range"), r.Header.Get("If-Range"))
		}
		w.Header().Set("ETag", `"two"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(two))
	}))
	d.boot("CONTACTS", "2")
	replaced = true
	b := d.boot("CONTACTS", "2")
	if b.code != bootRestarted || !bytes.HasPrefix(d.slot("1"), two) {
		t.Errorf("it does not restart into the new one\n%s", b)
	}
}
