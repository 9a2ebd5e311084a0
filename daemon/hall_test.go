package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/simulate"
	"github.com/slipway-gateway/slipway/testdata/lasting"
)

// hall is a gateway with presses that run 1.0.0, and both builds. The gateway has the same address after each start.
type hall struct {
	*running
	dumps   simulate.Dumps
	devices []simulate.Device
	speed   float64 // of the fleet: at 150 a device comes every 2 s
	plan    string
}

// seconds is a plan whose waves are a matter of seconds. hurried lets ten devices be unproven from the beginning.
const (
	seconds = `{"waves":[{"devices":3,"rest":"1s"},{"devices":10,"rest":"1s"},{"share":1}]}`
	hurried = `{"waves":[{"devices":3,"rest":"1s"},{"devices":10,"rest":"1s"},{"share":1}],"unproven":10}`
)

// quick are without those that ask at their boots only, which are waited for.
var quick = simulate.Mix{simulate.Poller: 60, simulate.OTA: 20, simulate.Arduino: 20}

// newHall has n presses on three lines, which nobody plays yet. Settings win.
func newHall(t *testing.T, n int, mix simulate.Mix, settings ...string) *hall {
	t.Helper()
	g, dumps := pressHall(t, append([]string{"firmware.publish=manual", "listen.http=" + lasting.Address(t)}, settings...)...)
	read, err := readDumps(dumps)
	if err != nil {
		t.Fatal(err)
	}
	h := &hall{running: g, dumps: read, speed: 150, plan: seconds}
	t.Cleanup(h.tellWhatIsOpen)
	g.cli("firmware", "publish", "press", "1.0.0")
	h.devices = h.add(1, n, mix)
	return h
}

// tellWhatIsOpen says of a test that failed how the rollout stands.
func (h *hall) tellWhatIsOpen() {
	if !h.t.Failed() || h.cmd == nil {
		return
	}
	out, _ := h.tryCLI("rollout", "explain", "press")
	h.t.Log(out)
	out, _ = h.tryCLI("rollout", "devices", "press")
	for line := range strings.Lines(out) {
		if !strings.Contains(line, " waiting ") && !strings.Contains(line, " healthy ") {
			h.t.Log(strings.TrimSpace(line))
			key, _, _ := strings.Cut(line, " ")
			if shown, err := h.tryCLI("device", "show", key); err == nil {
				h.t.Log(shown)
			}
		}
	}
}

// add makes n presses, numbered from first on, on the lines hall-1 to hall-3 in turn.
func (h *hall) add(first, n int, mix simulate.Mix) []simulate.Device {
	h.t.Helper()
	var list strings.Builder
	for i := first; i < first+n; i++ {
		fmt.Fprintf(&list, "press,press%03d,,Press %d,hall-%d\n", i, i, i%3+1)
	}
	dir := h.t.TempDir()
	names, secrets := filepath.Join(dir, "fleet.csv"), filepath.Join(dir, "secrets.csv")
	if err := os.WriteFile(names, []byte(list.String()), 0o600); err != nil {
		h.t.Fatal(err)
	}
	h.cli("device", "import", names, "--secrets", secrets)
	devices, err := readFleet(secrets, "press")
	if err != nil {
		h.t.Fatal(err)
	}
	for i, kind := range mix.Deal(len(devices), 3) {
		devices[i].Kind = kind
	}
	return devices
}

// lives are devices that are played.
type lives struct {
	players []*simulate.Player
	stop    func() // all of them, which is no power cut: what they have begun ends
}

// play has devices live until the test ends or stop is called. Those that ask when they boot do so six times more rarely than
// the others ask: firmware that boots again within the time that it has to be up is not healthy.
func (h *hall) play(devices []simulate.Device, faults ...string) *lives {
	h.t.Helper()
	at, err := url.Parse(h.url)
	if err != nil {
		h.t.Fatal(err)
	}
	plan := simulate.Plan{Gateway: at, Runs: "1.0.0", Chip: "esp32c3", Dumps: h.dumps, Speed: h.speed, Seed: 3}
	for _, text := range faults {
		f, err := simulate.ParseFault(text)
		if err != nil {
			h.t.Fatal(err)
		}
		plan.Faults = append(plan.Faults, f)
	}
	booting := slices.DeleteFunc(slices.Clone(devices), func(d simulate.Device) bool { return d.Kind != simulate.ESPMDM })
	asking := slices.DeleteFunc(slices.Clone(devices), func(d simulate.Device) bool { return d.Kind == simulate.ESPMDM })
	ctx, cancel := context.WithCancel(context.Background())
	var playing sync.WaitGroup
	l := &lives{stop: func() {
		cancel()
		playing.Wait()
	}}
	h.t.Cleanup(l.stop)
	for interval, some := range map[time.Duration][]simulate.Device{30 * time.Minute: booting, 5 * time.Minute: asking} {
		plan.Interval, plan.Devices = interval, some
		p := simulate.NewPlayer(plan)
		l.players = append(l.players, p)
		playing.Go(func() { p.Run(ctx) })
	}
	return l
}

