package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
)

// smallDisk is a folder on a file system that is below the reserve from the start, "" where none can be mounted.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "small")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=32m"); err != nil {
		os.Remove(dir)
		return ""
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
		os.Remove(dir)
	})
	return dir
}

// saboteur stands before the gateway and answers chosen paths itself.
type saboteur struct {
	*httptest.Server
	mu     sync.Mutex // guards path and answer
	path   string
	answer http.Handler
}

func newSaboteur(t *testing.T, target string) *saboteur {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
	s := &saboteur{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		path, answer := s.path, s.answer
		s.mu.Unlock()
		if path != "" && r.URL.Path == path {
			answer.ServeHTTP(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *saboteur) set(path string, answer http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.path, s.answer = path, answer
}

// mishaps are every error that a route may answer with, in the bytes of the gateway's own hand, and what is worse.
func mishaps() map[string]http.Handler {
	all := map[string]http.Handler{
		"no answer": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		"half an answer": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5000")
			if _, err := io.WriteString(w, `{"device_key":"aaaaaaaa","client_id":`); err != nil {
				panic(err)
			}
		}),
	}
	for _, status := range []int{400, 401, 404, 405, 408, 409, 413, 416, 429, 500, 503, 507} {
		e := &endpoint.Error{Status: status}
		if status == http.StatusUnauthorized {
			e.Message, e.Description = "invalid_client", "client id and secret do not match"
		}
		if status == http.StatusConflict {
			e.Details = map[string]any{"missing": []string{"mqtt_url"}}
		}
		all[fmt.Sprint(status)] = endpoint.Only(slog.New(slog.DiscardHandler), e, nil)
	}
	return all
}

func TestESPMDMNeverLosesItsNetworkToAnyErrorOfAnyRoute(t *testing.T) {
	t.Parallel()
	g, d := startHall(t, "dumps.burst=1000")
	s := newSaboteur(t, g.urls["device_http"])
	d.flash.Provisioned["base_url"], d.flash.Provisioned["token_url"] = s.URL, s.URL+"/api/oauth/token"
	d.flash.save()
	g.publish("1.0.0")
	d.mustBoot(comesUp)
	had := maps.Clone(d.flash.Provisioned)

	lines := map[string]bool{}
	for _, route := range []struct{ name, path string }{
		{"token", "/api/oauth/token"}, {"config", "/api/iot/config"}, {"dump", "/api/iot/coredump"}, {"firmware", "/api/iot/firmware"},
		{"provisioning", "/api/iot/provisioning"},
	} {
		for name, answer := range mishaps() {
			for _, old := range []bool{false, true} {
				if old && route.name != "firmware" {
					continue // the releases differ only there
				}
				d.old = old
				core := d.crash()
				var end string
				var why error
				if route.name == "provisioning" {
					d.mustBootQuietly()
					s.set(route.path, answer)
					end, why = d.rotate()
				} else {
					s.set(route.path, answer)
					end, why = d.boot()
				}
				dump := "keeps its dump"
				if d.flash.Dump == nil {
					dump = "loses its dump"
					if bytes.Equal(g.stored(d), core) {
						dump = "its dump is stored"
					}
				}
				s.set("", nil)
				lines[fmt.Sprintf("%-12s answers %-14s, %s: it %s %s; %s", route.name, name, release(old), end, because(why), dump)] = true
				if dump == "loses its dump" && route.name != "dump" {
					t.Errorf("%s answers %s: it %s", route.name, name, dump)
				}
				d.mustBootQuietly()
				if !maps.Equal(d.flash.Provisioned, had) {
					t.Fatalf("%s answers %s: it now has %v, and had %v", route.name, name, d.flash.Provisioned, had)
				}
			}
		}
	}
	t.Logf("what the device does:\n%s", strings.Join(slices.Sorted(maps.Keys(lines)), "\n"))
}

func release(old bool) string {
	if old {
		return "old release"
	}
	return "release"
}

// mustBootQuietly is mustBoot without a line for each.
func (d *espMDM) mustBootQuietly() {
	d.t.Helper()
	if end, why := d.boot(); end != comesUp {
		d.t.Fatalf("the device %s %s after %v", end, because(why), d.answered)
	}
}

func TestTheModelOfESPMDMCanLoseItsNetwork(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		`{}`: offNetwork, `[]`: offNetwork, `{"device_key":"aaaaaaaa","client_id":"x"}`: offNetwork,
		`{"device_key":"aaaaaaaa","details":{}}`: comesUp, `{"device_key":`: comesUp,
	} {
		g, d := startHall(t)
		s := newSaboteur(t, g.urls["device_http"])
		d.flash.Provisioned["base_url"], d.flash.Provisioned["token_url"] = s.URL, s.URL+"/api/oauth/token"
		d.flash.save()
		d.mustBootQuietly()
		s.set("/api/iot/provisioning", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if _, err := io.WriteString(w, answer); err != nil {
				panic(err)
			}
		}))
		if _, err := d.rotate(); err != nil {
			t.Logf("%s: %v", answer, err)
		}
		if end, _ := d.boot(); end != want {
			t.Errorf("after %s it %s: the other tests prove nothing", answer, end)
		}
	}
}
