//go:build component

package main

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// TestTheGatewayKnowsOfADeviceWithTheComponentWhatItRunsAndWhyItHasStarted over a device's factory image, an update, a build that
// crashes, and the way back.
func TestTheGatewayKnowsOfADeviceWithTheComponentWhatItRunsAndWhyItHasStarted(t *testing.T) {
	for _, c := range []deviceClient{component, sketch} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := saysAll(t, c); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEachHeaderThatTheComponentDoesNotSayIsMissed by the test above: it takes each out.
func TestEachHeaderThatTheComponentDoesNotSayIsMissed(t *testing.T) {
	for name, c := range map[string]struct {
		client deviceClient
		change change
		seen   string
	}{
		"version":         {component, change{`esp_http_client_set_header(client, "X-Running-Version", running);`, ""}, "runs"},
		"ELF":             {component, change{`esp_http_client_set_header(client, "X-Running-ELF-SHA256", elf);`, ""}, "ELF"},
		"boot":            {component, change{`esp_http_client_set_header(client, "X-Boot-ID", boot);`, ""}, "boots"},
		"reset":           {component, change{`say_boot(esp_reset_reason());`, "(void)say_boot;"}, "reset"},
		"state":           {component, change{"say_boot(esp_reset_reason());\n    say_state();", "say_boot(esp_reset_reason());"}, "state"},
		"state's change":  {component, change{"        say_state(); // it has changed\n", ""}, "state"},
		"sketch: version": {sketch, change{`http.addHeader("X-Running-Version", SLIPWAY_VERSION);`, ""}, "ELF"}, // HTTPUpdate says the version,
		"sketch: ELF":     {sketch, change{`http.addHeader("X-Running-ELF-SHA256", elfHash);`, ""}, "ELF"},
		"sketch: boot":    {sketch, change{`http.addHeader("X-Boot-ID", bootID);`, ""}, "boots"},
		"sketch: reset":   {sketch, change{`http.addHeader("X-Reset-Reason", resetReason);`, ""}, "reset"},
		"sketch: state":   {sketch, change{`http.addHeader("X-OTA-State", otaState);`, ""}, "state"},
		"sketch: change":  {sketch, change{"OK) {\n    readState();\n  }", "OK) {\n    pending = false;\n  }"}, "state"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := saysAll(t, c.client, c.change)
			if err == nil || !strings.HasPrefix(err.Error(), c.seen) {
				t.Errorf("nothing notices it: %v", err)
			}
		})
	}
}

// saysAll is the first difference between what the gateway knows of a device and what has happened to it.
func saysAll(t *testing.T, c deviceClient, changes ...change) error {
	t.Helper()
	p := newPlay(t, c, componentSeed(t), changes...)
	p.calm = true
	boots := 0 // that the gateway sees: the first id may be that of any boot
	knows := func(when, version string, reset fleet.ResetReason, state fleet.OTAState) error {
		s := p.g.sighting(p.key)
		for _, one := range []struct {
			what      string
			got, want any
		}{
			{"runs", s.Runs, version}, {"runs by", s.RunsBy, fleet.ProofSaid}, {"ELF", s.RunsELF, p.elfOf(version)},
			{"reset reason", s.Reset, reset}, {"state of the image", s.OTAState, state}, {"boots", s.Boots, boots},
			{"checked", !s.CheckedAt.IsZero(), true},
		} {
			if one.got != one.want {
				return fmt.Errorf("%s: %v, want %v, %s", one.what, one.got, one.want, when)
			}
		}
		return nil
	}
	p.endsWith(bootRestarted)
	if err := knows("when it has fetched its first update", "0.9.0", "poweron", ""); err != nil {
		return err
	}
	boots++
	p.endsWith(bootTurnedOff)
	if err := knows("when that has reached the gateway", "1.1.0", "sw", "valid"); err != nil {
		return err
	}
	bad := p.ship("-crash")
	boots++
	p.endsWith(bootRestarted)
	if err := knows("when it has fetched one that crashes", "1.1.0", "poweron", "valid"); err != nil {
		return err
	}
	p.fetched(bad)
	p.endsWith(bootPanicked)
	boots++
	p.endsWith(bootTurnedOff)
	if err := knows("when it has gone back", "1.1.0", "panic", "valid"); err != nil {
		return err
	}
	if s := p.g.sighting(p.key); s.WentBack == nil || string(s.WentBack.Version) != bad || s.WentBack.By != fleet.ProofSaid {
		return fmt.Errorf("went back: %+v, want from %s", s.WentBack, bad)
	}
	p.eventually("event", func() (any, bool) {
		events := p.g.cli("events", "--kind", "device.went_back")
		return events, strings.Contains(events, p.key)
	})
	return nil
}