// devices are as they are now.
func (l *lives) devices() (all []simulate.Played) {
	for _, p := range l.players {
		all = append(all, p.Summary().Devices...)
	}
	return all
}

// count are those of which something holds.
func (l *lives) count(holds func(simulate.Played) bool) (n int) {
	for _, d := range l.devices() {
		if holds(d) {
			n++
		}
	}
	return n
}

// running are those that run a version, and are not silent.
func (l *lives) running(version string) int {
	return l.count(func(d simulate.Played) bool { return d.Runs == version && !d.Silent })
}

// asPlanned fails where requests were answered otherwise.
func (l *lives) asPlanned(t *testing.T) {
	t.Helper()
	for _, p := range l.players {
		if sum := p.Summary(); sum.Errors > 0 {
			t.Errorf("%d requests were answered otherwise than planned: %q", sum.Errors, sum.Messages)
		}
	}
}

// awaitHeard waits until so many devices are live, or ask at their boots, and their rhythms are known.
func (h *hall) awaitHeard(n int) {
	h.t.Helper()
	h.within(time.Minute, fmt.Sprintf("%d devices are heard", n), func() bool {
		var seen api.Devices
		h.cliJSON(&seen, "device", "list")
		heard := 0
		for _, d := range seen.Devices {
			if s := d.Sighting; s.State == fleet.Live && s.Rhythm > 0 || s.State == fleet.BootsOnly {
				heard++
			}
		}
		return heard >= n
	})
}

// begin starts the rollout of 1.1.0.
func (h *hall) begin(flags ...string) {
	h.t.Helper()
	h.cli(append([]string{"rollout", "start", "press", "1.1.0", "--plan", h.plan}, flags...)...)
}

// look is how the newest rollout stands; that nobody has it beyond the budget is checked at each.
func (h *hall) look() (r api.Rollout) {
	h.t.Helper()
	h.cliJSON(&r, "rollout", "show", "press")
	c := r.Counts
	unproven := c.Offered + c.Fetching + c.Fetched + c.Up + c.Lost + c.Back
	// A crash takes a proof away that was counted on, and the device holds its slot again.
	if forward := r.State != fleet.RolloutRetreating && r.State != fleet.RolloutRetreated; forward && unproven > max(r.Plan.Unproven, c.Healthy+c.Crashed)+c.Crashed {
		h.t.Errorf("%d devices are unproven, with %d healthy ones and %d that crashed: %+v", unproven, c.Healthy, c.Crashed, c)
	}
	return r
}

// await looks until the rollout is in a state.
func (h *hall) await(state fleet.RolloutState) (r api.Rollout) {
	h.t.Helper()
	h.awaitThat(string(state), func(now api.Rollout) bool {
		r = now
		if ended(r.State) && r.State != state {
			h.t.Fatalf("the rollout is %s and not %s: %q, %+v, %+v\n%s", r.State, state, r.Why, r.Counts, r.Evidence, h.cli("rollout", "explain", "press"))
		}
		return r.State == state
	})
	return r
}

func (h *hall) awaitThat(what string, holds func(api.Rollout) bool) {
	h.t.Helper()
	h.within(time.Minute, what, func() bool { return holds(h.look()) })
}

// members are the records of the newest rollout.
func (h *hall) members() map[string]api.Member {
	h.t.Helper()
	var page api.Members
	h.cliJSON(&page, "rollout", "devices", "press")
	all := map[string]api.Member{}
	for _, m := range page.Devices {
		all[string(m.Device)] = m
	}
	return all
}

// offered is what the model is offered.
func (h *hall) offered() string {
	h.t.Helper()
	var models api.Models
	h.cliJSON(&models, "model", "list")
	return string(models.Models[0].FirmwareVersion)
}

// says checks that a sentence is one of several, in which # stands for a number.
func (h *hall) says(what, got string, sentences ...string) {
	h.t.Helper()
	for _, s := range sentences {
		want := "^" + strings.ReplaceAll(regexp.QuoteMeta(s), "#", `[0-9]+(\.[0-9]+)?`) + "$"
		if regexp.MustCompile(want).MatchString(got) {
			return
		}
	}
	h.t.Errorf("%s is %q, want one of %q", what, got, sentences)
}
