package crash

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/espcore"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// store is what triage needs of the catalog.
type store interface {
	// WaitingCrashes are the dumps in state Waiting, oldest upload first, at most limit.
	WaitingCrashes(limit int) ([]Crash, error)
	// FailedCrashes are those in state Failed that another version of the gateway could not decode, at most limit.
	FailedCrashes(notBy string, limit int) ([]Crash, error)
	// AskedCrashes are the dumps that a person wants decoded anew, at most limit. What waits for its turn anyway is not
	// among them.
	AskedCrashes(limit int) ([]Crash, error)
	// AskAgain notes that whoever acts wants a dump decoded anew.
	AskAgain(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName) error
	// AskGroupAgain does so for a piece of a group's dumps.
	AskGroupAgain(ctx context.Context, address string, after Ref, limit int) (AskedAgain, error)
	// KeepCrash notes that such a dump was looked at and stays as it was, and why.
	KeepCrash(ctx context.Context, c Crash, why string) error
	// CrashesIn are those in a state that wanted picks, oldest upload first.
	CrashesIn(state State, wanted func(Crash) bool) ([]Crash, error)
	// BuildsByELF are the builds whose ELF's SHA-256 starts with the hex prefix.
	BuildsByELF(prefix string) ([]fleet.Build, error)
	Build(fleet.ModelCode, fleet.Version) (fleet.Build, error)
	// RecordCrash stores the summary and, where it has a fingerprint and is new to it, counts it into its group, in one
	// transaction. Who asked for it has got it. keep is how many first and how many last dumps of one fingerprint and version
	// stay; 0 keeps all.
	RecordCrash(ctx context.Context, c Crash, keep int) (Outcome, error)
	// RecordCrashes does so for many, in their order, and calls done for each once it is stored, or was refused.
	RecordCrashes(ctx context.Context, some []Crash, keep int, done func(Crash, Outcome, error))
	// OldCrashes are the reported dumps whose groups older rules made, oldest upload first, until EndRegrouping.
	OldCrashes() ([]Ref, error)
	// KeepOld notes of those that could not be decoded again that they stay where they are.
	KeepOld(ctx context.Context, some []Ref) error
	// EndRegrouping settles the counts of the old groups and says what changed, nil where nothing is left to say.
	EndRegrouping(ctx context.Context) (*Regrouped, error)
	Dump(fleet.DeviceKey, fleet.DumpName) (Listed, error)
	// WakeCrashes puts the Missing ones that wait for this ELF, or for this build of their model, back to Waiting.
	WakeCrashes(ctx context.Context, b fleet.Build) (int, error)
}

// files is what triage needs of the dump directories.
type files interface {
	Path(fleet.DeviceKey, fleet.DumpName) string
	WriteReport(key fleet.DeviceKey, name fleet.DumpName, report []byte) error // gzip of its JSON
	ReadReport(fleet.DeviceKey, fleet.DumpName) ([]byte, error)
	Remove(context.Context, fleet.DeviceKey, fleet.DumpName) error
}

// elves hands out inflated ELFs; release lets the cache drop one.
type elves interface {
	ELF(ctx context.Context, b fleet.Build) (path string, release func(), err error)
}

// decoder runs the worker process. A result's Failure says why that one dump has no report: the others of its batch do.
type decoder interface {
	Identify(ctx context.Context, dumps []string) ([]espcore.Identified, error)
	Decode(ctx context.Context, elf, model string, dumps []string, done func(i int, r *espcore.Report, failure string)) error
}

// watcher is told of each dump that was identified for certain and reported, once.
type watcher interface{ Seen(fleet.Seen) }

// Options are the parts that triage works with and its settings.
type Options struct {
	Store        store
	Files        files
	ELFs         elves
	Decoder      decoder
	Watcher      watcher // nil: nobody
	Logger       *slog.Logger
	Now          func() time.Time
	Version      string    // of the gateway: what an older one could not decode is tried again, once
	CleanStop    time.Time // when the gateway last stopped in order, zero for never
	KeepPerCrash int       // of one fingerprint and version, at each end; 0 keeps all
	Beat         func()
	Observe      func(seconds float64, dumps int) // one decoded batch, for metrics
	Came         func(Crash, Outcome)             // a crash was counted into its group
}

