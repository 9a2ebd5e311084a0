package crash

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-gateway/slipway/pkg/espcore"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// plant is everything that triage works with, in memory.
type plant struct {
	mu      sync.Mutex // guards all of it while triage works
	crashes map[fleet.DumpName]Crash
	builds  []fleet.Build
	reports map[fleet.DumpName][]byte
	hashes  map[string]string // of a dump's path: what the dump says of its ELF
	lost    map[fleet.Version]error
	bad     map[string]string // of a dump's path: why it cannot be decoded
	decoded []string          // "elf dump", in order
	said    bytes.Buffer
	stopped time.Time
	old     bool             // the catalog was made by older rules
	order   []fleet.DumpName // in which crashes were recorded
	looks   int              // batches that were looked at
}

const mostLooks = 100 // far more than a test needs

func newPlant() *plant {
	return &plant{
		crashes: map[fleet.DumpName]Crash{}, reports: map[fleet.DumpName][]byte{}, hashes: map[string]string{},
		lost: map[fleet.Version]error{}, bad: map[string]string{},
	}
}

func (p *plant) in(state State, limit int, wanted func(Crash) bool) []Crash {
	var all []Crash
	for _, c := range p.crashes {
		if c.State == state && wanted(c) {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b Crash) int { return cmp.Compare(a.Name, b.Name) })
	return all[:min(limit, len(all))]
}

func (p *plant) WaitingCrashes(limit int) ([]Crash, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.in(Waiting, limit, func(Crash) bool { return true }), nil
}

func (p *plant) FailedCrashes(notBy string, limit int) ([]Crash, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.in(Failed, limit, func(c Crash) bool { return c.DecodedBy != notBy }), nil
}

func (p *plant) CrashesIn(state State, wanted func(Crash) bool) ([]Crash, error) {
	p.mu.Lock()
	all := p.in(state, len(p.crashes), func(Crash) bool { return true })
	p.mu.Unlock()
	return slices.DeleteFunc(all, func(c Crash) bool { return !wanted(c) }), nil
}

func (p *plant) ReadReport(_ fleet.DeviceKey, name fleet.DumpName) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if report, ok := p.reports[name]; ok {
		return report, nil
	}
	return nil, fleet.Unknown("no report of %s", name)
}

func (p *plant) BuildsByELF(prefix string) ([]fleet.Build, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.builds), func(b fleet.Build) bool { return !strings.HasPrefix(b.ELFSHA256, prefix) }), nil
}

func (p *plant) Build(code fleet.ModelCode, v fleet.Version) (fleet.Build, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.builds {
		if b.Model == code && b.Version == v {
			return b, nil
		}
	}
	return fleet.Build{}, fleet.Unknown("no build %s", v)
}

func (p *plant) RecordCrash(_ context.Context, c Crash, _ int) (Outcome, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, found := p.crashes[c.Name]
	if !found {
		return Outcome{}, fleet.Unknown("no dump %s of %s", c.Name, c.Device)
	}
	if c.Again != nil {
		c.Again = nil
	} else {
		c.Again = before.Again
	}
	p.crashes[c.Name] = c
	p.order = append(p.order, c.Name)
	return Outcome{News: New}, nil
}

func (p *plant) RecordCrashes(ctx context.Context, some []Crash, keep int, done func(Crash, Outcome, error)) {
	for _, c := range some {
		outcome, err := p.RecordCrash(ctx, c, keep)
		done(c, outcome, err)
	}
}

func (p *plant) AskAgain(_ context.Context, key fleet.DeviceKey, name fleet.DumpName) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.crashes[name]
	if !ok {
		return fleet.Unknown("no dump %s of %s", name, key)
	}
	if c.State != Waiting && c.Again == nil {
		c.Again = &Asked{By: fleet.Actor{Type: fleet.Person, Name: "Ana"}}
		p.crashes[name] = c
	}
	return nil
}

