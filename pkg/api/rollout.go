package api

import (
	"encoding/json"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// NewRollout is what a rollout is started with, or forecast.
type NewRollout struct {
	Version   string       `json:"version"`
	Plan      *fleet.Plan  `json:"plan,omitempty"`     // a name, or a plan; nil: the model's
	Target    fleet.Target `json:"target,omitzero"`    // nobody named: all devices of the model
	First     *First       `json:"first,omitempty"`    // of the first wave
	Window    string       `json:"window,omitempty"`   // such as "Mo-Fr 22:00-05:00"
	Retreat   bool         `json:"retreat,omitempty"`  // by itself, once it has halted
	StartAt   time.Time    `json:"start_at,omitzero"`  // a draft until then
	Draft     bool         `json:"draft,omitempty"`    // until a person resumes it
	Again     bool         `json:"again,omitempty"`    // attempts at this version before it do not count
	Untested  bool         `json:"untested,omitempty"` // with retreat: although no device was moved from this build to the base yet
	HaltFirst bool         `json:"halt_first,omitempty"`
	Reason    string       `json:"reason,omitempty"`
	DryRun    bool         `json:"dry_run,omitempty"` // answers a forecast and starts nothing
}

// First is a line, or a list of devices.
type First fleet.First

// UnmarshalJSON takes "hall3" and ["a1b2c3d4"].
func (f *First) UnmarshalJSON(b []byte) error {
	*f = First{}
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, &f.Keys)
	}
	if err := json.Unmarshal(b, &f.Line); err != nil {
		return fleet.Refused("first: want a line such as \"hall3\", or a list of device keys")
	}
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (f First) MarshalJSON() ([]byte, error) {
	if f.Line != "" {
		return json.Marshal(f.Line)
	}
	return json.Marshal(List(f.Keys))
}

// RolloutAct is what a person says with a verb.
type RolloutAct struct {
	Reason   string   `json:"reason,omitempty"`
	Devices  []string `json:"devices,omitempty"`  // that are excused
	Accept   []string `json:"accept,omitempty"`   // with resume after a halt: fingerprints, or a share of updates that may end badly, such as "5%"
	Untested bool     `json:"untested,omitempty"` // with retreat: although no device was moved from this build to the base yet
}

// Publish says what becomes of a rollout that is not finished.
type Publish struct {
	HaltFirst bool `json:"halt_first,omitempty"`
}

// Rollouts is a page of rollouts, the newest first of each model, in the order of models.
type Rollouts struct {
	Rollouts []Rollout `json:"rollouts"`
	Next     *string   `json:"next"` // what ?after= takes for the next page; null: this is the last
}

// Rollout is a rollout as people are told of it: its record without what only the gateway counts by.
type Rollout struct {
	Number    int                    `json:"number"`
	Model     fleet.ModelCode        `json:"model_code"`
	Version   fleet.Version          `json:"version"`
	Base      fleet.Version          `json:"base"`
	State     fleet.RolloutState     `json:"state"`
	Wave      int                    `json:"wave"` // that is open, from 1; 0 before the first
	Why       string                 `json:"why"`
	Dark      []string               `json:"dark"`
	Plan      fleet.Plan             `json:"plan"`
	Target    fleet.Target           `json:"target"`
	First     *First                 `json:"first,omitempty"`
	Window    string                 `json:"window,omitempty"`
	Retreat   bool                   `json:"retreat,omitempty"`
	Accepted  []string               `json:"accepted,omitempty"`
	NoRetreat string                 `json:"no_retreat,omitempty"` // why it cannot be taken back
	HaltedWhy string                 `json:"halted_why,omitempty"` // why it has halted, also while it is taken back and after
	Tested    bool                   `json:"tested"`               // a device was moved back to the base, and runs
	Warnings  []string               `json:"warnings"`             // what it cannot see, and why
	Counts    fleet.RolloutCounts    `json:"counts"`
	Evidence  fleet.RolloutEvidence  `json:"evidence"`
	Signature *fleet.SignatureCounts `json:"signature"` // null: none is new
	CreatedAt time.Time              `json:"created_at"`
	StartAt   time.Time              `json:"start_at,omitzero"` // of a draft
	StartedAt time.Time              `json:"started_at,omitzero"`
	StartedBy string                 `json:"started_by"`
	EndedAt   time.Time              `json:"ended_at,omitzero"`
}

