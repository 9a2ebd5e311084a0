package fleet

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"
)

// Rollout brings one build to one model's devices in waves.
type Rollout struct {
	Number    int              `json:"number"` // of the model, from 1
	Model     ModelCode        `json:"model_code"`
	Version   Version          `json:"version"`
	Base      Version          `json:"base"` // what devices outside it are offered
	State     RolloutState     `json:"state"`
	Wave      int              `json:"wave"` // that is open, from 1; 0 before the first
	Why       string           `json:"why"`  // of the state, in words; "" where there is nothing to say
	Dark      []string         `json:"dark"` // lines with members that are dark
	Plan      Plan             `json:"plan"`
	Target    Target           `json:"target"`
	First     *First           `json:"first,omitempty"`      // nil: by the order of all
	Window    string           `json:"window,omitempty"`     // when devices may be offered it, such as "Mo-Fr 22:00-05:00"; "": always
	Retreat   bool             `json:"retreat,omitempty"`    // by itself, once it has halted
	Accepted  []string         `json:"accepted,omitempty"`   // fingerprints that a person has accepted: they count no more
	Rate      float64          `json:"base_rate"`            // crashes a device and day of the base at the start, which the plan's differences are added to
	Tolerated float64          `json:"tolerated_loss"`       // share of updates that may end badly
	Warnings  []string         `json:"warnings,omitempty"`   // what it cannot see, and why
	NoRetreat string           `json:"no_retreat,omitempty"` // why it cannot be taken back; "": it can
	Halted    string           `json:"halted_why,omitempty"` // why it has halted, also while it is taken back; "": it has not, or a person has let it go on
	Backward  bool             `json:"backward,omitempty"`   // it is being taken back, or was: the states of its members are those of that
	Unstuck   bool             `json:"unstuck,omitempty"`    // something else was published since: it sticks to nobody any more
	Tested    bool             `json:"tested,omitempty"`     // a device was moved back to the base, and runs
	Counts    RolloutCounts    `json:"counts"`
	Evidence  RolloutEvidence  `json:"evidence"`
	Signature *SignatureCounts `json:"signature"` // the new one that says the most against it; nil: none
	CreatedAt time.Time        `json:"created_at"`
	StartAt   time.Time        `json:"start_at,omitzero"` // of a draft: when it starts by itself
	StartedAt time.Time        `json:"started_at,omitzero"`
	StartedBy string           `json:"started_by"`
	EndedAt   time.Time        `json:"ended_at,omitzero"`

	// Elapsed is the time that the gateway has worked on it: what it was away, it did not see, and nobody is judged by it.
	Elapsed    Duration `json:"elapsed"`
	WaveOpened Duration `json:"wave_opened"`            // of Elapsed
	Resumed    Duration `json:"resumed,omitempty"`      // of Elapsed: when a person has let it go on last
	Advanced   bool     `json:"advanced,omitempty"`     // a person has ended the rest and the gate of the open wave
	Counted    uint64   `json:"counted_from,omitempty"` // evidence is made of the marks from this number on
	Boots      int      `json:"boots,omitempty"`        // of devices that run the version, since the evidence began: what a gate about boots counts
}

// RolloutState is how a rollout stands.
type RolloutState string

// The states of a rollout.
const (
	RolloutDraft      RolloutState = "draft"
	RolloutRunning    RolloutState = "running"
	RolloutHeld       RolloutState = "held"       // by itself, and nobody's fault: it goes on by itself
	RolloutPaused     RolloutState = "paused"     // by a person, or because a gate asks for one
	RolloutHalted     RolloutState = "halted"     // it is shown to be worse, or a person said so
	RolloutRetreating RolloutState = "retreating" // who has it is offered the base
	RolloutRetreated  RolloutState = "retreated"
	RolloutFinished   RolloutState = "finished" // its version is what the model is offered
	RolloutReplaced   RolloutState = "replaced" // by the next, after a halt or a retreat
)

// RolloutStates are all of them, for metrics and filters.
var RolloutStates = []RolloutState{
	RolloutDraft, RolloutRunning, RolloutHeld, RolloutPaused, RolloutHalted, RolloutRetreating, RolloutRetreated, RolloutFinished, RolloutReplaced,
}

// ParseRolloutState refuses what is no state of a rollout.
func ParseRolloutState(s string) (RolloutState, error) {
	if !slices.Contains(RolloutStates, RolloutState(s)) {
		return "", Refused("state %q: the nearest state of a rollout is %q", clip(s), Nearest(s, RolloutStates))
	}
	return RolloutState(s), nil
}

