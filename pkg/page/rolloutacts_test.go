package page

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/depot"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/rollout"
	sample "github.com/slipway-gateway/slipway/testdata/firmware"
)

type noWaker struct{}

func (noWaker) BuildArrived(context.Context, fleet.Build) error { return nil }

// real are the rollouts that a gateway has, over the desk's catalog.
func (d *desk) real() (*rollout.Rollouts, *depot.Depot) {
	d.t.Helper()
	logger, now := slog.New(slog.DiscardHandler), func() time.Time { return d.clock }
	firmware := depot.New(depot.Options{
		Dir: d.t.TempDir(), Recorder: d.store, Waker: noWaker{}, Logger: logger, Now: now, MaxBytes: mostUpload, KeepVersions: 10, ELFCache: 1 << 20, Holds: func(fleet.Model) string { return d.held },
		Space: func() (int64, int64, error) { return math.MaxInt64, math.MaxInt64, nil },
	})
	rs, err := rollout.Open(rollout.Options{
		Store: d.store, Book: d.book, Firmware: firmware, Rate: func(fleet.ModelCode, fleet.Version) float64 { return 0 }, Hold: func() string { return "" },
		Plan: "standard", Alpha: 0.0001, Beta: 0.01, Tolerated: 0.01, UpWithin: 15 * time.Minute, DecideWithin: 14 * 24 * time.Hour,
		Beat: func() {}, Logger: logger, Now: now,
	})
	d.must(err)
	return rs, firmware
}

// mixer is a model of the real rollouts: a device, and two builds, of which the older is published.
func (d *desk) mixer() {
	d.t.Helper()
	d.must(d.store.AddModel(d.t.Context(), fleet.Model{Code: "mixer", Name: "Mixer"}))
	d.must(d.store.AddDevice(d.t.Context(), fleet.Device{Key: "mixer001", Model: "mixer", Line: "hall-3"}, auth.DeviceSecrets{}))
	for version, base := range map[string]string{"1.0.0": "", "1.1.0": "1.1.0"} {
		zip, err := sample.Build{Code: "mixer", Version: version, Base: base}.Bundle()
		d.must(err)
		_, err = d.firmware.Accept(d.t.Context(), fleet.Submission{Model: "mixer", Body: bytes.NewReader(zip), Size: int64(len(zip)), Origin: fleet.FromAPI})
		d.must(err)
	}
	_, err := d.firmware.Publish(d.t.Context(), "mixer", "1.0.0")
	d.must(err)
}

const (
	starts    = "POST /models/{code}/rollouts"
	acts7     = starts + "/{number}/"
	mixerPage = "/models/mixer/rollouts"
)

// rolled are the forms of rollouts, in an order in which each can be done.
var rolled = []sent{
	{starts, mixerPage, "version=1.1.0&plan=small&first=hall-3&retreat=yes&untested=yes", 200, "", ""},
	{starts, mixerPage, "version=9.9.9", 200, "", ""},
	{starts, mixerPage, "do=start&version=1.1.0&start_at=soon", 200, "", ""},
	{starts, "/models/none/rollouts", "version=1.1.0", 404, "", ""},
	{starts, mixerPage, "do=start&version=1.1.0&draft=yes", 303, "rollout.drafted", "is a draft"},
	{acts7 + "resume", mixerPage + "/1/resume", "", 303, "rollout.started", "To undo it: pause it, or halt it."},
	{starts, mixerPage, "do=start&version=1.1.0", 200, "", ""},
	{starts, mixerPage, "do=start&version=1.1.0&halt_first=yes&plan=small", 303, "rollout.halted rollout.started", "slipway rollout start mixer 1.1.0 --plan small --halt-first<"},
	{acts7 + "pause", mixerPage + "/2/pause", "", 303, "rollout.paused", "slipway rollout pause mixer --number 2<"},
	{acts7 + "resume", mixerPage + "/2/resume", "", 303, "rollout.resumed", "It goes on."},
	{acts7 + "advance", mixerPage + "/2/advance", "reason=", 400, "", ""},
	{acts7 + "advance", mixerPage + "/2/advance", "reason=it+is+known", 303, "rollout.advanced", "--reason &#39;it is known&#39;<"},
	{acts7 + "excuse", mixerPage + "/2/excuse", "reason=x", 400, "", ""},
	{acts7 + "excuse", mixerPage + "/2/excuse", "reason=x&devices=mixer001", 303, "rollout.excused", "slipway rollout excuse mixer mixer001 --number 2 --reason x<"},
	{acts7 + "halt", mixerPage + "/2/halt", "", 303, "rollout.halted", "halted by the admin: on the page"},
	{acts7 + "pause", mixerPage + "/2/pause", "", 409, "", ""},
	{acts7 + "retreat", mixerPage + "/2/retreat", "reason=x", 400, "", ""},
	{acts7 + "retreat", mixerPage + "/2/retreat", "reason=x&untested=yes", 303, "rollout.retreating rollout.wave_opened", "It is taken back"},
	{acts7 + "finish", mixerPage + "/2/finish", "", 303, "rollout.retreated", "It is over."},
	{starts, mixerPage, "do=start&version=1.1.0", 303, "rollout.started", "has started"},
	{acts7 + "retreat", mixerPage + "/3/retreat", "reason=x&untested=yes", 303, "rollout.halted rollout.retreating rollout.wave_opened", "It is taken back"},
	{acts7 + "finish", mixerPage + "/3/finish", "", 303, "rollout.retreated", "It is over."},
	{starts, mixerPage, "do=start&version=1.1.0", 303, "rollout.started", "has started"},
	{acts7 + "halt", mixerPage + "/4/halt", "reason=night", 303, "rollout.halted", "halted by the admin: night"},
	{acts7 + "resume", mixerPage + "/4/resume", "reason=x&accept=none", 400, "", ""},
	{acts7 + "resume", mixerPage + "/4/resume", "reason=x&share=5%25", 303, "rollout.resumed", "--accept &#39;5%&#39; --reason x<"},
	{acts7 + "finish", mixerPage + "/4/finish", "reason=known", 303, "build.published rollout.finished", "It is over."},
	{acts7 + "halt", mixerPage + "/9/halt", "", 404, "", ""},
	{starts, mixerPage, "do=start&version=1.0.0", 303, "rollout.started", "has started"},
	{publishRoute, "/models/mixer/builds/1.0.0/publish", "", 409, "", ""},
	{publishRoute, "/models/mixer/builds/1.0.0/publish", "halt_first=true", 303, "rollout.halted build.published", "slipway firmware publish mixer 1.0.0 --halt-first<"},
}