// AskGroupAgain takes all dumps for those of one group.
func (p *plant) AskGroupAgain(ctx context.Context, _ string, _ Ref, limit int) (asked AskedAgain, err error) {
	for name := range p.crashes {
		if err := p.AskAgain(ctx, "aaaaaaaa", name); err != nil || asked.Dumps == limit {
			return asked, err
		}
		asked.Dumps++
	}
	return asked, nil
}

func (p *plant) AskedCrashes(limit int) ([]Crash, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Crash
	for _, state := range []State{Missing, Reported, Failed} {
		all = append(all, p.in(state, len(p.crashes), func(c Crash) bool { return c.Again != nil })...)
	}
	slices.SortFunc(all, func(a, b Crash) int { return cmp.Compare(a.Name, b.Name) })
	return all[:min(limit, len(all))], nil
}

func (p *plant) KeepCrash(_ context.Context, c Crash, why string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.crashes[c.Name]
	now.Again, now.Why = nil, why
	p.crashes[c.Name] = now
	return nil
}

func (p *plant) OldCrashes() ([]Ref, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Ref
	for _, c := range p.in(Reported, len(p.crashes), func(c Crash) bool { return c.Rules < Rules && p.old }) {
		all = append(all, Ref{c.Device, c.Name})
	}
	return all, nil
}

func (p *plant) KeepOld(_ context.Context, some []Ref) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range some {
		c := p.crashes[r.Name]
		c.Rules = Rules
		p.crashes[r.Name] = c
	}
	return nil
}

func (p *plant) EndRegrouping(context.Context) (*Regrouped, error) {
	if !p.old {
		return nil, nil
	}
	return &Regrouped{Before: 12, After: 9, Old: 1}, nil
}

func (p *plant) Dump(_ fleet.DeviceKey, name fleet.DumpName) (Listed, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.crashes[name]
	if !ok {
		return Listed{}, fleet.Unknown("no dump %s", name)
	}
	return Listed{Crash: c}, nil
}

func (p *plant) WakeCrashes(_ context.Context, b fleet.Build) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for name, c := range p.crashes {
		byHash := c.ELFHash != "" && strings.HasPrefix(b.ELFSHA256, c.ELFHash)
		if declared := c.Grade == MissingELF && c.Model == b.Model && c.DeclaredVersion == string(b.Version); c.State == Missing && (byHash || declared) {
			c.State = Waiting
			p.crashes[name] = c
			n++
		}
	}
	return n, nil
}

func (p *plant) Path(_ fleet.DeviceKey, name fleet.DumpName) string { return string(name) }

func (p *plant) WriteReport(_ fleet.DeviceKey, name fleet.DumpName, report []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reports[name] = report
	return nil
}

func (p *plant) Remove(context.Context, fleet.DeviceKey, fleet.DumpName) error { return nil }

func (p *plant) ELF(_ context.Context, b fleet.Build) (string, func(), error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(b.Version), func() {}, p.lost[b.Version]
}

func (p *plant) Identify(_ context.Context, dumps []string) ([]espcore.Identified, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.looks++; p.looks > mostLooks {
		return nil, errors.New("the same dumps are looked at without end")
	}
	found := make([]espcore.Identified, len(dumps))
	for i, d := range dumps {
		found[i] = espcore.Identified{ELFHash: p.hashes[d], Failure: p.bad[d]}
	}
	return found, nil
}

func (p *plant) Decode(_ context.Context, elf, _ string, dumps []string, done func(int, *espcore.Report, string)) error {
	for i, d := range dumps {
		p.mu.Lock()
		p.decoded = append(p.decoded, strings.TrimSpace(elf+" "+d))
		p.mu.Unlock()
		done(i, &espcore.Report{Reason: "abort()"}, "")
	}
	return nil
}

// lay lays a dump into the queue that says of its ELF what hash is.
func (p *plant) lay(name fleet.DumpName, declared, hash string) {
	p.crashes[name] = Crash{Device: "aaaaaaaa", Model: "pump", Name: name, State: Waiting, DeclaredVersion: declared}
	p.hashes[string(name)] = hash
}

