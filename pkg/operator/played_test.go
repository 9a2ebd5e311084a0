package operator

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// played are rollouts in memory that judge and record nothing: what the door asks of them, and what it makes of their answers.
type played struct {
	mu      sync.Mutex
	all     []fleet.Rollout // in the order of lists
	members map[string][]fleet.Member
	plan    fleet.Plan
	why     fleet.Explanation
	cast    fleet.Forecast
	orders  []fleet.RolloutOrder
	acts    []fleet.RolloutAct
}

func newPlayed() *played {
	return &played{members: map[string][]fleet.Member{}, plan: fleet.Plan{Name: "standard"}}
}

// put adds a rollout with its members.
func (p *played) put(r fleet.Rollout, members ...fleet.Member) {
	p.all = append(p.all, r)
	slices.SortFunc(p.all, func(a, b fleet.Rollout) int { return cmp.Or(cmp.Compare(a.Model, b.Model), b.Number-a.Number) })
	p.members[r.ObjectOf().ID] = members
}

func (p *played) unfinished(code fleet.ModelCode) *fleet.Rollout {
	for i := range p.all {
		if p.all[i].Model == code && p.all[i].State.Unfinished() {
			return &p.all[i]
		}
	}
	return nil
}

func (p *played) ForPublish(_ context.Context, code fleet.ModelCode, _ string, haltFirst bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.unfinished(code)
	switch {
	case r == nil:
		return nil
	case haltFirst:
		r.State = fleet.RolloutHalted
		return nil
	}
	return fleet.Taken("rollout %d of %s, of %s, is %s: --halt-first halts it", r.Number, code, r.Version, r.State)
}

func (p *played) Start(ctx context.Context, o fleet.RolloutOrder) (fleet.Rollout, error) {
	if err := p.ForPublish(ctx, o.Model, o.By, o.HaltFirst); err != nil {
		return fleet.Rollout{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.orders = append(p.orders, o)
	r := fleet.Rollout{Number: 1, Model: o.Model, Version: o.Version, State: fleet.RolloutRunning, Target: o.Target, First: o.First, Plan: o.Plan, CreatedAt: noon}
	for _, other := range p.all {
		if other.Model == o.Model {
			r.Number = max(r.Number, other.Number+1)
		}
	}
	if o.Draft {
		r.State = fleet.RolloutDraft
	}
	p.put(r)
	return r, nil
}

func (p *played) Forecast(_ context.Context, o fleet.RolloutOrder) (fleet.Forecast, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.orders = append(p.orders, o)
	return p.cast, nil
}

func (p *played) Act(_ context.Context, code fleet.ModelCode, number int, a fleet.RolloutAct) (fleet.Rollout, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acts = append(p.acts, a)
	i := slices.IndexFunc(p.all, func(r fleet.Rollout) bool { return r.Model == code && r.Number == number })
	p.all[i].State = map[fleet.RolloutVerb]fleet.RolloutState{
		fleet.RolloutPause: fleet.RolloutPaused, fleet.RolloutResume: fleet.RolloutRunning, fleet.RolloutHalt: fleet.RolloutHalted,
		fleet.RolloutAdvance: fleet.RolloutRunning, fleet.RolloutExcuse: fleet.RolloutRunning, fleet.RolloutRetreat: fleet.RolloutRetreating,
		fleet.RolloutFinish: fleet.RolloutFinished,
	}[a.Verb]
	return p.all[i], nil
}

func (p *played) Rollout(code fleet.ModelCode, number int) (fleet.Rollout, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.all {
		if r.Model == code && (number == 0 || r.Number == number) {
			return r, nil
		}
	}
	return fleet.Rollout{}, fleet.Unknown("model %s has no rollout %d", code, number)
}

func (p *played) List(f fleet.RolloutFilter) (page []fleet.Rollout, next string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	behind := f.After == ""
	for _, r := range p.all {
		fits := behind && (f.Model == "" || r.Model == f.Model) && (f.State == "" || r.State == f.State) && f.Started.Has(r.StartedAt)
		behind = behind || r.ObjectOf().ID == f.After
		if !fits {
			continue
		}
		if len(page) == f.Limit {
			return page, page[len(page)-1].ObjectOf().ID, nil
		}
		page = append(page, r)
	}
	return page, "", nil
}

func (p *played) Members(code fleet.ModelCode, number int, f fleet.MemberFilter) (page []fleet.Member, next fleet.DeviceKey, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members[fleet.RolloutID(code, number)] {
		if m.Device <= f.After || f.State != "" && m.State != f.State || f.Wave != 0 && m.Wave != f.Wave || f.Crashed && m.Crash == nil || f.Back && !m.WentBack() || !f.Seen.Has(m.SeenAt()) {
			continue
		}
		if len(page) == f.Limit {
			return page, page[len(page)-1].Device, nil
		}
		page = append(page, m)
	}
	return page, "", nil
}

func (p *played) Explain(fleet.ModelCode, int) (fleet.Explanation, error) { return p.why, nil }
func (p *played) Plan(fleet.ModelCode) (fleet.Plan, error)                { return p.plan, nil }

func (p *played) SetPlan(_ context.Context, _ fleet.ModelCode, plan fleet.Plan) (fleet.Plan, error) {
	p.plan = plan
	return plan, nil
}

func (p *played) MemberOf(d fleet.Device) (fleet.Rollout, fleet.Member, bool) {
	r, err := p.Rollout(d.Model, 0)
	if err != nil {
		return r, fleet.Member{}, false
	}
	for _, m := range p.members[r.ObjectOf().ID] {
		if m.Device == d.Key {
			return r, m, true
		}
	}
	return r, fleet.Member{}, false
}

// rollingOut has the model pump with its devices, builds, and a rollout of the newest one that is running.
func rollingOut(t *testing.T, change func(*Options)) *desk {
	t.Helper()
	d := open(t, change)
	d.crashes(0, "", "")
	for i := 1; i <= 2; i++ {
		b := fleet.Build{Model: "pump", Version: fleet.Version(fmt.Sprintf("1.4.%d", i)), ELFSHA256: fmt.Sprintf("%064x", i)}
		if _, _, err := d.store.RecordBuild(t.Context(), b, i == 1); err != nil {
			t.Fatal(err)
		}
	}
	d.rollouts.put(fleet.Rollout{
		Number: 7, Model: "pump", Version: "1.4.2", Base: "1.4.1", State: fleet.RolloutRunning, Wave: 2, StartedAt: noon, StartedBy: "plant", CreatedAt: noon,
		Plan: fleet.Plan{Name: "small", Waves: []fleet.Wave{{Devices: 1}, {Devices: 3}, {Share: 1}}}, Counts: fleet.RolloutCounts{Healthy: 1},
	}, fleet.Member{Device: "aaaaaaaa", Line: "hall3", Wave: 1, State: fleet.MemberHealthy, Attempts: 1, OfferedAt: noon, UpBy: fleet.UpSaid})
	return d
}
