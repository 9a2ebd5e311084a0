package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// heard is what a socket was asked, one line a request.
type heard struct {
	mu    sync.Mutex
	lines []string
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.lines, "\n")
}

// rollingGateway answers by method and path; what it does not know is not found.
func rollingGateway(t *testing.T, answers map[string]string) (socket string, h *heard) {
	t.Helper()
	h = &heard{}
	return answering(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked := r.Method + " " + r.URL.Path
		h.mu.Lock()
		h.lines = append(h.lines, strings.TrimSpace(asked+" "+string(body)))
		h.mu.Unlock()
		answer, ok := answers[asked]
		if !ok {
			refusing(http.StatusNotFound, `{"error":"there is none"}`)(w, r)
			return
		}
		_, _ = io.WriteString(w, answer)
	}), h
}

// called is one call of the program against a socket.
func called(t *testing.T, socket string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), append(args, "--socket", socket), strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func rolloutJSON(t *testing.T, change func(*fleet.Rollout)) string {
	t.Helper()
	r := fleet.Rollout{
		Number: 7, Model: "pump", Version: "1.4.2", Base: "1.4.1", State: fleet.RolloutRunning, Wave: 2, StartedBy: "plant",
		Plan:   fleet.Plan{Name: "standard", Waves: []fleet.Wave{{Devices: 3, Rest: fleet.Duration(30 * time.Minute)}, {Devices: 40, BootCrash: 0.05}, {Share: 0.05, Daily: 0.005}, {Share: 1}}},
		Counts: fleet.RolloutCounts{Waiting: 7990, Healthy: 9, Lost: 1}, Evidence: fleet.RolloutEvidence{Total: 1.25},
		Signature: &fleet.SignatureCounts{Fingerprint: "9f2c", Frame: "mqtt_task\x1b[2J mqtt.c:212", New: fleet.ShareCount{Devices: 2, Of: 10}, Old: fleet.ShareCount{Of: 7990}},
	}
	if change != nil {
		change(&r)
	}
	text, err := json.Marshal(api.ShowRollout(r))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const ofPump = "/api/device-models/pump/rollouts"

func TestAWaitForARolloutEndsWithTheCodeThatCIAsksFor(t *testing.T) {
	in := func(state fleet.RolloutState) string {
		return rolloutJSON(t, func(r *fleet.Rollout) { r.State, r.Why = state, "3 of the first 3 devices did not come back" })
	}
	for state, want := range map[fleet.RolloutState]int{
		fleet.RolloutFinished: exitDone, fleet.RolloutHalted: exitFailed, fleet.RolloutRetreated: exitFailed, fleet.RolloutReplaced: exitFailed,
		fleet.RolloutRunning: exitNotEnded, fleet.RolloutHeld: exitNotEnded, fleet.RolloutPaused: exitNotEnded, fleet.RolloutRetreating: exitNotEnded,
		fleet.RolloutDraft: exitNotEnded,
	} {
		socket, _ := rollingGateway(t, map[string]string{"GET " + ofPump + "/newest": in(state), "GET " + ofPump + "/7": in(state)})
		code, out, errOut := called(t, socket, "rollout", "wait", "pump", "--timeout", "1ms")
		if said := out + errOut; code != want || !strings.Contains(said, string(state)) || !strings.Contains(said, "did not come back") {
			t.Errorf("%s: ended with %d, want %d: %s%s", state, code, want, out, errOut)
		}
	}
	socket, _ := rollingGateway(t, nil)
	if code, _, _ := called(t, socket, "rollout", "wait", "pump"); code != exitNotFound {
		t.Errorf("without a rollout: ended with %d", code)
	}
	if code, _, _ := called(t, socket+"x", "rollout", "wait", "pump"); code != exitNoDaemon {
		t.Errorf("without a gateway: ended with %d", code)
	}
	if code, _, _ := called(t, socket, "rollout", "wait", "pump", "--timeout", "-1s"); code != exitUsage {
		t.Errorf("with less than no time: ended with %d", code)
	}
}

// A rollout that begins meanwhile is not the one that CI has started, and a gateway that restarts has not lost it.
func TestAWaitStaysWithTheRolloutThatItBeganWith(t *testing.T) {
	var all atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	socket := answering(t, func(w http.ResponseWriter, r *http.Request) {
		looks := all.Add(1)
		switch {
		case looks == 1 && r.URL.Path == ofPump+"/newest":
			_, _ = io.WriteString(w, rolloutJSON(t, nil))
		case looks == 2 && r.URL.Path == ofPump+"/7":
			panic(http.ErrAbortHandler)
		case looks == 3 && r.URL.Path == ofPump+"/7":
			_, _ = io.WriteString(w, rolloutJSON(t, func(r *fleet.Rollout) { r.State = fleet.RolloutFinished }))
		default:
			t.Errorf("look %d at %s", looks, r.URL.Path)
			cancel()
		}
	})
	var out, errOut bytes.Buffer
	if code := run(ctx, []string{"rollout", "wait", "pump", "--socket", socket}, nil, &out, &errOut); code != exitDone || all.Load() != 3 {
		t.Errorf("ended with %d after %d looks: %s%s", code, all.Load(), &out, &errOut)
	}
}

func TestARolloutIsStartedAsTheFlagsSay(t *testing.T) {
	answers := map[string]string{"POST " + ofPump: rolloutJSON(t, nil), "GET /api/devices/aaaaaaaa": `{"device_key":"aaaaaaaa"}`}
	for _, test := range []struct {
		flags []string
		want  string // the body
	}{
		{nil, `{"version":"1.4.2"}`},
		{[]string{"--plan", "urgent", "--first", "hall3", "--window", "Mo-Fr 22:00-05:00", "--retreat", "--untested", "--halt-first", "--again", "--draft"},
			`{"version":"1.4.2","plan":{"name":"urgent","waves":null,"unproven":0,"up_within":"0s"},"first":"hall3","window":"Mo-Fr 22:00-05:00","retreat":true,"draft":true,"again":true,"untested":true,"halt_first":true}`},
		{[]string{"--first", "aaaaaaaa,bbbbbbbb"}, `{"version":"1.4.2","first":["aaaaaaaa","bbbbbbbb"]}`},
		{[]string{"--first", "aaaaaaaa"}, `{"version":"1.4.2","first":["aaaaaaaa"]}`},
		{[]string{"--first", "assembly"}, `{"version":"1.4.2","first":"assembly"}`}, // no device has that key
		{[]string{"--line", "hall3", "--line", "hall4", "--label", "night", "--device", "aaaaaaaa"},
			`{"version":"1.4.2","target":{"lines":["hall3","hall4"],"labels":["night"],"keys":["aaaaaaaa"]}}`},
		{[]string{"--start-at", "2026-05-04T22:00:00+02:00"}, `{"version":"1.4.2","start_at":"2026-05-04T22:00:00+02:00"}`},
		{[]string{"--plan", `{"waves":[{"devices":1,"rest":"5s"},{"share":1}]}`},
			`{"version":"1.4.2","plan":{"name":"","waves":[{"devices":1,"rest":"5s"},{"share":1}],"unproven":0,"up_within":"0s"}}`},
	} {
		socket, h := rollingGateway(t, answers)
		code, out, errOut := called(t, socket, append([]string{"rollout", "start", "pump", "1.4.2"}, test.flags...)...)
		if code != exitDone || !strings.HasSuffix(h.String(), "POST "+ofPump+" "+test.want) || out != "rollout 7 of pump began: 1.4.2 instead of 1.4.1; slipway rollout show pump\n" {
			t.Errorf("%v: ended with %d, %s%s\n got %s\nwant %s", test.flags, code, out, errOut, h, test.want)
		}
	}
	for _, flags := range [][]string{
		{"--plan", `{"wave":[]}`}, {"--plan", "{"}, {"--start-at", "tonight"}, {"--device", "short"}, {"--first", "aaaaaaaa,short"}, {"--wave", "3"},
	} {
		socket, h := rollingGateway(t, answers)
		if code, out, errOut := called(t, socket, append([]string{"rollout", "start", "pump", "1.4.2"}, flags...)...); code != exitUsage || h.String() != "" {
			t.Errorf("%v: ended with %d, %s%s, and asked %s", flags, code, out, errOut, h)
		}
	}
}

func TestADryRunPrintsTheForecastAsATable(t *testing.T) {
	f := fleet.Forecast{Plan: fleet.Plan{Name: "standard"}, Devices: 8000, Days: 8.3, Rate: 0.002, Builds: []fleet.ForecastRow{
		{Build: "silent at once", Rounds: 200, Halted: 200, Have: 3, HaveMost: 3, Days: 0.015}, {Build: "twice as bad", Rounds: 200},
	}, Warnings: []string{"it writes no core dumps"}}
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	socket, h := rollingGateway(t, map[string]string{"POST " + ofPump: string(text)})
	code, out, errOut := called(t, socket, "rollout", "start", "pump", "1.4.2", "--dry-run")
	const want = `1.4.2 for pump, plan standard, 8,000 devices. Nothing was started.
A good build takes 8.3 days. Crashes a device and day of the build before: 0.002.

A BUILD THAT IS  HALTED      HAVE IT THEN  95TH  AFTER
silent at once   200 of 200  3             3     22 minutes
twice as bad     0 of 200    -             -     -

- it writes no core dumps
`
	if code != exitDone || out != want || h.String() != "POST "+ofPump+` {"version":"1.4.2","dry_run":true}` {
		t.Errorf("ended with %d: %s\n got %q\nwant %q\n%s", code, errOut, out, want, h)
	}
}

func TestADryRunWithNobodyToPlayWithPrintsNoNumbersThatMeanNothing(t *testing.T) {
	socket, _ := rollingGateway(t, map[string]string{"POST " + ofPump: `{"plan":{"name":"standard","waves":[{"share":1}]},"devices":12,"rate":0.002,"builds":[],"warnings":["no device is heard: there is nothing to play with"]}`})
	code, out, errOut := called(t, socket, "rollout", "start", "pump", "1.4.2", "--dry-run")
	const want = `1.4.2 for pump, plan standard, 12 devices. Nothing was started.
What the plan would do is not known.

- no device is heard: there is nothing to play with
`
	if code != exitDone || out != want {
		t.Errorf("ended with %d: %s\n got %q\nwant %q", code, errOut, out, want)
	}
}

func TestAnActWithoutItsReasonAsksForItAndDoesNothing(t *testing.T) {
	answers := map[string]string{"GET " + ofPump + "/newest": rolloutJSON(t, func(r *fleet.Rollout) { r.State = fleet.RolloutHalted })}
	for _, args := range []string{"halt pump", "advance pump", "retreat pump", "excuse aaaaaaaa", "resume pump", "halt pump --reason="} {
		socket, h := rollingGateway(t, answers)
		code, out, errOut := called(t, socket, append([]string{"rollout"}, strings.Split(args, " ")...)...)
		if code != exitUsage || !strings.Contains(errOut, "needs a --reason: say why") || strings.Contains(h.String(), "POST") {
			t.Errorf("%s: ended with %d: %s%s, and asked %s", args, code, out, errOut, h)
		}
	}
}

func TestARolloutIsShownWithItsWavesAndWhatStandsAgainstIt(t *testing.T) {
	explain := `{"evidence":{"total":1.25},"new_crashed":{"devices":2,"of":10},"old_crashed":{"devices":4,"of":7990},"expected_crashes":2.4,` +
		`"gates":[{"what":"5 % of boots crash","ruled_out":false,"needs":2.5},{"what":"\u001b[31m","ruled_out":true,"needs":1}],"lines":["aaaaaaaa, hall3: did not come back"],` +
		`"slots":{"devices":2,"of":9},"judged":{"devices":8,"of":40}}`
	socket, _ := rollingGateway(t, map[string]string{
		"GET " + ofPump + "/newest": rolloutJSON(t, nil), "GET " + ofPump + "/7/explain": explain, "GET " + ofPump + "/newest/explain": explain,
		"GET " + ofPump + "/6":                     rolloutJSON(t, func(r *fleet.Rollout) { r.First = &fleet.First{Line: "hall3"} }),
		"GET /api/rollouts":                        `{"rollouts":[` + rolloutJSON(t, nil) + `,` + rolloutJSON(t, func(r *fleet.Rollout) { r.Version, r.State = "1.3.9", fleet.RolloutHalted }) + `],"next":null}`,
		"GET " + ofPump + "/newest/devices":        `{"devices":[{"device_key":"aaaaaaaa","line":"hall3","wave":1,"state":"lost","attempts":1,"why":"not heard for 45 min"}],"next":null}`,
		"GET /api/device-models/pump/rollout-plan": `{"name":"small","waves":[{"devices":1,"rest":"30m"},{"share":1}],"unproven":3,"up_within":"0s"}`,
	})
	for _, test := range []struct {
		args  string
		wants []string
		lacks string
	}{
		{"show pump", []string{
			"1.4.2 for pump: wave 2 of 4, 10 of 8,000 devices. 2 crashes where 2.4 were to be expected. Goes on when “5 % of boots crash” is ruled out.",
			"slots:      2 of 9 taken", "1     3        30m   -                                         done", "2     40       -     5 % of boots crash                        open",
			"3     5 %      -     0.5 more crashes per 100 devices and day  -", "4     all",
			"new with it: 9f2c mqtt_task?[2J mqtt.c:212, on 2 of 10 devices; of the old build's on 0 of 7990",
		}, "\x1b"},
		{"show pump --number 6", []string{"1     all of hall3  30m", "WAITING  OFFERED  FETCHING  FETCHED  UP  HEALTHY  LOST  BACK  OFF  SKIPPED  CRASHED", "7990"}, "\x1b"},
		{"show", []string{"1.4.2", "2 of 4  10 of 8000"}, "1.3.9"},
		{"list", []string{"1.4.2", "1.3.9", "halted"}, "\x1b"},
		{"explain pump", []string{"not ruled out: 5 % of boots crash, which takes 2.5 times what was seen until now", "ruled out: ?[31m", "aaaaaaaa, hall3: did not come back"}, "\x1b"},
		{"devices pump --state lost", []string{"aaaaaaaa  hall3  1     lost", "not heard for 45 min"}, "\x1b"},
		{"plan pump", []string{"plan:     small", "1     1        30m", "2     all"}, "\x1b"},
	} {
		code, out, errOut := called(t, socket, append([]string{"rollout"}, strings.Fields(test.args)...)...)
		for _, want := range test.wants {
			if code != exitDone || !strings.Contains(out, want) || strings.Contains(out, test.lacks) {
				t.Errorf("%s: ended with %d, without %q or with %q:\n%s%s", test.args, code, want, test.lacks, out, errOut)
			}
		}
	}
}

func TestAnActGoesToTheNewestRolloutOrToThatOfItsNumber(t *testing.T) {
	answers := map[string]string{"PUT /api/device-models/pump/rollout-plan": `{"name":"urgent"}`}
	for _, verb := range []string{"pause", "resume", "halt", "advance", "retreat", "finish", "excuse"} {
		for _, number := range []string{"newest", "6", "7"} {
			answers[fmt.Sprintf("POST %s/%s/%s", ofPump, number, verb)] = rolloutJSON(t, nil)
		}
	}
	answers["GET /api/devices/aaaaaaaa"] = `{"device_key":"aaaaaaaa","model_code":"pump","rollout":{"number":7}}`
	answers["GET /api/devices/bbbbbbbb"] = `{"device_key":"bbbbbbbb","model_code":"fan","rollout":{"number":1}}`
	answers["GET /api/devices/cccccccc"] = `{"device_key":"cccccccc","model_code":"pump"}`
	answers["POST /api/device-models/pump/builds/1.4.2/publish"] = `{"code":"pump","firmware_version":"1.4.2"}`
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"rollout", "pause", "pump"}, 0, "POST " + ofPump + "/newest/pause {}"},
		{[]string{"rollout", "pause", "pump", "--number", "6"}, 0, "POST " + ofPump + "/6/pause {}"},
		{[]string{"rollout", "halt", "pump", "--reason", "it smells"}, 0, "POST " + ofPump + `/newest/halt {"reason":"it smells"}`},
		{[]string{"rollout", "resume", "pump", "--reason", "known", "--accept", "9f2c", "--accept", "5%"}, 0, "POST " + ofPump + `/newest/resume {"reason":"known","accept":["9f2c","5%"]}`},
		{[]string{"rollout", "advance", "pump", "--reason", "x"}, 0, "POST " + ofPump + `/newest/advance {"reason":"x"}`},
		{[]string{"rollout", "retreat", "pump", "--reason", "x", "--untested"}, 0, "POST " + ofPump + `/newest/retreat {"reason":"x","untested":true}`},
		{[]string{"rollout", "finish", "pump"}, 0, "POST " + ofPump + "/newest/finish {}"},
		{[]string{"rollout", "excuse", "aaaaaaaa", "--reason", "unplugged"}, 0, "POST " + ofPump + `/7/excuse {"reason":"unplugged","devices":["aaaaaaaa"]}`},
		{[]string{"rollout", "excuse", "aaaaaaaa", "bbbbbbbb", "--reason", "x"}, 2, "GET /api/devices/bbbbbbbb"},
		{[]string{"rollout", "excuse", "cccccccc", "--reason", "x"}, 1, "GET /api/devices/cccccccc"},
		{[]string{"rollout", "plan", "pump", "urgent"}, 0, `PUT /api/device-models/pump/rollout-plan {"name":"urgent","waves":null,"unproven":0,"up_within":"0s"}`},
		{[]string{"firmware", "publish", "pump", "1.4.2", "--halt-first"}, 0, `POST /api/device-models/pump/builds/1.4.2/publish {"halt_first":true}`},
		{[]string{"firmware", "publish", "pump", "1.4.2"}, 0, `POST /api/device-models/pump/builds/1.4.2/publish {}`},
	} {
		socket, h := rollingGateway(t, answers)
		if code, out, errOut := called(t, socket, test.args...); code != test.code || !strings.HasSuffix(h.String(), test.want) {
			t.Errorf("%v: ended with %d, %s%s\n got %s\nwant %s", test.args, code, out, errOut, h, test.want)
		}
	}
}

func TestADeviceIsShownWithItsPlaceInARollout(t *testing.T) {
	at := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	socket, _ := rollingGateway(t, map[string]string{"GET /api/devices/aaaaaaaa": `{"device_key":"aaaaaaaa","sighting":{"runs":"1.4.1","runs_by":"said","heard_at":"` + at + `"},` +
		`"rollout":{"number":7,"version":"1.4.2","state":"running","member":{"state":"fetched","offered_at":"` + at + `","fetched_at":"` + at + `"}}}`})
	code, out, errOut := called(t, socket, "device", "show", "aaaaaaaa")
	if want := "7, running, fetched: runs 1.4.1, it says so · offered 1.4.2 at "; code != exitDone || !strings.Contains(out, want) || !strings.Contains(out, ", not heard since\n") {
		t.Errorf("ended with %d:\n%s%s", code, out, errOut)
	}
}
