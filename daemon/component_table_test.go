//go:build component

package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

var updateTables = flag.Bool("update-components", false, "write the tables of the components' READMEs anew")

// componentStatuses are the table's rows; 0 is a connection that is cut.
var componentStatuses = []int{200, 201, 204, 206, 302, 304, 400, 401, 403, 404, 409, 413, 416, 429, 500, 503, 507, 0}

// askedToWait are the seconds of Retry-After in each answer with 429 and 503.
const askedToWait = 77

// scripted is a gateway that answers one step with one status, and the others as it should.
type scripted struct {
	*httptest.Server
	step   string
	status int
	image  []byte
	whole  bool // for a download: false cuts it after the third sector

	mu     sync.Mutex // guards ranges
	ranges []string   // of each request for the image
}

func newScripted(t testing.TB, step string, status int, image []byte) *scripted {
	t.Helper()
	s := &scripted{step: step, status: status, image: image, whole: true}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// componentPaths are the addresses of the component's steps.
var componentPaths = map[string]string{
	"/api/oauth/token": "token", "/api/iot/config": "configuration", "/api/iot/coredump": "dump",
	"/api/iot/firmware-version": "version", "/api/iot/firmware/2.0.0": "firmware",
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	step := componentPaths[r.URL.Path]
	_, _ = io.Copy(io.Discard, r.Body)
	if step == "firmware" {
		s.mu.Lock()
		s.ranges = append(s.ranges, r.Header.Get("Range"))
		s.mu.Unlock()
	}
	if step != s.step {
		s.well(w, r, step)
		return
	}
	switch s.status {
	case 0:
		cut(w)
	case http.StatusOK, http.StatusPartialContent:
		s.answer(w, r, step, s.status)
	case http.StatusNoContent, http.StatusNotModified:
		w.WriteHeader(s.status)
	default:
		if s.status == http.StatusTooManyRequests || s.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", strconv.Itoa(askedToWait))
		}
		w.Header().Set("Location", s.URL+"/elsewhere")
		w.Header().Set("Www-Authenticate", "Bearer")
		s.answer(w, r, step, s.status)
	}
}

// well is the answer of a gateway that has no trouble.
func (s *scripted) well(w http.ResponseWriter, r *http.Request, step string) {
	status := http.StatusOK
	if step == "dump" {
		status = http.StatusCreated
	}
	s.answer(w, r, step, status)
}

// answer has the body that belongs to the step, whatever the status.
func (s *scripted) answer(w http.ResponseWriter, r *http.Request, step string, status int) {
	switch step {
	case "token":
		w.WriteHeader(status)
		fmt.Fprint(w, `{"access_token":"abc.def","token_type":"Bearer","expires_in":86400}`)
	case "configuration":
		w.WriteHeader(status)
		fmt.Fprint(w, `{"deviceName":"press","nested":{"a":[1,"}"]}}`)
	case "version":
		w.WriteHeader(status)
		offered := "1.0.0" // what it runs
		if s.step == "firmware" || !s.whole {
			offered = "2.0.0"
		}
		fmt.Fprintf(w, `{"firmware_version": %q}`, offered)
	case "firmware":
		s.download(w, r, status)
	default:
		w.WriteHeader(status)
		fmt.Fprint(w, `{"status":"ok","filename":"coredump_1.dmp"}`)
	}
}

func (s *scripted) download(w http.ResponseWriter, r *http.Request, status int) {
	body := s.image
	var from int
	w.Header().Set("ETag", `"one"`)
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil && status == http.StatusPartialContent {
		body = s.image[from:]
	}
	if status == http.StatusPartialContent {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(s.image)-1, len(s.image)))
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if !s.whole {
		_, _ = w.Write(body[:3*4096+100])
		cut(w)
		return
	}
	_, _ = w.Write(body)
}

// cut ends the connection without another word.
func cut(w http.ResponseWriter) {
	c, buf, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	_ = buf.Flush()
	_ = c.(*net.TCPConn).CloseWrite()
	c.Close()
}

// TestTheComponentsTablesOfStatusesAreWhatTheyDo plays each cell of the READMEs' tables.
func TestTheComponentsTablesOfStatusesAreWhatTheyDo(t *testing.T) {
	for _, c := range []deviceClient{component, sketch} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			program := c.program(t)
			table := "| status | " + strings.Join(c.steps, " | ") + " |\n|" + strings.Repeat("---|", len(c.steps)+1) + "\n"
			for _, status := range componentStatuses {
				row := []string{"cut"}
				if status != 0 {
					row[0] = strconv.Itoa(status)
				}
				for _, step := range c.steps {
					row = append(row, playCell(t, program, step, status))
				}
				table += "| " + strings.Join(row, " | ") + " |\n"
			}
			compareTable(t, filepath.Join(clientDir, filepath.FromSlash(c.readme)), table)
		})
	}
}

