package crash

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/espcore"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// report lays a dump's report beside it. The file comes first: a record never names a report that cannot be read.
func (t *Triage) report(ctx context.Context, j *job, c Crash, r *espcore.Report) error {
	before := c
	c = Summarize(c, j.build, j.grade, r)
	if before.State == Reported && c.State != Reported { // what is recorded says more
		return t.stay(ctx, before, "its firmware is not here any more")
	}
	packed, err := pack(r)
	if err != nil {
		return err
	}
	err = t.options.Files.WriteReport(c.Device, c.Name, packed)
	if gone(err) {
		return nil // rotated away while it was decoded
	}
	if err != nil {
		return err
	}
	c.DecodedAt, c.DecodedBy = t.options.Now().UTC(), t.options.Version
	t.decoded = append(t.decoded, c)
	return nil
}

// record stores the summaries of reports, tells the journal and lets storm control remove what is too much.
func (t *Triage) record(ctx context.Context, some []Crash) error {
	var failed error
	var surplus []Ref // each names those before it again: nothing was removed in between
	t.options.Store.RecordCrashes(ctx, some, t.options.KeepPerCrash, func(c Crash, outcome Outcome, err error) {
		if err != nil {
			if !gone(err) { // else it was rotated away while it was decoded
				failed = errors.Join(failed, err)
			}
			return
		}
		t.tell(c, outcome)
		if outcome.News != "" {
			t.show(c)
		}
		if t.options.Came != nil && outcome.News != "" {
			t.options.Came(c, outcome)
		}
		for _, ref := range outcome.Surplus {
			if !slices.Contains(surplus, ref) {
				surplus = append(surplus, ref)
			}
		}
	})
	for _, ref := range surplus {
		if err := t.options.Files.Remove(ctx, ref.Device, ref.Name); err != nil && !gone(err) {
			return errors.Join(failed, err)
		}
	}
	return failed
}

// show hands on what a dump shows about its device: which build it was made of, and which version declared it.
func (t *Triage) show(c Crash) {
	if t.options.Watcher == nil || c.Grade != Exact {
		return
	}
	build, err := t.options.Store.Build(c.Model, c.Version)
	if err != nil || !strings.HasPrefix(build.ELFSHA256, c.ELFHash) {
		return // it is of another model's firmware
	}
	declared, err := fleet.ParseVersion(c.DeclaredVersion)
	if err != nil {
		return
	}
	t.options.Watcher.Seen(fleet.Seen{
		Device: c.Device, At: c.Uploaded, By: fleet.HeardDump,
		Dump: &fleet.SeenDump{Declared: declared, Build: build.Version, ELF: build.ELFSHA256},
	})
}

// fail keeps the dump and says why it has no report. What had one once stays in its group.
func (t *Triage) fail(ctx context.Context, c Crash, why string) error {
	if c.State == Reported {
		t.options.Logger.Warn("report not made again", "device", c.Device, "model", c.Model, "file", c.Name, "reason", clip(why, mostText))
		return t.stay(ctx, c, why)
	}
	c.State, c.Why, c.DecodedAt, c.DecodedBy = Failed, clip(why, mostText), t.options.Now().UTC(), t.options.Version
	_, err := t.options.Store.RecordCrash(ctx, c, t.options.KeepPerCrash)
	if gone(err) {
		return nil
	}
	if err == nil { // else it is tried again
		t.options.Logger.Warn("dump not decoded", "device", c.Device, "model", c.Model, "version", c.DeclaredVersion, "file", c.Name, "reason", c.Why)
	}
	return err
}

// tell writes the one line that a shift lead finds in the journal.
func (t *Triage) tell(c Crash, o Outcome) {
	facts := []any{"device", c.Device, "model", c.Model, "version", c.Version, "reason", c.Reason, "frame", c.TopFrame, "grade", c.Grade}
	switch {
	case c.State == Missing:
		t.options.Logger.Info("crash waits for its firmware", append(facts, "declared_version", c.DeclaredVersion, "elf_hash", c.ELFHash)...)
	case o.News == "" && c.Fingerprint != "": // it was counted before
		if !t.regrouped {
			return // one line says it of all
		}
		t.options.Logger.Info("report made again", append(facts, "fingerprint", c.Fingerprint)...)
	case o.News == Regression:
		t.options.Logger.Warn("crash reported", append(facts, "fingerprint", c.Fingerprint, "news", o.News, "resolved_in", o.Group.ResolvedIn)...)
	default:
		t.options.Logger.Info("crash reported", append(facts, "fingerprint", c.Fingerprint, "news", o.News)...)
	}
}

// gone recognises a dump that rotation or an operator removed in the meantime.
func gone(err error) bool {
	return errors.Is(err, fleet.ErrUnknown) || errors.Is(err, fs.ErrNotExist)
}
