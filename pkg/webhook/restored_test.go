package webhook

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// elsewhere is a backup of a post, restored as on another machine, where a gateway begins with it.
func (p *post) elsewhere() *post {
	p.t.Helper()
	var backup bytes.Buffer
	p.must(p.store.Backup(&backup))
	return open(p.t, func(o *catalog.Options) {
		o.Dir = filepath.Join(o.Dir, "restored")
		_, err := catalog.Restore(*o, &backup)
		p.must(err)
	})
}

// TestARestoredBackupSendsNobodyAnythingBeforeAPersonSaysSo: the gateway of before goes on sending beside it. Receivers of all
// states come along: one that has heard everything, one whose events wait, one that was off and one that was given up.
func TestARestoredBackupSendsNobodyAnythingBeforeAPersonSaysSo(t *testing.T) {
	p := open(t, nil)
	off := func(w *fleet.Webhook) error { w.Active = false; return nil }
	on := func(w *fleet.Webhook) error { w.Active = true; return nil }
	r, waits, idle := receive(t, nil), receive(t, nil), receive(t, nil)
	w, _ := p.add(fleet.Webhook{Name: "tickets", URL: r.URL + "/in?key=in-the-address"})
	p.until("it has heard", func() bool { return p.state(w.ID).Waiting == 0 && len(r.got()) == 1 })
	idler, _ := p.add(fleet.Webhook{URL: idle.URL})
	_, err := p.Set(t.Context(), idler.ID, false, off)
	p.must(err)
	given, _ := p.add(fleet.Webhook{URL: idle.URL})
	p.must(p.store.DisableWebhook(t.Context(), given.ID, noon, "nobody is there", fleet.WebhookDelivery{}))
	p.stop()
	waiter, _ := p.add(fleet.Webhook{URL: waits.URL})
	p.happen(5) // they wait, for the one that is off, too
	heard, heardIdle := len(r.got()), len(idle.got())

	here := p.elsewhere()
	here.happen(3)
	other := receive(t, nil)
	fresh, _ := here.add(fleet.Webhook{URL: other.URL})
	here.happen(2)
	here.until("the one that is named here", func() bool { return here.state(fresh.ID).Delivery.Delivered == 3 })
	if n := len(r.got()) + len(waits.got()) + len(idle.got()); n != heard+heardIdle {
		t.Errorf("a restore sent receivers %d messages", n-heard-heardIdle)
	}
	const why = "paused by the restore of a backup"
	for id, says := range map[string]string{w.ID: why, waiter.ID: why, given.ID: "nobody is there", idler.ID: ""} {
		if s := here.state(id); s.Active || !s.Restored || s.Waiting != 0 || !strings.HasPrefix(s.Disabled, says) || s.DisabledAt.IsZero() != (says == "") {
			t.Errorf("%s: %+v", id, s)
		}
	}
	trouble := strings.Join(here.Trouble(), "\n")
	if want := "webhook tickets (" + w.ID + ") is disabled since 2026-05-04T12:00:00Z: " + why; !strings.Contains(trouble, want) || !strings.Contains(trouble, "slipway webhook set "+w.ID+" --active, and it is sent what happens from then on") || strings.Count(trouble, "\n") != 2 {
		t.Errorf("trouble %s", trouble)
	}
	page, err := here.store.Events(event.Filter{Kinds: []string{"webhook.disabled", "backup"}})
	p.must(err)
	told := ""
	for _, e := range page.Events {
		told += string(e.Kind) + " " + e.Object.ID + " " + string(e.Details) + "\n"
	}
	if strings.Count(told, "webhook.disabled") != 3 || strings.Count(told, why) != 2 || page.Events[len(page.Events)-1].Kind != event.BackupRestored || strings.Contains(told, "in-the-address") {
		t.Errorf("told is\n%s", told)
	}

	for id, to := range map[string]*receiver{w.ID: r, waiter.ID: waits, idler.ID: idle} {
		before := len(to.got())
		set, err := here.Set(t.Context(), id, false, on)
		p.must(err)
		first := here.head() // its own change
		here.happen(2)
		here.until("what happens from then on", func() bool { return len(to.got()) >= before+3 && here.state(id).Waiting == 0 })
		if got := to.events()[before:]; !slices.Equal(got, upTo(first, first+2)) {
			t.Errorf("%s got %v, want %v", id, got, upTo(first, first+2))
		}
		var changed struct {
			Details struct {
				FromNow bool `json:"from_now"`
			}
		}
		p.must(json.Unmarshal(to.got()[before].body, &changed))
		if !changed.Details.FromNow || set.Restored || !set.DisabledAt.IsZero() || set.Disabled != "" {
			t.Errorf("%s: %+v, %s", id, set, to.got()[before].body)
		}
		// From then on it is one like any other: what waits while it is off is sent once it is on again.
		_, err = here.Set(t.Context(), id, false, off)
		p.must(err)
		before, first = len(to.got()), here.head() // that it is off
		here.happen(2)
		_, err = here.Set(t.Context(), id, false, on)
		p.must(err)
		here.until("what waited", func() bool { return len(to.got()) >= before+4 })
		if got := to.events()[before:]; !slices.Equal(got, upTo(first, first+3)) {
			t.Errorf("%s, off and on again, got %v, want %v", id, got, upTo(first, first+3))
		}
		_, err = here.Set(t.Context(), id, false, off)
		p.must(err)
	}
	if trouble := here.Trouble(); len(trouble) != 1 || !strings.Contains(trouble[0], given.ID) {
		t.Errorf("trouble %q", trouble)
	}
}