func TestARolloutIsForecastBeforeItIsStartedAndTheFormKeepsWhatWasEntered(t *testing.T) {
	d := open(t)
	d.mixer()
	cookie := d.signIn(auth.Operator)
	form := url.Values{"version": {"1.1.0"}, "plan": {"small"}, "first": {"hall-3"}, "window": {"Mo-Fr 22:00-05:00"}, "start_at": {"2026-05-05T22:00"}, "retreat": {"yes"}, "untested": {"yes"}}
	a := d.ask(http.MethodPost, mixerPage, form.Encode(), "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
	for _, want := range []string{
		"Nothing was started yet", "1.1.0 for 1 device, plan small", `name="first" value="hall-3"`, `name="start_at" value="2026-05-05T22:00"`, `It begins <time datetime="2026-05-05T22:00:00Z">`, "Start it then",
		"slipway rollout start mixer 1.1.0 --plan small --first hall-3 --window &#39;Mo-Fr 22:00-05:00&#39; --start-at 2026-05-05T22:00:00Z --retreat --untested<",
	} {
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%s without %q\n%s", a.Status, want, a.body)
		}
	}
	if _, err := d.rollouts.engine.Rollout("mixer", 0); err == nil {
		t.Error("showing what the plan would do has started it")
	}
	form.Set("do", "start")
	a = d.ask(http.MethodPost, mixerPage, form.Encode(), "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
	r, err := d.rollouts.engine.Rollout("mixer", 0)
	if a.StatusCode != http.StatusSeeOther || err != nil || r.State != fleet.RolloutDraft || r.StartedBy != "the operator" || r.Window != "Mo-Fr 22:00-05:00" || !r.Retreat || r.First == nil || r.First.Line != "hall-3" {
		t.Errorf("%s: %v, %+v\n%s", a.Status, err, r, a.body)
	}
	a = d.ask(http.MethodPost, mixerPage, "do=start&version=1.2.0&first=hall-9", "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
	for _, want := range []string{`role="alert">model mixer has no build &#34;1.2.0&#34;`, `name="first" type="text" value="hall-9"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("%s without %q\n%s", a.Status, want, a.body)
		}
	}
}

func TestTheFormOffersThePlansThatThereAre(t *testing.T) {
	if names := rollout.PlanNames(); !slices.Equal(slices.Sorted(slices.Values(plansOffered)), names) {
		t.Errorf("%v, and there are %v", plansOffered, names)
	}
}

func TestAViewerSeesNoButtonsOfARolloutAndAnOperatorThoseThatItsStateLets(t *testing.T) {
	button := func(verb fleet.RolloutVerb) string { return `action="` + pumpPage + "/" + string(verb) + `"` }
	for state, verbs := range map[fleet.RolloutState]string{
		fleet.RolloutRunning: "pause halt advance excuse retreat finish", fleet.RolloutHeld: "pause halt advance excuse retreat finish", fleet.RolloutPaused: "resume halt advance excuse retreat finish",
		fleet.RolloutDraft: "resume halt", fleet.RolloutHalted: "resume retreat", fleet.RolloutRetreating: "halt finish", fleet.RolloutRetreated: "", fleet.RolloutFinished: "",
	} {
		d := rollingOut(t)
		d.rollouts.all[0].State = state
		a := d.ask(http.MethodGet, pumpPage, "", "Cookie", d.signIn(auth.Operator))
		for _, verb := range []fleet.RolloutVerb{
			fleet.RolloutPause, fleet.RolloutResume, fleet.RolloutHalt, fleet.RolloutAdvance, fleet.RolloutExcuse, fleet.RolloutRetreat, fleet.RolloutFinish,
		} {
			if got := strings.Contains(a.body, button(verb)); got != slices.Contains(strings.Fields(verbs), string(verb)) {
				t.Errorf("%s: %s: %t", state, verb, got)
			}
		}
		if b := d.read(pumpPage); strings.Contains(b.body, `action="/models`) {
			t.Errorf("%s: a viewer sees buttons\n%s", state, b.body)
		}
	}
	d := open(t)
	d.mixer()
	if a := d.read(mixerPage + "/new"); a.StatusCode != http.StatusOK || strings.Contains(a.body, `action="/models`) || !strings.Contains(a.body, "An operator may start one") {
		t.Errorf("%s\n%s", a.Status, a.body)
	}
}

func TestWhatAPersonEntersOfARolloutRunsNowhere(t *testing.T) {
	const evil = `"><script>alert(1)</script>`
	d := open(t)
	d.mixer()
	cookie := d.signIn(auth.Operator)
	for _, name := range orderFields {
		a := d.ask(http.MethodPost, mixerPage, url.Values{"version": {"1.1.0"}, name: {evil}}.Encode(), "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
		if a.StatusCode != http.StatusOK || strings.Contains(a.body, "<script>alert") {
			t.Errorf("%s: %s\n%s", name, a.Status, a.body)
		}
	}
}
