package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/slipway-gateway/slipway/pkg/durable"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Daily makes a backup every day, encrypted to the key among the gateway's keys, reads it back, and keeps the last
// seven. They are there to be copied elsewhere: on a disk that died they are gone as well.
type Daily struct {
	Source  *Source
	Dir     string
	Space   func() (free, total int64, err error)
	Reserve int64                                                           // bytes that must stay free
	Made    func(ctx context.Context, name string, size int64, records int) // is told of each copy
	Logger  *slog.Logger
	Now     func() time.Time
	// Believed reports that the clock is not known to be wrong.
	Believed func() bool

	making sync.Mutex // is held while a copy is made; guards turns
	turns  int        // of makeDue since the last copy, while the clock is not believed

	mu      sync.Mutex // guards trouble
	trouble string
}

const (
	every      = 24 * time.Hour
	retry      = time.Hour // also how far behind a day a copy may be
	keep       = 7
	namePrefix = "slipway-"
	nameTime   = "20060102T150405Z"
	nameSuffix = ".age"
)

// Run makes copies until ctx ends. One that fails is tried again an hour later, and [Daily.Trouble] says so.
func (d *Daily) Run(ctx context.Context) error {
	tick := time.NewTicker(retry)
	defer tick.Stop()
	for {
		_, err := d.makeDue(ctx, false)
		if err != nil {
			d.Logger.Error("gateway not backed up", "error", err)
		}
		d.note(err)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Copy is a copy that was made: its file's name, its size in bytes, and how many records of the catalog are in it.
type Copy struct {
	Name    string
	Size    int64
	Records int
}

// MakeNow makes the copy of today at once, whether or not there is one: it takes the place of those that were made in the
// last hours, so that whoever asks ten times a day does not push a week of copies out.
func (d *Daily) MakeNow(ctx context.Context) (Copy, error) {
	made, err := d.makeDue(ctx, true)
	if err == nil {
		d.note(nil)
	}
	return made, err
}

// Trouble says that there is no copy of today and why, else "".
func (d *Daily) Trouble() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.trouble
}

func (d *Daily) note(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trouble = ""
	if err != nil {
		d.trouble = "there is no backup of today: " + err.Error()
	}
}

// makeDue makes a copy when the newest one is a day old. One from the future was left by a clock that was wrong: while the
// clock is believed it is none of today, and older than all others. With a clock that is not believed, as after a start in
// 1970, names stay in order and a copy is made once a day of one process, so that restarts push no good ones out. Wanted
// has a copy made whatever is due.
func (d *Daily) makeDue(ctx context.Context, wanted bool) (made Copy, err error) {
	d.making.Lock()
	defer d.making.Unlock()
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return made, err
	}
	if _, err := ensureKey(d.Source.KeysDir, d.Dir, d.Now()); err != nil {
		return made, err // it is lost: that is not told only when the next copy is due
	}
	copies, err := d.tidy()
	if err != nil {
		return made, err
	}
	at, believed := d.Now().UTC().Truncate(time.Second), d.Believed()
	if believed {
		inOrder(copies, at)
	}
	if n := len(copies); n > 0 {
		newest := copies[n-1].at
		switch ahead := newest.Sub(at); {
		case ahead > every && !believed:
			if d.turns++; d.turns <= int(every/retry) && !wanted {
				return made, nil
			}
			at = newest.Add(time.Second)
		case ahead > -every && ahead <= every: // a step back of minutes makes no second one
			if !wanted {
				return made, nil
			}
			if ahead >= 0 {
				at = newest.Add(time.Second) // names stay in order
			}
		}
		if err := d.notBehind(filepath.Join(d.Dir, copies[n-1].name)); err != nil {
			return made, err
		}
	}
	if made, err = d.make(ctx, namePrefix+at.Format(nameTime)+nameSuffix); err != nil {
		return made, err
	}
	d.turns = 0
	older := copies[:max(0, len(copies)+1-keep)]
	if wanted {
		older = superseded(copies, at)
	}
	for _, old := range older {
		if err := os.Remove(filepath.Join(d.Dir, old.name)); err != nil {
			return made, err
		}
	}
	return made, nil
}

// superseded are the copies whose place one takes that was made at a time because somebody wanted it: those of the same
// day, and else what there is too much of.
func superseded(copies []dailyCopy, at time.Time) (gone []dailyCopy) {
	kept := slices.Clone(copies)
	for n := len(kept); n > 0 && at.Sub(kept[n-1].at) < every-retry; n-- {
		gone, kept = append(gone, kept[n-1]), kept[:n-1]
	}
	return append(gone, kept[:max(0, len(kept)+1-keep)]...)
}

// errHead ends the reading of a copy behind its head.
var errHead = errors.New("the head is read")

