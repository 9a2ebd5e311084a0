package api

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// All is how many devices are in the rollout.
func (r Rollout) All() int {
	c := r.Counts
	return c.Waiting + c.Offered + c.Fetching + c.Fetched + c.Up + c.Healthy + c.Lost + c.Back + c.Off + c.Skipped
}

// Have is how many were sent the whole build and have not gone back.
func (r Rollout) Have() int { return r.Counts.Fetched + r.Counts.Up + r.Counts.Healthy + r.Counts.Lost }

// Sentence says how a rollout stands, and what it waits for.
func (r Rollout) Sentence(e fleet.Explanation, now time.Time) string {
	have := fmt.Sprintf("%s of %s", humanize.Comma(int64(r.Have())), devices(r.All()))
	var said []string
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	switch r.State {
	case fleet.RolloutDraft:
		if r.StartAt.IsZero() {
			say("a draft for %s, which begins with slipway rollout resume %s", devices(r.All()), r.Model)
		} else {
			say("a draft for %s, which begins %s", devices(r.All()), r.StartAt.UTC().Format("2006-01-02 15:04 UTC"))
		}
	case fleet.RolloutRetreating:
		say("goes back to %s, which %s do not run yet", r.Base, have)
	case fleet.RolloutRetreated:
		say("went back to %s", r.Base)
	case fleet.RolloutFinished, fleet.RolloutReplaced:
		say("%s, %s", r.State, have)
	default:
		say("%s, %s", r.wave(), have)
		said = append(said, r.compared(e)...)
	}
	switch r.State {
	case fleet.RolloutRunning:
		said = append(said, r.goesOn(e, now)...)
	case fleet.RolloutHeld, fleet.RolloutPaused, fleet.RolloutHalted:
		say("%s", strings.TrimSuffix(strings.ToUpper(string(r.State[:1]))+string(r.State[1:])+": "+r.Why, ": "))
	}
	if len(r.Dark) > 0 && r.State.Unfinished() {
		say("Dark: %s", strings.Join(r.Dark, ", "))
	}
	return fmt.Sprintf("%s for %s: %s.", r.Version, r.Model, strings.Join(said, ". "))
}

func (r Rollout) wave() string {
	if r.Wave == 0 {
		return "no wave is open yet"
	}
	return fmt.Sprintf("wave %d of %d", r.Wave, len(r.Plan.Waves))
}

// compared sets crashed devices beside those that were to be expected at the old build's rate.
func (r Rollout) compared(e fleet.Explanation) []string {
	switch {
	case e.New.Of == 0:
		return nil
	case e.Old.Of == 0:
		return []string{crashes(e.New.Devices) + ", and no device with the old build to compare with"}
	}
	expected := strings.TrimSuffix(strconv.FormatFloat(e.Expected, 'f', 1, 64), ".0")
	return []string{fmt.Sprintf("%s where %s were to be expected", crashes(e.New.Devices), expected)}
}

// goesOn says what the next wave waits for. When that is, nobody knows: it is reckoned from what was seen until now.
func (r Rollout) goesOn(e fleet.Explanation, now time.Time) []string {
	if r.Wave == len(r.Plan.Waves) {
		return []string{"It is the last wave, which leaves nobody to compare with"}
	}
	for _, g := range e.Gates {
		if g.Ruled {
			continue
		}
		more := float64(now.Sub(r.StartedAt)) * (g.Needs - 1)
		within := e.DecideWithin.Of()
		left := time.Duration(min(more, float64(within)+1)) // what is out of range becomes anything
		when := ""
		switch {
		case g.Needs <= 1 || r.StartedAt.IsZero(): // nobody can say
		case left > within:
			when = fmt.Sprintf(", which takes more than %s: then it asks", spanOfDays(within))
		case left < time.Hour:
			when = ", within the hour"
		case left < 24*time.Hour:
			when = fmt.Sprintf(", in about %d hours", int(left/time.Hour)+1)
		default:
			when = ", about " + now.Add(left).UTC().Weekday().String()
			if left > 6*24*time.Hour {
				when += now.Add(left).UTC().Format(", 2 January")
			}
		}
		return []string{fmt.Sprintf("Goes on when “%s” is ruled out%s", g.What, when)}
	}
	return []string{"Goes on after its rest, when 90 % of the wave are judged"}
}

// spanOfDays has days where a plan has hours.
func spanOfDays(d time.Duration) string {
	if days := d.Hours() / 24; days >= 2 {
		return strconv.FormatFloat(days, 'g', 3, 64) + " days"
	}
	return SpanText(fleet.Duration(d))
}

func devices(n int) string {
	if n == 1 {
		return "1 device"
	}
	return humanize.Comma(int64(n)) + " devices"
}

func crashes(n int) string {
	if n == 1 {
		return "1 crash"
	}
	return humanize.Comma(int64(n)) + " crashes"
}

// ProofText is how it is known what a device runs.
func ProofText(p fleet.Proof) string {
	return map[fleet.Proof]string{
		fleet.ProofSaid:    "it says so",
		fleet.ProofDump:    "a dump shows it",
		fleet.ProofBehaved: "it fetched it, booted, and wants no more of it",
	}[p]
}

// upText is how it is known that a member runs the build.
var upText = map[fleet.UpBy]string{
	fleet.UpSaid: ", it says so", fleet.UpDump: ", a dump shows it", fleet.UpBehaved: ", by what it fetches", fleet.UpHeard: ", as it is heard again",
}