// Unfinished reports that a model can have no other rollout beside one in this state.
func (s RolloutState) Unfinished() bool {
	return slices.Contains([]RolloutState{RolloutDraft, RolloutRunning, RolloutHeld, RolloutPaused, RolloutRetreating}, s)
}

// ObjectOf names a rollout.
func (r Rollout) ObjectOf() Object { return Object{Type: "rollout", ID: RolloutID(r.Model, r.Number)} }

// Target picks the devices of a rollout: those that each member that is not empty picks. The zero one picks the whole model.
type Target struct {
	Lines  []string    `json:"lines"`
	Labels []string    `json:"labels"`
	Keys   []DeviceKey `json:"keys"`
}

// First names the devices of the first wave.
type First struct {
	Line string      `json:"line,omitempty"`
	Keys []DeviceKey `json:"keys,omitempty"`
}

// Names reports that a device on a line is one of them.
func (f First) Names(d DeviceKey, line string) bool {
	return f.Line != "" && f.Line == line || slices.Contains(f.Keys, d)
}

// RolloutCounts are how many members are in each state. Crashed is a mark beside it.
type RolloutCounts struct {
	Waiting  int `json:"waiting"`
	Offered  int `json:"offered"`
	Fetching int `json:"fetching"`
	Fetched  int `json:"fetched"`
	Up       int `json:"up"`
	Healthy  int `json:"healthy"`
	Lost     int `json:"lost"`
	Back     int `json:"back"`
	Off      int `json:"off"`
	Skipped  int `json:"skipped"`
	Crashed  int `json:"crashed"`
}

// MarkCrashed stands beside the states of members in tables and metrics.
const MarkCrashed MemberState = "crashed"

// Of is how many members are in a state, or have the mark.
func (c RolloutCounts) Of(s MemberState) int {
	return map[MemberState]int{
		MemberWaiting: c.Waiting, MemberOffered: c.Offered, MemberFetching: c.Fetching, MemberFetched: c.Fetched, MemberUp: c.Up,
		MemberHealthy: c.Healthy, MemberLost: c.Lost, MemberBack: c.Back, MemberOff: c.Off, MemberSkipped: c.Skipped, MarkCrashed: c.Crashed,
	}[s]
}

// RolloutEvidence is how many times better "it is worse" explains what was seen than "it is not": of each stream, and the mean.
type RolloutEvidence struct {
	Total     float64 `json:"total"`
	Loss      float64 `json:"loss"`
	Crash     float64 `json:"crash"`
	Silence   float64 `json:"silence"`
	Signature float64 `json:"signature"`
}

// SignatureCounts compares a fingerprint on the new build's devices with the old one's.
type SignatureCounts struct {
	Fingerprint string     `json:"fingerprint"`
	Frame       string     `json:"frame,omitempty"`
	New         ShareCount `json:"new"`
	Old         ShareCount `json:"old"`
}

// ShareCount is some devices of several.
type ShareCount struct {
	Devices int `json:"devices"`
	Of      int `json:"of"`
}

// Member is a device in a rollout.
type Member struct {
	Device    DeviceKey   `json:"-"` // in its key
	Line      string      `json:"line"`
	Wave      int         `json:"wave,omitempty"` // in which it was offered the build; 0 before
	State     MemberState `json:"state"`
	Attempts  int         `json:"attempts,omitempty"` // updates that were begun
	OfferedAt time.Time   `json:"offered_at,omitzero"`
	FetchedAt time.Time   `json:"fetched_at,omitzero"`
	UpAt      time.Time   `json:"up_at,omitzero"`
	UpBy      UpBy        `json:"up_by,omitempty"`
	JudgedAt  time.Time   `json:"judged_at,omitzero"`
	Why       string      `json:"why,omitempty"`

	Since   Duration `json:"since,omitempty"`   // of the rollout's elapsed time: when it came into its state
	Has     bool     `json:"has,omitempty"`     // it was sent the whole build: it goes on being offered it
	Left    bool     `json:"left,omitempty"`    // it went back from the build, and was not sent it again
	Strayed bool     `json:"strayed,omitempty"` // it fetched the build without having been offered it
	Excused bool     `json:"excused,omitempty"` // a person has freed its slot
	Broken  int      `json:"broken,omitempty"`  // downloads that broke
	Ended   *Mark    `json:"ended,omitempty"`   // its first update that was judged
	Crash   *Mark    `json:"crash,omitempty"`   // its first crash since the start
	Silence *Mark    `json:"silence,omitempty"` // the first time that it fell silent since
}