// Triage turns dumps into reports, one batch after the other.
type Triage struct {
	options   Options
	wake      chan struct{}
	regrouped bool    // nothing of it is left
	retried   bool    // nothing is left that only an older version has tried
	looked    bool    // for reports that a power cut has taken
	lost      []Crash // their dumps
	decoded   []Crash // of the batch in work, to be recorded in the order of their upload
}

// NewTriage makes the queue; Run works it off.
func NewTriage(o Options) *Triage {
	return &Triage{options: o, wake: make(chan struct{}, 1)}
}

const (
	batch = 64 // bounds what one look at the queue takes on: a burst of one device delays another by one batch at most
	again = 4  // of the dumps that are decoded anew: those that failed may take a worker's whole time each
)

// Wake tells triage that a dump waits.
func (t *Triage) Wake() {
	select {
	case t.wake <- struct{}{}:
	default: // it is awake already
	}
}

// BuildArrived has the dumps decoded that waited for this build's ELF.
func (t *Triage) BuildArrived(ctx context.Context, b fleet.Build) error {
	woken, err := t.options.Store.WakeCrashes(ctx, b)
	if woken > 0 {
		t.options.Logger.Info("dumps woken", "model", b.Model, "version", b.Version, "dumps", woken)
		t.Wake()
	}
	return err
}

// Run works until ctx ends. What waits is found from the catalog, so that a restart resumes.
func (t *Triage) Run(ctx context.Context) error {
	const (
		look  = 5 * time.Second  // the watchdog wants a sign of life, and a missed wake is made good
		pause = 15 * time.Second // after an error of the store or the disk
	)
	failing := false // the journal knows
	for {
		t.options.Beat()
		wait := look
		err := t.regroup(ctx)
		var waiting []Crash
		if err == nil {
			waiting, err = t.next()
		}
		if err == nil && len(waiting) > 0 {
			wait = 0
			err = t.work(ctx, waiting)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !failing && !fleet.Told(err) { // of which the gateway tells once, for all that it does not take
			t.options.Logger.Error("triage stopped short", "error", err, "again_in", pause)
		}
		if failing = err != nil; failing {
			wait = pause
		}
		if wait == 0 {
			continue
		}
		if err := t.rest(ctx, wait); err != nil {
			return nil
		}
	}
}

// next is what to work on: a few of those that people want decoded anew and what nobody has looked at, and when there is
// nothing of either, what an older version has failed at, then what has lost its report.
func (t *Triage) next() ([]Crash, error) {
	asked, err := t.options.Store.AskedCrashes(again)
	if err != nil {
		return nil, err
	}
	waiting, err := t.options.Store.WaitingCrashes(batch)
	if waiting = append(asked, waiting...); err != nil || len(waiting) > 0 {
		return waiting, err
	}
	if !t.retried {
		failed, err := t.options.Store.FailedCrashes(t.options.Version, again)
		t.retried = err == nil && len(failed) == 0
		if !t.retried {
			return failed, err
		}
	}
	if !t.looked {
		if t.lost, err = t.withoutReport(); err != nil {
			return nil, err
		}
		t.looked = true
	}
	some := t.lost[:min(len(t.lost), batch)]
	t.lost = t.lost[len(some):]
	return some, nil
}

// rest waits for a wake or for d, with a beat at least every five seconds.
func (t *Triage) rest(ctx context.Context, d time.Duration) error {
	for d > 0 {
		step := min(d, 5*time.Second)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.wake:
			return nil
		case <-time.After(step):
			t.options.Beat()
			d -= step
		}
	}
	return nil
}

// job is a batch's part that one ELF decodes.
type job struct {
	build fleet.Build // zero without one
	grade Grade
	dumps []Crash
}

