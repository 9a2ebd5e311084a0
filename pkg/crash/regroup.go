package crash

import "context"

// regroup decodes again what older rules have grouped, oldest first, so that it comes into the groups of today's. It goes
// before what waits: a new dump of a crash that people have ignored or resolved would else open a group of its own and
// be told as new. It can be cut off at any time: what was done is recorded dump by dump, and nothing is counted twice.
func (t *Triage) regroup(ctx context.Context) error {
	if t.regrouped {
		return nil
	}
	old, err := t.options.Store.OldCrashes()
	if err != nil {
		return err
	}
	for len(old) > 0 && ctx.Err() == nil {
		some := old[:min(len(old), batch)]
		if err := t.again(ctx, some); err != nil {
			return err
		}
		old = old[len(some):]
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	done, err := t.options.Store.EndRegrouping(ctx)
	if err != nil {
		return err
	}
	if done != nil {
		t.options.Logger.Info("crashes regrouped", "regrouped", done.String(), "before", done.Before, "after", done.After, "old", done.Old)
	}
	t.regrouped = true
	return nil
}

// again decodes some dumps anew. Those that cannot be decoded any more stay where they are.
func (t *Triage) again(ctx context.Context, some []Ref) error {
	t.options.Beat()
	var there []Crash
	for _, r := range some {
		l, err := t.options.Store.Dump(r.Device, r.Name)
		if err != nil && !gone(err) {
			return err
		}
		if err == nil && l.Crash.State == Reported {
			there = append(there, l.Crash)
		}
	}
	if len(there) > 0 {
		if err := t.work(ctx, there); err != nil {
			return err
		}
	}
	return t.options.Store.KeepOld(ctx, some)
}