// SeenAt is when something was seen of its update last; zero while nothing was.
func (m Member) SeenAt() time.Time {
	return slices.MaxFunc([]time.Time{m.OfferedAt, m.FetchedAt, m.UpAt, m.JudgedAt}, time.Time.Compare)
}

// WentBack reports that it runs the build before as it went back to it, also where it is offered the new one once more.
func (m Member) WentBack() bool { return m.State == MemberBack || m.Left }

// Mark is what one device adds to the evidence, once in each stream. The marks in their order are the evidence.
type Mark struct {
	Number      uint64   `json:"n"`
	At          Duration `json:"at"`             // of the rollout's elapsed time
	New         bool     `json:"new,omitempty"`  // it ran the new build
	Bad         bool     `json:"bad,omitempty"`  // of an update: it ended badly
	Back        bool     `json:"back,omitempty"` // of a bad one: the device went back, and is not lost
	Risk        [2]int   `json:"risk"`           // devices of its line that ran the new and the old build and could have done the same, just before
	Fingerprint string   `json:"fp,omitempty"`   // of a crash that nobody had seen before the rollout
	Frame       string   `json:"frame,omitempty"`
}

// MemberState is how far a device has come with a rollout.
type MemberState string

// The states of a member.
const (
	MemberWaiting  MemberState = "waiting"
	MemberOffered  MemberState = "offered"  // an answer named the build: it holds a slot
	MemberFetching MemberState = "fetching" // more than its first block has arrived
	MemberFetched  MemberState = "fetched"  // all of it has
	MemberUp       MemberState = "up"       // it runs it
	MemberHealthy  MemberState = "healthy"  // and has for a while, without a crash
	MemberLost     MemberState = "lost"     // it was not heard since it fetched the build
	MemberBack     MemberState = "back"     // it runs the old one again
	MemberOff      MemberState = "off"      // it is not heard: it gets its turn when it is back
	MemberSkipped  MemberState = "skipped"  // it cannot have the build, or failed too often
)

// MemberStates are all of them, for metrics and filters.
var MemberStates = []MemberState{
	MemberWaiting, MemberOffered, MemberFetching, MemberFetched, MemberUp, MemberHealthy, MemberLost, MemberBack, MemberOff, MemberSkipped,
}

// ParseMemberState refuses what is no state of a member.
func ParseMemberState(s string) (MemberState, error) {
	if !slices.Contains(MemberStates, MemberState(s)) {
		return "", Refused("state %q: the nearest state of a member is %q", clip(s), Nearest(s, MemberStates))
	}
	return MemberState(s), nil
}

// UpBy is how it is known that a member runs the build, from strong to weak.
type UpBy string

// The proofs.
const (
	UpSaid    UpBy = "said"    // its own word
	UpDump    UpBy = "dump"    // a dump of that build's ELF, declared by its version
	UpBehaved UpBy = "behaved" // it booted once and wanted no more than the first block
	UpHeard   UpBy = "heard"   // it was heard again after a gap longer than its rhythm
)

// Plan is the waves of a rollout.
type Plan struct {
	Name     string   `json:"name"`
	Waves    []Wave   `json:"waves"`
	Unproven int      `json:"unproven"`  // devices that may have the build without having shown that they are healthy; grows with those that have
	UpWithin Duration `json:"up_within"` // how soon after its download a device is to be up; 0: as the settings say
}

// UnmarshalJSON takes a plan, or only the name of one.
func (p *Plan) UnmarshalJSON(b []byte) error {
	*p = Plan{}
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &p.Name)
	}
	type plain Plan // without this method
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode((*plain)(p)); err != nil {
		return err
	}
	if p.Waves != nil && len(p.Waves) == 0 {
		return Refused("the plan has no waves")
	}
	return nil
}

// Wave is how many devices may have the build, from the first on, and what must have happened before the next one opens.
type Wave struct {
	Devices   int      `json:"devices,omitempty"` // or
	Share     float64  `json:"share,omitempty"`   // of the members, 1 is all
	Rest      Duration `json:"rest,omitempty"`
	BootCrash float64  `json:"rule_out_boot_crash,omitempty"` // share of boots that crash, which must be ruled out
	Daily     float64  `json:"rule_out_daily,omitempty"`      // crashes a device and day more than the base has
}