// work lets a gateway of a version work for a minute; what it asks for is what the catalog would say after a restart.
func (p *plant) work(t *testing.T, version string, meanwhile func(*Triage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		triage := NewTriage(Options{
			Store: p, Files: p, ELFs: p, Decoder: p, Logger: slog.New(slog.NewTextHandler(&p.said, nil)), Now: time.Now, Version: version,
			CleanStop: p.stopped,
			Beat:      func() {},
		})
		ended := make(chan error, 1)
		go func() { ended <- triage.Run(ctx) }()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if meanwhile != nil {
			meanwhile(triage) // triage rests, and sees at its next look what was done
			p.mu.Lock()
			p.mu.Unlock() //nolint:staticcheck // the order is all that it is for
		}
		time.Sleep(30 * time.Second)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func build(v fleet.Version, hash string) fleet.Build {
	return fleet.Build{Model: "pump", Version: v, ELFSHA256: hash}
}

func TestADumpIsDecodedWithTheELFThatItWasMadeOfWhateverItsDeviceSays(t *testing.T) {
	p := newPlant()
	p.builds = []fleet.Build{build("1.0.0", "aaaa11"), build("2.0.0", "bbbb22")}
	p.lay("d1", "1.0.0", "bbbb") // declares the wrong one
	p.lay("d2", "1.0.0", "")     // says nothing: it is taken at its word
	p.lay("d3", "1.0.0", "cccc") // of a build that nobody has: frames of the declared one, marked
	p.lay("d4", "9.9.9", "cccc") // of a build that nobody has, not even by name
	p.work(t, "v1", nil)
	slices.Sort(p.decoded)
	if got := strings.Join(p.decoded, ", "); got != "1.0.0 d2, 1.0.0 d3, 2.0.0 d1, d4" {
		t.Errorf("decoded: %s", got)
	}
	for name, want := range map[fleet.DumpName]struct {
		state State
		grade Grade
	}{"d1": {Reported, Exact}, "d2": {Reported, UnknownHash}, "d3": {Missing, Mismatch}, "d4": {Missing, MissingELF}} {
		if c := p.crashes[name]; c.State != want.state || c.Grade != want.grade || len(p.reports[name]) == 0 {
			t.Errorf("%s: %s, %s, a report of %d bytes", name, c.State, c.Grade, len(p.reports[name]))
		}
	}
}

func TestADumpWhoseFirmwareComesLaterIsDecodedThen(t *testing.T) {
	p := newPlant()
	p.lay("d1", "1.0.0", "aaaa")
	p.work(t, "v1", func(triage *Triage) {
		if c := p.crashes["d1"]; c.State != Missing {
			t.Errorf("without its firmware it is %s", c.State)
		}
		p.builds = append(p.builds, build("1.0.0", "aaaa11"))
		if err := triage.BuildArrived(t.Context(), p.builds[0]); err != nil {
			t.Error(err)
		}
	})
	if c := p.crashes["d1"]; c.State != Reported || c.Version != "1.0.0" {
		t.Errorf("with it it is %s, of %q", c.State, c.Version)
	}
}

func TestAFirmwareThatCannotBeReadHoldsNobodyUp(t *testing.T) {
	p := newPlant()
	p.builds = []fleet.Build{build("1.0.0", "aaaa11"), build("2.0.0", "bbbb22")}
	p.lost["1.0.0"] = errors.New("zip: checksum error")
	for _, name := range []fleet.DumpName{"d1", "d2", "d3"} {
		p.lay(name, "1.0.0", "aaaa")
	}
	p.lay("d4", "2.0.0", "bbbb")
	p.work(t, "v1", func(triage *Triage) {
		if p.crashes["d1"].State != Missing || p.crashes["d4"].State != Reported {
			t.Errorf("its own dump is %s, another's %s", p.crashes["d1"].State, p.crashes["d4"].State)
		}
		if n := strings.Count(p.said.String(), "firmware cannot be read"); n != 1 {
			t.Errorf("the journal says so %d times:\n%s", n, &p.said)
		}
		delete(p.lost, "1.0.0") // somebody brings the bundle again
		if err := triage.BuildArrived(t.Context(), p.builds[0]); err != nil {
			t.Error(err)
		}
	})
	if p.crashes["d1"].State != Reported || p.crashes["d3"].State != Reported {
		t.Errorf("after it was brought again: %s", p.crashes["d1"].State)
	}
}

func TestAFullDiskLetsDumpsWaitAndOthersThrough(t *testing.T) {
	p := newPlant()
	p.builds = []fleet.Build{build("1.0.0", "aaaa11"), build("2.0.0", "bbbb22")}
	p.lost["1.0.0"] = fleet.Full("no room for the ELF")
	p.lay("d1", "1.0.0", "aaaa")
	p.lay("d2", "2.0.0", "bbbb")
	p.work(t, "v1", func(*Triage) {
		if p.crashes["d1"].State != Waiting || p.crashes["d2"].State != Reported {
			t.Errorf("without room it is %s, the other %s", p.crashes["d1"].State, p.crashes["d2"].State)
		}
		delete(p.lost, "1.0.0")
	})
	if p.crashes["d1"].State != Reported {
		t.Errorf("with room it is %s", p.crashes["d1"].State)
	}
}

func TestWhatAnOlderVersionFailedAtIsTriedAgainOnceAndLast(t *testing.T) {
	p := newPlant()
	p.builds = []fleet.Build{build("1.0.0", "aaaa11")}
	for _, name := range []fleet.DumpName{"d1", "d2", "d3", "d4", "d5", "d6"} {
		p.lay(name, "1.0.0", "aaaa")
		p.bad[string(name)] = "a container that nobody knows"
	}
	p.work(t, "v1", nil)
	if c := p.crashes["d6"]; c.State != Failed || c.DecodedBy != "v1" || c.Why == "" {
		t.Fatalf("%+v", c)
	}
	said := strings.Count(p.said.String(), "dump not decoded")
	p.work(t, "v1", nil) // a restart
	if n := strings.Count(p.said.String(), "dump not decoded"); n != said || said != 6 {
		t.Errorf("tried %d times, and %d after a restart", said, n)
	}
	for _, name := range []string{"d1", "d2", "d3", "d4", "d5"} {
		delete(p.bad, name) // the new version knows the container
	}
	p.lay("d7", "1.0.0", "aaaa")
	p.work(t, "v2", nil)
	if len(p.decoded) != 6 || p.decoded[0] != "1.0.0 d7" {
		t.Errorf("decoded: %v", p.decoded)
	}
	if c := p.crashes["d6"]; c.State != Failed || c.DecodedBy != "v2" {
		t.Errorf("what still cannot be decoded: %+v", c)
	}
}

func TestOfTwoModelsWithTheSameELFTheDumpsOwnCounts(t *testing.T) {
	p := newPlant()
	other := build("1.0.0", "aaaa11")
	other.Model = "fan"
	p.builds = []fleet.Build{other, build("1.0.0", "aaaa11")}
	p.lay("d1", "1.0.0", "aaaa")
	p.work(t, "v1", nil)
	if c := p.crashes["d1"]; c.State != Reported || strings.Contains(strings.Join(c.Disagreements, " "), "fan") {
		t.Errorf("%s, %q", c.State, c.Disagreements)
	}
}

func TestReportsThatAPowerCutTookAreMadeAgainAfterTheStart(t *testing.T) {
	p := newPlant()
	p.builds = []fleet.Build{build("1.0.0", "aaaa11"), build("2.0.0", "bbbb22")}
	for _, name := range []fleet.DumpName{"d1", "d2", "d3", "d4"} {
		p.lay(name, "1.0.0", "aaaa")
	}
	p.lay("d5", "2.0.0", "bbbb")
	p.lay("d6", "9.9.9", "cccc") // waits for its firmware, with frames of none
	p.work(t, "v1", nil)
	report := p.reports["d1"]
	p.reports["d1"], p.reports["d2"], p.reports["d6"] = nil, report[:len(report)-5], nil // empty, cut
	delete(p.reports, "d3")
	p.reports["d5"] = nil
	p.builds = p.builds[:1] // and the firmware of d5 was removed since
	before := p.crashes["d5"]
	p.decoded = nil
	p.work(t, "v1", nil)
	for _, name := range []fleet.DumpName{"d1", "d2", "d3", "d4", "d6"} {
		if !whole(p.reports[name]) {
			t.Errorf("%s has no report: %d bytes", name, len(p.reports[name]))
		}
	}
	if slices.Contains(p.decoded, "1.0.0 d4") {
		t.Errorf("one was made again that was whole: %v", p.decoded)
	}
	if c := p.crashes["d5"]; c.State != Reported || c.TopFrame != before.TopFrame || c.Version != "2.0.0" {
		t.Errorf("one whose firmware is gone is %+v", c)
	}
	// Long before a stop in order they were on the disk, and are not read again at each start.
	p.decoded, p.reports["d1"], p.stopped = nil, nil, p.crashes["d1"].DecodedAt.Add(time.Hour)
	p.work(t, "v1", nil)
	if len(p.decoded) > 0 {
		t.Errorf("after a stop in order: %v", p.decoded)
	}
	p.stopped = time.Time{}
	p.decoded, p.bad["d1"], p.reports["d1"] = nil, "damaged", nil
	p.work(t, "v1", nil)
	if c := p.crashes["d1"]; c.State != Reported || !strings.Contains(p.said.String(), "report not made again") {
		t.Errorf("one whose dump is damaged is %+v", c)
	}
}

func TestCrashesAreRecordedInTheOrderOfTheirUploadWhicheverBuildTheyAreOf(t *testing.T) {
	p := newPlant()
	p.builds = []fleet.Build{build("1.0.0", "aaaa11"), build("2.0.0", "bbbb22")}
	p.lay("d1", "1.0.0", "aaaa")
	p.lay("d2", "1.0.0", "bbbb")
	p.lay("d3", "1.0.0", "aaaa")
	p.lay("d4", "1.0.0", "bbbb")
	p.work(t, "v1", nil)
	if want := []fleet.DumpName{"d1", "d2", "d3", "d4"}; !slices.Equal(p.order, want) {
		t.Errorf("recorded in the order %v, want %v: a rebuild would make other groups", p.order, want)
	}
}

func TestWhatOldRulesHaveGroupedIsDecodedAgainBeforeWhatWaits(t *testing.T) {
	p := newPlant()
	p.old = true
	p.builds = []fleet.Build{build("1.0.0", "aaaa11")}
	p.lay("d1", "1.0.0", "aaaa")
	p.lay("d2", "1.0.0", "aaaa")
	p.lay("d3", "1.0.0", "aaaa")
	p.bad["d2"] = "it is no dump any more"
	for _, name := range []fleet.DumpName{"d2", "d3"} {
		c := p.crashes[name]
		c.State, c.Fingerprint = Reported, "old"
		p.crashes[name] = c
	}
	p.work(t, "v1", nil)
	if want := []fleet.DumpName{"d3", "d1"}; !slices.Equal(p.order, want) {
		t.Errorf("recorded in the order %v, want %v", p.order, want)
	}
	if c := p.crashes["d2"]; c.State != Reported || c.Fingerprint != "old" || c.Rules != Rules {
		t.Errorf("what cannot be decoded again is %+v", c)
	}
	if said := p.said.String(); !strings.Contains(said, "12 groups became 9; 1 old") {
		t.Errorf("the journal: %s", said)
	}
}