// Story is what is known of a device in a rollout of a version, in the order in which it happened; at writes a time.
func (m Member) Story(v fleet.Version, seen fleet.Sighting, at func(time.Time) string) string {
	runs := "runs nobody knows what"
	if seen.RunsBy != "" {
		runs = "runs " + seen.Runs
		if seen.Runs == "" {
			runs += "ELF " + seen.RunsELF
		}
		runs += ", " + ProofText(seen.RunsBy)
	}
	var steps []string
	step := func(when time.Time, what string) {
		if !when.IsZero() {
			steps = append(steps, what+" "+at(when))
		}
	}
	step(m.OfferedAt, fmt.Sprintf("offered %s at", v))
	step(m.FetchedAt, "fetched whole")
	if !m.UpAt.IsZero() {
		steps = append(steps, "up "+at(m.UpAt)+upText[m.UpBy])
	}
	switch m.State {
	case fleet.MemberHealthy, fleet.MemberLost, fleet.MemberSkipped:
		step(m.JudgedAt, string(m.State))
	case fleet.MemberBack:
		step(m.JudgedAt, "went back")
	case fleet.MemberWaiting:
		steps = append(steps, "waits for its turn")
	case fleet.MemberOff:
		steps = append(steps, "is off, and gets its turn when it is back")
	}
	if m.Why != "" {
		steps = append(steps, m.Why)
	}
	const oneContact = 5 * time.Second // the download is heard, too
	if last := later(m.FetchedAt, m.UpAt); !last.IsZero() && m.State != fleet.MemberHealthy {
		if seen.HeardAt.After(last.Add(oneContact)) {
			steps = append(steps, "heard "+at(seen.HeardAt))
		} else {
			steps = append(steps, "not heard since")
		}
	}
	return runs + " · " + strings.Join(steps, ", ")
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// WaveRow is a wave of a plan in words.
type WaveRow struct {
	Size     string
	Rest     string // such as 30m; "" for none
	RulesOut string // before the next; "" for nothing
	State    string // "done", "open", "stopped" or "skipped"; "" is still to come
}

// WaveRows are the waves of a plan in words.
func WaveRows(p fleet.Plan) []WaveRow {
	rows := make([]WaveRow, len(p.Waves))
	for i, w := range p.Waves {
		rows[i] = WaveRow{Size: sizeText(w), Rest: SpanText(w.Rest), RulesOut: rulesOutText(w)}
	}
	return rows
}

// WaveRows are those of the rollout. The first is of those that were named, where some were, however many they are; the waves
// of a retreat are of those that have the build.
func (r Rollout) WaveRows() []WaveRow {
	rows := WaveRows(r.Plan)
	for i := range rows {
		rows[i].State = r.stateOfWave(i + 1)
	}
	back := r.State == fleet.RolloutRetreating || r.State == fleet.RolloutRetreated
	if r.First != nil && !back && len(rows) > 0 {
		rows[0].Size = r.First.String()
	}
	return rows
}

// String names the devices of a first wave.
func (f First) String() string {
	switch {
	case f.Line != "":
		return "all of " + f.Line
	case len(f.Keys) == 1:
		return string(f.Keys[0])
	}
	return humanize.Comma(int64(len(f.Keys))) + " named"
}

func (r Rollout) stateOfWave(n int) string {
	switch {
	case n < r.Wave, n == r.Wave && r.State == fleet.RolloutFinished:
		return "done"
	case n > r.Wave && r.State == fleet.RolloutFinished:
		return "skipped" // it was finished by a person
	case n > r.Wave:
		return ""
	case r.State.Unfinished():
		return "open"
	}
	return "stopped"
}

func sizeText(w fleet.Wave) string {
	switch {
	case w.Devices > 0:
		return humanize.Comma(int64(w.Devices))
	case w.Share == 1:
		return "all"
	}
	return fleet.PercentText(w.Share)
}

// SpanText is a time as plans have it, such as 30m; "" for none.
func SpanText(d fleet.Duration) string {
	if d == 0 {
		return ""
	}
	text, _ := d.MarshalText() // never fails
	return string(text)
}

func rulesOutText(w fleet.Wave) string {
	return strings.TrimPrefix(strings.TrimSuffix(fleet.BootsText(w.BootCrash)+", "+fleet.DailyText(w.Daily), ", "), ", ")
}

// NeedsReason reports that a verb needs a reason in a state: what overrules the rollout's own judgement does.
func NeedsReason(verb fleet.RolloutVerb, state fleet.RolloutState) bool {
	switch verb {
	case fleet.RolloutHalt, fleet.RolloutAdvance, fleet.RolloutExcuse, fleet.RolloutRetreat:
		return true
	case fleet.RolloutResume:
		return state == fleet.RolloutHalted
	}
	return false
}

// DaysText is a time as people plan with it.
func DaysText(days float64) string {
	span := time.Duration(days * 24 * float64(time.Hour))
	switch {
	case days >= 2:
		return fmt.Sprintf("%.1f days", days)
	case span >= 2*time.Hour:
		return fmt.Sprintf("%.0f hours", span.Hours())
	case span >= 2*time.Minute:
		return fmt.Sprintf("%.0f minutes", span.Minutes())
	}
	return fmt.Sprintf("%.0f seconds", span.Seconds())
}