// notBehind refuses to copy a catalog that has lost what the newest copy knows. A copy that cannot be read says nothing.
func (d *Daily) notBehind(newest string) error {
	id, err := ensureKey(d.Source.KeysDir, d.Dir, d.Now())
	if err != nil {
		return err
	}
	f, err := os.Open(newest)
	if err != nil {
		return err
	}
	defer f.Close()
	var head Manifest
	err = Open(f, Taker{Manifest: func(m Manifest) error { head = m; return errHead }}, id)
	if !errors.Is(err, errHead) {
		d.Logger.Warn("newest backup not readable", "file", newest, "error", err)
		return nil
	}
	now, err := d.Source.Catalog.Whole()
	if err != nil {
		return err
	}
	if now.Behind(head.Counts) {
		return fmt.Errorf("the catalog has gone back: it knows %s, and %s knew %s; nothing is copied over good copies", now, newest, head.Counts)
	}
	return nil
}

// Before makes a copy before what cannot be taken back, such as an upgrade of the catalog, and says where it lies. It is
// kept until somebody removes it.
func (d *Daily) Before(what string) (file string, err error) {
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return "", err
	}
	name := namePrefix + "before-" + what + "-" + d.Now().UTC().Format(nameTime) + nameSuffix
	_, err = d.make(context.Background(), name)
	return filepath.Join(d.Dir, name), err
}

func (d *Daily) make(ctx context.Context, name string) (made Copy, err error) {
	if free, _, err := d.Space(); err != nil {
		return made, err
	} else if free < d.Reserve {
		return made, fleet.Full("less than %d MiB is free in %s", d.Reserve>>20, d.Dir)
	}
	id, err := ensureKey(d.Source.KeysDir, d.Dir, d.Now())
	if err != nil {
		return made, err
	}
	size, found, err := WriteFile(filepath.Join(d.Dir, name), d.Source.Write, []age.Recipient{id.Recipient()}, id)
	if err != nil {
		return made, err
	}
	d.Made(ctx, name, size, found.Records)
	return Copy{name, size, found.Records}, nil
}

// dailyCopy is a copy that comes and goes, and what its name says of when it was made.
type dailyCopy struct {
	name string
	at   time.Time
}

// inOrder sorts copies, oldest first. What is more than a day ahead of now was made before it by a clock that was wrong: it
// comes first.
func inOrder(copies []dailyCopy, now time.Time) {
	future := func(c dailyCopy) bool { return c.at.Sub(now) > every }
	slices.SortFunc(copies, func(a, b dailyCopy) int {
		switch {
		case future(a) == future(b):
			return a.at.Compare(b.at)
		case future(a):
			return -1
		}
		return 1
	})
}

// Newest is the path of the newest copy in a folder, whatever it was made for; "" for none.
func Newest(dir string, now time.Time) (path string, err error) {
	copies, err := copiesIn(dir, func(name string) (time.Time, bool) {
		stem, sealed := strings.CutSuffix(name, nameSuffix)
		at, err := time.Parse(nameTime, stem[max(0, len(stem)-len(nameTime)):])
		return at, sealed && strings.HasPrefix(stem, namePrefix) && err == nil
	})
	if err != nil || len(copies) == 0 {
		return "", err
	}
	inOrder(copies, now)
	return filepath.Join(dir, copies[len(copies)-1].name), nil
}

// NewestAt is when the newest daily copy in a folder was made; the zero time for none.
func NewestAt(dir string) (at time.Time, err error) {
	copies, err := copiesIn(dir, dailyAt)
	for _, one := range copies {
		if one.at.After(at) {
			at = one.at
		}
	}
	return at, err
}

// KeepNewest takes the newest daily copy out of the seven that come and go: it is kept until somebody removes it. It says
// where it is now, "" for none.
func KeepNewest(dir, what string, now time.Time) (string, error) {
	copies, err := copiesIn(dir, dailyAt)
	if err != nil || len(copies) == 0 {
		return "", err
	}
	inOrder(copies, now)
	newest := copies[len(copies)-1]
	kept := filepath.Join(dir, namePrefix+"before-"+what+"-"+newest.at.Format(nameTime)+nameSuffix)
	if err := os.Rename(filepath.Join(dir, newest.name), kept); err != nil {
		return "", err
	}
	return kept, durable.SyncDir(dir)
}

// dailyAt is when a daily copy was made, by its name.
func dailyAt(name string) (time.Time, bool) {
	at, err := time.Parse(namePrefix+nameTime+nameSuffix, name)
	return at, err == nil
}

// copiesIn are the copies in a folder whose names made knows, by name.
func copiesIn(dir string, made func(name string) (time.Time, bool)) (copies []dailyCopy, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if at, ok := made(e.Name()); ok {
			copies = append(copies, dailyCopy{e.Name(), at})
		}
	}
	return copies, nil
}

// tidy removes what a kill has left and lists the daily copies, in the order of their names. Other files are other people's.
func (d *Daily) tidy() ([]dailyCopy, error) {
	entries, err := os.ReadDir(d.Dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := e.Name()
		if durable.IsTemporary(name) || strings.HasPrefix(name, "."+namePrefix) { // the latter as Slipway 0.1 named them
			if err := os.Remove(filepath.Join(d.Dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, err
			}
		}
	}
	return copiesIn(d.Dir, dailyAt)
}