// ShowRollout leaves out what people are not told.
func ShowRollout(r fleet.Rollout) Rollout {
	return Rollout{
		Number: r.Number, Model: r.Model, Version: r.Version, Base: r.Base, State: r.State, Wave: r.Wave, Why: r.Why, Dark: List(r.Dark),
		Plan: ShowPlan(r.Plan), Target: fleet.Target{Lines: List(r.Target.Lines), Labels: List(r.Target.Labels), Keys: List(r.Target.Keys)},
		First: (*First)(r.First), Window: r.Window, Retreat: r.Retreat, Accepted: r.Accepted,
		NoRetreat: r.NoRetreat, HaltedWhy: r.Halted, Tested: r.Tested, Warnings: List(r.Warnings), Counts: r.Counts, Evidence: r.Evidence,
		Signature: r.Signature, CreatedAt: r.CreatedAt, StartAt: r.StartAt, StartedAt: r.StartedAt, StartedBy: r.StartedBy, EndedAt: r.EndedAt,
	}
}

// ShowPlan has waves, even where there are none.
func ShowPlan(p fleet.Plan) fleet.Plan {
	p.Waves = List(p.Waves)
	return p
}

// ShowForecast has lists, even where there is nothing in them.
func ShowForecast(f fleet.Forecast) fleet.Forecast {
	f.Plan, f.Builds, f.Warnings = ShowPlan(f.Plan), List(f.Builds), List(f.Warnings)
	return f
}

// ShowExplanation likewise.
func ShowExplanation(e fleet.Explanation) fleet.Explanation {
	e.Gates, e.Lines = List(e.Gates), List(e.Lines)
	return e
}

// Members is a page of a rollout's devices, in the order of their keys.
type Members struct {
	Devices []Member `json:"devices"`
	Next    *string  `json:"next"` // what ?after= takes for the next page; null: this is the last
}

// Member is a device in a rollout.
type Member struct {
	Device    fleet.DeviceKey   `json:"device_key"`
	Line      string            `json:"line"`
	Wave      int               `json:"wave"` // in which it was offered the build; 0 before
	State     fleet.MemberState `json:"state"`
	Attempts  int               `json:"attempts"`
	OfferedAt time.Time         `json:"offered_at,omitzero"`
	FetchedAt time.Time         `json:"fetched_at,omitzero"`
	UpAt      time.Time         `json:"up_at,omitzero"`
	UpBy      fleet.UpBy        `json:"up_by,omitempty"`
	JudgedAt  time.Time         `json:"judged_at,omitzero"`
	Why       string            `json:"why"`
}

// ShowMember leaves out what people are not told.
func ShowMember(m fleet.Member) Member {
	return Member{m.Device, m.Line, m.Wave, m.State, m.Attempts, m.OfferedAt, m.FetchedAt, m.UpAt, m.UpBy, m.JudgedAt, m.Why}
}

// Membership is a device's place in the newest rollout of its model.
type Membership struct {
	Number  int                `json:"number"`
	Version fleet.Version      `json:"version"`
	State   fleet.RolloutState `json:"state"` // of the rollout
	Member  Member             `json:"member"`
}

// ShowMembership is that place, nil for none.
func ShowMembership(r fleet.Rollout, m fleet.Member, ok bool) *Membership {
	if !ok {
		return nil
	}
	return &Membership{r.Number, r.Version, r.State, ShowMember(m)}
}