// endsWith is a boot that ends so, with six contacts at most.
func (p *play) endsWith(code int) {
	p.t.Helper()
	if b := p.boot("CONTACTS", "6"); b.code != code {
		p.t.Fatalf("want %d\n%s", code, b)
	}
}

// fetched waits until the gateway knows that all of a build has arrived, which TCP tells it a moment later.
func (p *play) fetched(version string) {
	p.t.Helper()
	p.eventually("download", func() (any, bool) {
		d := p.g.sighting(p.key).Download
		return d, d != nil && string(d.Version) == version && d.Outcome == fleet.DownloadWhole
	})
}

// eventually waits for what the gateway saves a moment later than it answers.
func (p *play) eventually(what string, look func() (seen any, good bool)) {
	p.t.Helper()
	for end := time.Now().Add(testPatience); ; time.Sleep(10 * time.Millisecond) {
		seen, good := look()
		if good {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s: %+v", what, seen)
		}
	}
}

// elfOf is the first 16 digits of the hash of a build's ELF, as its image has it.
func (p *play) elfOf(version string) string {
	p.t.Helper()
	const offset = 24 + 8 + 144 // image header, segment header, app descriptor
	return fmt.Sprintf("%x", p.images[version][offset:offset+8])
}

// heads keeps the headers of each request to a scripted gateway.
type heads struct {
	http.Handler
	mu  sync.Mutex // guards all
	all []http.Header
}

func (h *heads) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.all = append(h.all, r.Header)
	h.mu.Unlock()
	h.Handler.ServeHTTP(w, r)
}

// said are the different values of a header, in order; one that was not sent is "none".
func (h *heads) said(name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var values []string
	for _, head := range h.all {
		value := "none"
		if v := head[http.CanonicalHeaderKey(name)]; v != nil {
			value = strings.Join(v, "+")
		}
		if len(values) == 0 || values[len(values)-1] != value {
			values = append(values, value)
		}
	}
	h.all = nil
	return strings.Join(values, " ")
}

// TestTheComponentSaysEachReasonOfAResetByTheNameThatTheGatewayKnows, and none of one that ESP-IDF may add.
func TestTheComponentSaysEachReasonOfAResetByTheNameThatTheGatewayKnows(t *testing.T) {
	for _, c := range []deviceClient{component, sketch} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := &heads{Handler: newScripted(t, "", 0, nil)}
			d := enrolledAt(t, c.program(t), h)
			for n, want := range append(fleet.ResetReasons[:len(fleet.ResetReasons):len(fleet.ResetReasons)], "none") {
				if b := d.boot("CONTACTS", "2", "RESET", strconv.Itoa(n)); b.code != bootTurnedOff {
					t.Fatal(b)
				}
				if got := h.said("X-Reset-Reason"); got != string(want) {
					t.Errorf("%d is said as %q, want %q with each request", n, got, want)
				}
			}
		})
	}
}

// TestTheComponentSaysThatItIsOnTrialUntilItHasReachedTheGateway: the request whose answer proves that is the last one.
func TestTheComponentSaysThatItIsOnTrialUntilItHasReachedTheGateway(t *testing.T) {
	for _, c := range []deviceClient{component, sketch} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newScripted(t, "firmware", http.StatusOK, imageOf(t, bundleOf(t, componentModel, "2.0.0"), componentModel))
			h := &heads{Handler: s}
			d := enrolledAt(t, c.program(t), h)
			d.boot("CONTACTS", "6")
			if got := h.said("X-OTA-State"); got != "none" {
				t.Errorf("an image that was never on trial says %q", got)
			}
			b := d.boot("CONTACTS", "6")
			if got := h.said("X-OTA-State"); got != "pending_verify valid" {
				t.Errorf("it says %q\n%s", got, b)
			}
		})
	}
}

// TestTheSketchComponentCompilesForBothCores: the older one's ESP-IDF is 4.4.
func TestTheSketchComponentCompilesForBothCores(t *testing.T) {
	for _, idf := range []string{"404", "501", "505"} {
		args := warned("-std=c++17", "-DSTUB_IDF="+idf, "-I"+filepath.Join(clientDir, "host", "arduino"),
			"-I"+filepath.Join(clientDir, "arduino", "slipway"), "-fsyntax-only")
		cmd := exec.Command(compiler(t, "g++"), append(args, hosted(t, "arduino", "*.cpp")...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("ESP-IDF %s: %v\n%s", idf, err, out)
		}
	}
}
