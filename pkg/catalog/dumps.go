package catalog

import (
	"context"
	"errors"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// RecordDumps indexes dumps that lie on disk, each as a crash that waits, unless it is known.
func (c *Catalog) RecordDumps(ctx context.Context, dumps []fleet.Dump) error {
	return c.inPieces(ctx, len(dumps), false, func(t *tx, i int) error { return t.recordDump(dumps[i]) })
}

// RecordDumpLater indexes a dump without waiting; done is called when it is recorded, or could not be. The dump is safe on
// disk, so an error is logged, but for that of a full disk, which is said once for all that it does not take.
func (c *Catalog) RecordDumpLater(d fleet.Dump, done func(error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return // the next start indexes it
	}
	c.later.Go(func() {
		err := c.update(context.Background(), func(t *tx) error { return t.recordDump(d) })
		if err != nil && !fleet.Told(err) {
			c.options.Logger.Error("dump not indexed", "device", d.Device, "file", d.Name(), "error", err)
		}
		done(err)
	})
}

func (t *tx) recordDump(d fleet.Dump) error {
	known, err := t.has(dumpKey(d.Device, d.Name()))
	if err != nil || known {
		return err
	}
	if err := t.put(dumpKey(d.Device, d.Name()), d); err != nil {
		return err
	}
	t.mark(dumpTimeKey(d.Device, d.Name()))
	one := crash.Crash{
		Device: d.Device, Model: d.Model, Name: d.Name(), Uploaded: d.UploadedAt, State: crash.Waiting,
		DeclaredVersion: d.FirmwareVersion, DeclaredChip: d.Chip,
	}
	return errors.Join(t.countUpload(one), t.putCrash(one))
}

// RemoveDump forgets a dump that is gone, with its crash. What its group has counted stays counted. It may use half of
// the reserve, as removing dumps is how the disk gets room again.
func (c *Catalog) RemoveDump(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName) error {
	op := newOperation(func(t *tx) error {
		if err := t.tellGone(key, name); err != nil {
			return err
		}
		t.delete(dumpKey(key, name))
		t.delete(dumpTimeKey(key, name))
		return t.deleteCrash(key, name)
	})
	op.frees = true
	return c.run(ctx, op)
}

// EachDump calls yield for every indexed dump, by device and time.
func (c *Catalog) EachDump(yield func(fleet.Dump) error) error {
	return c.view(func(txn *badger.Txn) error {
		return each(txn, dumpPrefix, "", false, func(_ string, item *badger.Item) error {
			var d fleet.Dump
			if err := read(item, &d); err != nil {
				return err
			}
			return yield(d)
		})
	})
}

// Dump finds a dump, or says ErrUnknown.
func (c *Catalog) Dump(key fleet.DeviceKey, name fleet.DumpName) (crash.Listed, error) {
	var l crash.Listed
	err := c.view(func(txn *badger.Txn) error {
		found, err := readDump(&l, txn, crash.Ref{Device: key, Name: name})
		if err == nil && !found {
			err = unknownDump(key, name)
		}
		return err
	})
	return l, err
}

func unknownDump(key fleet.DeviceKey, name fleet.DumpName) error {
	return fleet.Unknown("there is no dump %q of device %q", name, key)
}

func readDump(l *crash.Listed, txn *badger.Txn, r crash.Ref) (found bool, err error) {
	if found, err = get(txn, dumpKey(r.Device, r.Name), &l.Dump); err != nil || !found {
		return found, err
	}
	if _, err = get(txn, crashKey(r.Device, r.Name), &l.Crash); err != nil || !grouped(l.Crash) {
		return true, err
	}
	g, _, err := groupAt(func(key string, record any) (bool, error) { return get(txn, key, record) }, l.Crash.Fingerprint)
	l.Group = g.Fingerprint
	return true, err
}

// mostPassed bounds the dumps that a page looks at when hardly any dump fits its filter.
const mostPassed = 2000

// Dumps lists dumps, newest first, and says after which one the next page begins; the zero Ref: this is the last. A page
// may have fewer dumps than its limit, or none, and a next one: it has passed over mostPassed.
func (c *Catalog) Dumps(f crash.DumpFilter) (dumps []crash.Listed, next crash.Ref, err error) {
	prefix, after := narrowest(f)
	oldest := oldestName(f.Uploaded)
	looked := 0
	var last crash.Ref
	err = c.view(func(txn *badger.Txn) error {
		return each(txn, prefix, after, true, func(key string, _ *badger.Item) error {
			ref, err := splitDumpKey(key)
			if err != nil {
				return err
			}
			if ref.Name < oldest {
				return errStop
			}
			if f.Limit > 0 && (len(dumps) == f.Limit || looked == mostPassed) {
				next = last
				return errStop
			}
			looked++
			last = ref
			var l crash.Listed
			if found, err := readDump(&l, txn, ref); err != nil || !found {
				return err
			}
			if f.Model != "" && l.Dump.Model != f.Model || f.State != "" && l.Crash.State != f.State {
				return nil
			}
			dumps = append(dumps, l)
			return nil
		})
	})
	return dumps, next, err
}

// narrowest is the index with the fewest dumps to look at, and behind which key in it to start.
func narrowest(f crash.DumpFilter) (prefix, behind string) {
	var start func(crash.Ref) string
	switch {
	case f.Device != "":
		prefix, start = deviceDumpsPrefix(f.Device), func(r crash.Ref) string { return dumpKey(f.Device, r.Name) }
	case f.State != "":
		prefix, start = statePrefix(f.State), func(r crash.Ref) string { return stateKey(f.State, r.Device, r.Name) }
	default:
		prefix, start = timePrefix, func(r crash.Ref) string { return dumpTimeKey(r.Device, r.Name) }
	}
	if f.After.Name != "" {
		behind = start(f.After)
	}
	if !f.Uploaded.Until.IsZero() {
		newest := start(crash.Ref{Name: fleet.NewDumpName(f.Uploaded.Until) + "~"}) // behind every device's of this time
		if behind == "" || newest < behind {
			behind = newest
		}
	}
	return prefix, behind
}

// oldestName is the first name that a dump in a span may have, "" where every one may.
func oldestName(s fleet.Span) fleet.DumpName {
	if s.Since.IsZero() {
		return ""
	}
	return fleet.NewDumpName(s.Since)
}