// compareTable holds the first table of a README that has the same head against what was seen.
func compareTable(t *testing.T, path, table string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(table, "\n")
	begin := strings.Index(string(b), head)
	if begin < 0 {
		t.Fatalf("%s has no table %q", path, head)
	}
	end := begin + strings.Index(string(b)[begin:]+"\n\n", "\n\n") + 1
	if string(b)[begin:min(end, len(b))] == table {
		return
	}
	if *updateTables {
		if err := os.WriteFile(path, []byte(string(b)[:begin]+table+string(b)[min(end, len(b)):]), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s says otherwise (-update-components writes it):\n%s", path, table)
}

// playCell is a device whose one step gets one status: what it does in the README's words.
func playCell(t *testing.T, program, step string, status int) string {
	t.Helper()
	image := imageOf(t, bundleOf(t, componentModel, "2.0.0"), componentModel)
	served := step
	if step == "rest of a firmware" {
		served = "firmware"
	}
	s := newScripted(t, served, status, image)
	factory := imageOf(t, bundleOf(t, componentModel, "1.0.0"), componentModel)
	d := newESPDevice(t, program, factory, s.URL, credentials{ID: "iotdevice-press-abcdefgh", Secret: "a secret of some length"})
	if step == "dump" {
		d.boot("CONTACTS", "1", "PANIC", "1")
	}
	if step == "rest of a firmware" {
		s.step, s.whole = "", false
		d.boot("CONTACTS", "2")
		s.step, s.whole, s.ranges = served, true, nil
	}
	b := d.boot("CONTACTS", "9", "SEED", strconv.Itoa(status+7))
	said := append(s.did(t, d, b, step), pace(t, b, served, status))
	words := said[:0]
	for _, w := range said {
		if w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, ", ")
}

// did is what became of the step, but for when it comes again.
func (s *scripted) did(t *testing.T, d *espDevice, b espBoot, step string) []string {
	t.Helper()
	var words []string
	tokens := 0
	for _, r := range componentRequests(t, b) {
		if r.step == "token" {
			tokens++
		}
		if r.step == "elsewhere" {
			t.Errorf("%s %d: it follows the redirect", step, s.status)
		}
	}
	if step != "token" && tokens > 1 {
		words = append(words, "new token")
	}
	installed := len(b.all("installed")) > 0
	switch step {
	case "dump":
		words = append(words, map[bool]string{true: "kept", false: "**erased**"}[d.dump() != ""])
	case "rest of a firmware":
		if len(s.ranges) == 0 || s.ranges[0] != "bytes=12288-" {
			t.Fatalf("rest of a firmware %d: ranges %q\n%s", s.status, s.ranges, b)
		}
		for _, again := range s.ranges[1:] {
			if again == "" {
				words = append(words, "starts over")
				break
			}
		}
		if installed && s.status == http.StatusOK {
			words = append(words, "starts over")
		}
	}
	if installed {
		words = append(words, "installs")
	}
	return words
}

// componentRequest is one that a device made.
type componentRequest struct {
	at   float64 // seconds since boot
	step string
}

func componentRequests(t *testing.T, b espBoot) []componentRequest {
	t.Helper()
	var all []componentRequest
	for _, line := range b.all("http") {
		words := strings.Fields(line) // milliseconds, method, path
		at, err := strconv.Atoi(words[0])
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		path, _, _ := strings.Cut(words[2], "?")
		all = append(all, componentRequest{float64(at) / 1000, cmp.Or(componentPaths[path], strings.TrimPrefix(path, "/"))})
	}
	return all
}

// pace is how the step's waits are called: those between its requests, but for one that is made again at once with a new token.
func pace(t *testing.T, b espBoot, step string, status int) string {
	t.Helper()
	var waits []float64
	last := -1.0
	for _, r := range componentRequests(t, b) {
		if r.step == step {
			if wait := r.at - last; last >= 0 && wait > 1 {
				waits = append(waits, wait)
			}
			last = r.at
		}
	}
	if len(b.all("installed")) > 0 {
		return ""
	}
	if step == "token" && status == http.StatusOK || step == "dump" && status == http.StatusCreated {
		return "done" // a token is asked for when it ends, and a dump when there is one
	}
	if len(waits) == 0 {
		t.Fatalf("%s %d: it is not asked again\n%s", step, status, b)
	}
	first := waits[0]
	if len(waits) > 1 && waits[1] < first*0.8 {
		t.Errorf("%s %d: waits %v", step, status, waits)
	}
	for _, known := range []struct {
		name        string
		least, most float64
	}{{"soon", 3.9, 8}, {"in time", askedToWait, askedToWait*1.25 + 3}, {"done", 269, 332}, {"seldom", 300, 380}} {
		if first >= known.least && first <= known.most && (known.name != "done" || stepEnds(b, step) == "done") {
			return known.name
		}
	}
	t.Errorf("%s %d: waits %v", step, status, waits)
	return "?"
}

// stepEnds is how a step ended last.
func stepEnds(b espBoot, step string) string {
	end := ""
	for _, line := range b.all("step") {
		if name, how, _ := strings.Cut(line, " "); name == step {
			end = how
		}
	}
	return end
}
