package page

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/rollout"
)

// beside are the real rollouts, with the played ones where those are asked for one.
type beside struct {
	*rollout.Rollouts
	played *played
}

func (b beside) Rollout(code fleet.ModelCode, number int) (fleet.Rollout, error) {
	return b.played.Rollout(code, number)
}

// whole is a gateway of which the API asks more.
type whole struct{ *calm }

func (w whole) Wrong() []fleet.Wrong          { return w.wrong }
func (whole) Ready() bool                     { return true }
func (whole) CA() ([]byte, error)             { return nil, nil }
func (whole) Rebuild(context.Context) error   { return nil }
func (whole) AcceptClock() (time.Time, error) { return noon, nil }
func (whole) Backup(io.Writer) error          { return nil }

func TestWhatSomebodyHasSeenStandsApartUntilItIsWorseOrBeginsAnew(t *testing.T) {
	d := rollingOut(t)
	d.rollouts.all[0].State, d.rollouts.all[0].Why, d.rollouts.all[0].EndedAt = fleet.RolloutHalted, "3 of the first 3 devices went back", noon
	d.gateway.wrong = []fleet.Wrong{{Kind: "disk", About: "disk", Text: "12 MiB are free"}}
	cookie := d.signIn(auth.Operator)
	press := func(path string) {
		t.Helper()
		a := d.ask(http.MethodPost, path, "", "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
		if a.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s: %s\n%s", path, a.Status, a.body)
		}
	}
	apart := func() (needs, seen string) {
		t.Helper()
		needs, seen, _ = strings.Cut(d.read("/").body, "Seen by somebody")
		return needs, seen
	}
	disk := fleet.TroubleID("disk", "disk")
	a := d.ask(http.MethodGet, "/", "", "Cookie", cookie)
	for _, want := range []string{"rollout halted", "12 MiB are free", `action="/trouble/` + disk + `/seen"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("without %q\n%s", want, a.body)
		}
	}
	if needs, _ := apart(); strings.Contains(needs, "/seen") {
		t.Errorf("a viewer sees a button\n%s", needs)
	}
	press("/trouble/" + disk + "/seen")
	if needs, seen := apart(); strings.Contains(needs, "MiB") || !strings.Contains(seen, "12 MiB are free") || !strings.Contains(seen, "seen by the operator") {
		t.Errorf("needs:\n%s\nseen:\n%s", needs, seen)
	}
	d.gateway.wrong[0].Text = "11 MiB are free" // the same trouble
	if needs, seen := apart(); strings.Contains(needs, "MiB") || !strings.Contains(seen, "11 MiB are free") {
		t.Errorf("other words:\n%s\n%s", needs, seen)
	}
	wrong := d.gateway.wrong
	d.gateway.wrong = nil
	d.must(d.troubles.Forget(t.Context()))
	d.gateway.wrong = wrong
	if needs, _ := apart(); !strings.Contains(needs, "MiB") {
		t.Errorf("it has begun anew:\n%s", needs)
	}
	press("/trouble/" + disk + "/seen")
	d.must(d.troubles.Forget(t.Context())) // it goes on
	if needs, _ := apart(); strings.Contains(needs, "MiB") {
		t.Errorf("what goes on was forgotten:\n%s", needs)
	}
	press("/trouble/" + disk + "/unseen")
	if needs, _ := apart(); !strings.Contains(needs, "MiB") {
		t.Errorf("taken back:\n%s", needs)
	}
}

func TestWhatHasBecomeWorseIsCoveredByNoOnesLook(t *testing.T) {
	for _, test := range []struct {
		seen, now int
		covers    bool
	}{{1, 1, true}, {1, 2, false}, {9, 10, false}, {10, 11, true}, {100, 110, true}, {100, 111, false}, {5, 3, true}, {0, 0, true}, {0, 1, false}} {
		n, at := fleet.NotedTrouble{ID: "a", Weight: test.seen}, fleet.Trouble{ID: "a", Weight: test.now}
		if n.Covers(at) != test.covers {
			t.Errorf("seen with %d, now %d: %t", test.seen, test.now, !test.covers)
		}
	}
}

func TestWhatTheFirstViewAndTheListOfDevicesCountLeadsToItsList(t *testing.T) {
	d := open(t)
	d.crashes(1, "abort()", "main.c:1")
	links := map[string][]string{
		"/": {
			`<a href="/crashes?model=pump&amp;version=1.0&amp;since=24h">1</a>`, `<a href="/crashes?model=pump&amp;version=1.0&amp;since=7d">1</a>`,
			`<a href="/devices?model=pump&amp;version=1.0">0</a>`,
		},
		"/devices": {`<a href="/devices/aaaaaaaa#dumps">1</a>`},
	}
	for from, all := range links {
		shown := d.read(from).body
		for _, link := range all {
			to, _, _ := strings.Cut(strings.TrimPrefix(link, `<a href="`), `"`)
			if !strings.Contains(shown, link) {
				t.Errorf("%s has no %s in\n%s", from, link, shown)
			} else if a := d.read(strings.ReplaceAll(to, "&amp;", "&")); a.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", to, a.Status)
			}
		}
	}
	if a := d.read("/devices/aaaaaaaa"); !strings.Contains(a.body, `id="dumps"`) {
		t.Error("a device's view has no place #dumps")
	}
}