func (t *Triage) work(ctx context.Context, waiting []Crash) error {
	paths := make([]string, len(waiting))
	for i, c := range waiting {
		paths[i] = t.options.Files.Path(c.Device, c.Name)
	}
	identities, err := t.options.Decoder.Identify(ctx, paths)
	if err != nil {
		return err
	}
	var jobs []*job
	for i, c := range waiting {
		if identities[i].Failure != "" {
			if err := t.fail(ctx, c, identities[i].Failure); err != nil {
				return err
			}
			continue
		}
		c.ELFHash = identities[i].ELFHash
		build, grade, err := t.match(c)
		if err != nil {
			return err
		}
		jobs = assign(jobs, build, grade, c)
	}
	t.decoded = nil
	var failed error
	for _, j := range jobs {
		failed = errors.Join(failed, t.decode(ctx, j))
	}
	// Which chain is the first of its group, and which group takes the next one, goes by time: a rebuild makes the same.
	slices.SortFunc(t.decoded, func(a, b Crash) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Device, b.Device)) })
	return errors.Join(failed, t.record(ctx, t.decoded))
}

func assign(jobs []*job, b fleet.Build, g Grade, c Crash) []*job {
	for _, j := range jobs {
		if j.grade == g && j.build.Model == b.Model && j.build.Version == b.Version && j.dumps[0].Model == c.Model {
			j.dumps = append(j.dumps, c)
			return jobs
		}
	}
	return append(jobs, &job{build: b, grade: g, dumps: []Crash{c}})
}

// match finds the build that a dump came from. Its own hash decides, not what the device declared; a dump without one
// is taken at its word, grade unknown. With a hash that no build has, the declared version's build gives frames that may
// be wrong and are marked so, while the dump goes on waiting for its own ELF.
func (t *Triage) match(c Crash) (fleet.Build, Grade, error) {
	if c.ELFHash != "" {
		builds, err := t.options.Store.BuildsByELF(c.ELFHash)
		if err != nil {
			return fleet.Build{}, "", err
		}
		if len(builds) > 0 {
			return prefer(builds, c), Exact, nil
		}
	}
	version, err := fleet.ParseVersion(c.DeclaredVersion)
	if err != nil {
		return fleet.Build{}, MissingELF, nil
	}
	build, err := t.options.Store.Build(c.Model, version)
	switch {
	case errors.Is(err, fleet.ErrUnknown):
		return fleet.Build{}, MissingELF, nil
	case err != nil:
		return fleet.Build{}, "", err
	case c.ELFHash == "":
		return build, UnknownHash, nil
	}
	return build, Mismatch, nil
}

// prefer takes the dump's own model where two models have the same ELF, and of its builds the one that the device declared: an
// Arduino sketch can be there under two names.
func prefer(builds []fleet.Build, c Crash) fleet.Build {
	best := builds[0]
	for _, b := range builds {
		if b.Model == c.Model && (best.Model != c.Model || string(b.Version) == c.DeclaredVersion) {
			best = b
		}
	}
	return best
}

func (t *Triage) decode(ctx context.Context, j *job) error {
	elf := ""
	if j.grade != MissingELF {
		path, release, err := t.options.ELFs.ELF(ctx, j.build)
		switch {
		case err == nil:
			defer release()
			elf = path
		case errors.Is(err, fleet.ErrFull), ctx.Err() != nil:
			return err // there will be room again
		default: // flash forgets: one bundle that cannot be read any more must not hold up the dumps of the others
			t.options.Logger.Error("firmware cannot be read: replace it by the same bundle", "model", j.build.Model, "version", j.build.Version, "error", err)
			j.build, j.grade = fleet.Build{}, MissingELF
		}
	}
	paths := make([]string, len(j.dumps))
	for i, c := range j.dumps {
		paths[i] = t.options.Files.Path(c.Device, c.Name)
	}
	start := time.Now()
	var failed error
	err := t.options.Decoder.Decode(ctx, elf, string(j.dumps[0].Model), paths, func(i int, r *espcore.Report, failure string) {
		t.options.Beat()
		if failure != "" {
			failed = errors.Join(failed, t.fail(ctx, j.dumps[i], failure))
			return
		}
		failed = errors.Join(failed, t.report(ctx, j, j.dumps[i], r))
	})
	if t.options.Observe != nil {
		t.options.Observe(time.Since(start).Seconds(), len(j.dumps))
	}
	return errors.Join(err, failed)
}