// RolloutOrder is a rollout as a person asks for it.
type RolloutOrder struct {
	Model     ModelCode
	Version   Version
	Plan      Plan // without waves: the plan of that name; without a name: the model's, or else the setting's
	Target    Target
	First     *First
	Window    string
	Retreat   bool
	StartAt   time.Time
	Draft     bool
	Again     bool
	Untested  bool
	HaltFirst bool
	Reason    string
	By        string // who asks
}

// MostReason is how many characters a reason has at most: it stands in the journal, in one line.
const MostReason = 200

// RolloutVerb is what a person does to a rollout.
type RolloutVerb string

// The verbs.
const (
	RolloutPause   RolloutVerb = "pause"
	RolloutResume  RolloutVerb = "resume" // also starts a draft
	RolloutHalt    RolloutVerb = "halt"
	RolloutAdvance RolloutVerb = "advance"
	RolloutExcuse  RolloutVerb = "excuse"
	RolloutRetreat RolloutVerb = "retreat"
	RolloutFinish  RolloutVerb = "finish"
)

// RolloutAct is a verb with what it needs.
type RolloutAct struct {
	Verb     RolloutVerb
	Reason   string
	Devices  []DeviceKey // that are excused
	Accept   []string    // with resume after a halt: fingerprints, or a share of updates that may end badly, such as "5%"
	Untested bool        // with retreat: although no device was moved from this build to the base yet
	By       string      // who acts, for the sentence of a halt
	Stay     bool        // with halt: nothing is taken back, also where the rollout is to do so by itself

	SparesRetreat bool // with halt: a retreat is not stopped
}

// RolloutFilter picks rollouts, newest first of each model, in the order of models.
type RolloutFilter struct {
	Model   ModelCode
	State   RolloutState
	Started Span
	After   string // RolloutID, exclusive
	Limit   int
}

// MemberFilter picks members, in the order of their keys.
type MemberFilter struct {
	State   MemberState
	Wave    int
	Crashed bool
	Back    bool // those of [Member.WentBack]
	Seen    Span // of what was seen of them last
	After   DeviceKey
	Limit   int
}

// Explanation is how the evidence of a rollout came about, computed again from its members.
type Explanation struct {
	Evidence  RolloutEvidence  `json:"evidence"`
	Signature *SignatureCounts `json:"signature"`
	Ended     ShareCount       `json:"ended_badly"` // of judged updates
	New       ShareCount       `json:"new_crashed"` // of the devices that have or had the build
	Old       ShareCount       `json:"old_crashed"`
	Expected  float64          `json:"expected_crashes"` // of the new build's devices, had they crashed as the old one's did
	Silent    [2]ShareCount    `json:"silent"`           // of the new build's devices and the old one's
	Gates     []Gate           `json:"gates"`
	Lines     []string         `json:"lines"`  // sentences, the newest evidence first
	Slots     ShareCount       `json:"slots"`  // that are taken, of those that there are
	Judged    ShareCount       `json:"judged"` // of the members of the open wave that are not off

	DecideWithin Duration `json:"decide_within"` // after which a wave that neither ends nor halts asks a person
}

// Gate is something that must be ruled out before the next wave.
type Gate struct {
	What  string  `json:"what"` // BootsText or DailyText
	Ruled bool    `json:"ruled_out"`
	Needs float64 `json:"needs"` // how many times as much must be seen as was until now; 1 where it is ruled out
}

// Forecast is what a plan would do, played many times against the model's own rates.
type Forecast struct {
	Plan     Plan          `json:"plan"`
	Devices  int           `json:"devices"`
	Days     float64       `json:"days,omitzero"` // that a good build takes, median
	Rate     float64       `json:"rate"`          // crashes a device and day of the base; 0.002 where nothing is known
	Builds   []ForecastRow `json:"builds"`
	Warnings []string      `json:"warnings"` // what it cannot see, and why
}

// ForecastRow is one kind of bad build.
type ForecastRow struct {
	Build    string  `json:"build"`
	Rounds   int     `json:"rounds"`
	Halted   int     `json:"halted"`
	Have     int     `json:"have"`    // devices that run it when it halts, median
	HaveMost int     `json:"have_95"` // 95th percentile
	Days     float64 `json:"days"`    // until then, median
}

// Traits are what a build's files say about how an update to it can be watched.
type Traits struct {
	SecureVersion uint32 // the bootloader takes no image with a lower one, once it has booted this
	Rollback      bool   // the bootloader goes back to the image before, where the new one is not confirmed
	Dumps         bool   // it writes core dumps
	Halts         bool   // it stops at a panic, and does not restart
	Unsaid        bool   // its sdkconfig was not handed in: the three before are not known
}
