// Package sighting knows what requests, dumps and messages show about devices: who is heard, what they run and how that is
// known, when they booted, what they fetched, and which lines are dark.
//
// The [Book] is in memory. What would be missed (what a device runs, a boot, a download's end) is on stable storage within
// a second, many devices in one commit; when a device was heard is stored once an hour and at a stop in order. So a poll
// writes nothing.
//
// What a device says of itself is believed as its own word. It can make up any of it, for itself only: whose word it is
// was checked by whoever calls [Book.Seen].
package sighting

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// store is what the book needs of the catalog.
type store interface {
	EachDevice(yield func(fleet.Device) error) error
	EachSighting(yield func(Record) error) error
	// Contacts are the values that SaveContacts has stored.
	Contacts() ([][]byte, error)
	// SaveSightings stores records; those of devices that are gone are passed over.
	SaveSightings(ctx context.Context, records []Record) error
	// SaveContacts replaces all values by these.
	SaveContacts(ctx context.Context, values [][]byte) error
	EachLine(yield func(LineRecord) error) error
	// SaveLine stores what is known of a line in place of what was, with the event of what is told of it, nil for nothing.
	SaveLine(ctx context.Context, line LineRecord, told *LineChange) error
	// SaveHours adds to what was counted before, all of it or nothing.
	SaveHours(ctx context.Context, hours []fleet.HourCount) error
	// ForgetCounted removes what was counted so long ago that nobody is shown it.
	ForgetCounted(ctx context.Context) error
}

// builds is what the book needs to know of firmware.
type builds interface {
	// VersionOfELF is the build of the model whose ELF's SHA-256 starts with the hex prefix, "" where there is none.
	VersionOfELF(model fleet.ModelCode, prefix string) fleet.Version
	// VersionOfSketch is the build of the model whose image a sketch names by its hash, and its ELF's SHA-256 in hex, both ""
	// where there is none. The ELF of a plain image is not known.
	VersionOfSketch(model fleet.ModelCode, hash string) (v fleet.Version, elf string)
	// Rollback reports that a build's bootloader goes back to the image before; true where nobody knows.
	Rollback(model fleet.ModelCode, v fleet.Version) bool
}

// Options are what the book stands on.
type Options struct {
	Store    store
	Builds   builds
	UpWithin time.Duration // all floors are parts or multiples of it
	Stopped  time.Time     // a time that had passed for certain when the gateway worked last
	Restored time.Time     // when the catalog was restored from a backup, zero for never
	Beat     func()        // a sign of life, at least every five seconds
	Logger   *slog.Logger
	Now      func() time.Time
}

// Book is what is known of all devices. Its methods may be called at once.
type Book struct {
	options Options
	floors  floors
	epoch   time.Time               // when it was opened: the zero of its moments
	wake    chan struct{}           // holds one while something waits to be saved
	watcher atomic.Pointer[watcher] // nil: nobody

	mu      sync.Mutex // guards what follows
	unread  error      // why it could not be read
	devices map[fleet.DeviceKey]*entry
	unheard *trail   // what is known of those of whom nothing was seen; nobody writes to it
	order   []*entry // by key once sorted; may hold entries that are gone
	sorted  bool
	words   map[string]string    // texts that many devices have
	sets    map[string]*[]string // labels that many have together
	dirty   []*entry
	dark    map[string]*darkLine
	changed []lineChanged         // lines that wait to be stored
	hours   map[hourKey]hourCount // that wait to be stored

	news        []func(watcher)
	lit         map[string]moment // when lines were lit again
	latest      moment            // contact of any device
	shortest    moment            // rhythm of those that are heard
	heardLines  map[placeOf]*contacts
	heardModels map[fleet.ModelCode]*contacts
}

// moment is a time in milliseconds since the book was opened. It is made of the monotonic clock, and what was before the
// last stop lies as far before zero as it was before that stop: time without the gateway counts for nobody.
type moment int64

func (b *Book) moment(at time.Time) moment { return moment(at.Sub(b.epoch).Milliseconds()) }

func (b *Book) now() moment { return b.moment(b.options.Now()) }

// Open reads what is known, beside whatever else a start does: who asks the book waits until it has. Read tells how that ended.
func Open(o Options) *Book {
	b := &Book{
		options: o, floors: floors{o.UpWithin}, epoch: o.Now(), wake: make(chan struct{}, 1),
		devices: map[fleet.DeviceKey]*entry{}, words: map[string]string{}, sets: map[string]*[]string{}, dark: map[string]*darkLine{},
		hours: map[hourKey]hourCount{}, lit: map[string]moment{}, unheard: &trail{token: longAgo, boot: longAgo},
	}
	b.mu.Lock()
	go func() {
		defer b.mu.Unlock()
		b.unread = b.read()
	}()
	return b
}

// Read is nil once all that is known was read; what has failed is tried once more. A book that was not read is of no use.
func (b *Book) Read() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unread != nil {
		b.unread = b.read()
	}
	return b.unread
}

func (b *Book) read() error {
	o := b.options
	added := map[fleet.DeviceKey]int64{}
	err := o.Store.EachDevice(func(d fleet.Device) error {
		b.put(d)
		added[d.Key] = millis(d.CreatedAt)
		return nil
	})
	if err != nil {
		return err
	}
	err = o.Store.EachSighting(func(r Record) error {
		if e := b.devices[r.Device]; e != nil {
			b.own(e)
			e.Shown = r.Shown
			e.Restored = r.Restored || r.Saved < millis(o.Restored)
		}
		return nil
	})
	if err != nil {
		return err
	}
	packs, err := o.Store.Contacts()
	if err != nil {
		return err
	}
	for _, pack := range packs {
		for c := range unpack(pack) {
			if e := b.devices[c.device]; e != nil && c.heard+1000 > added[c.device] { // else of one that was removed
				b.own(e)
				e.resume(c)
			}
		}
	}
	b.placeInTime()
	return o.Store.EachLine(func(r LineRecord) error {
		b.resumeLine(r)
		return nil
	})
}

// placeInTime gives the devices that were heard before the start their moments: as long ago as it was at the last stop.
func (b *Book) placeInTime() {
	stopped := millis(b.options.Stopped)
	for _, e := range b.devices {
		stopped = max(stopped, e.Heard)
	}
	b.unheard.last = moment(-stopped)
	for _, e := range b.devices {
		if e.trail == b.unheard {
			continue
		}
		e.last = moment(e.Heard - stopped)
		e.token, e.boot = longAgo, longAgo
		b.settle(e)
		e.told = e.state(0, b.floors) == fleet.Silent
	}
}

// longAgo is before everything that the book has seen.
const longAgo = moment(-1 << 60)

// DeviceChanged tells that a device was added or changed.
func (b *Book) DeviceChanged(d fleet.Device) {
	b.mu.Lock()
	defer b.unlock()
	b.put(d)
	b.notePlace(b.devices[d.Key])
}

// notePlace notes where a device stands.
func (b *Book) notePlace(e *entry) {
	if b.watcher.Load() == nil {
		return
	}
	d := b.placed(e, b.now())
	model := e.model
	b.note(func(w watcher) { w.Placed(model, d) })
}

// DeviceRemoved tells that a device is gone, and with it what was seen of it.
func (b *Book) DeviceRemoved(key fleet.DeviceKey) {
	b.mu.Lock()
	defer b.unlock()
	if e := b.devices[key]; e != nil {
		e.gone = true
		b.sorted = false
		delete(b.devices, key)
		b.note(func(w watcher) { w.Removed(key) })
	}
}

// put takes over what a person said of a device. The caller holds mu, or is Open.
func (b *Book) put(d fleet.Device) {
	e := b.devices[d.Key]
	if e == nil {
		e = &entry{Device: d.Key, trail: b.unheard}
		b.devices[d.Key] = e
		b.order, b.sorted = append(b.order, e), false
	}
	e.model, e.names, e.labels = fleet.ModelCode(b.word(string(d.Model))), d.Name, b.labelSet(d.Labels)
	for _, alias := range d.Aliases {
		e.names += "\n" + string(alias)
	}
	e.named, e.place, e.barred = d.Line != "", b.word(d.Line), barred(d)
	b.settle(e)
}

// own gives an entry a place of its own for what it shows: many devices are added long before they are first heard.
func (b *Book) own(e *entry) {
	if e.trail == b.unheard {
		t := *b.unheard
		e.trail = &t
	}
}

// settle has an entry share its texts with others, and finds the line that it stands on.
func (b *Book) settle(e *entry) {
	if e.trail != b.unheard {
		e.Agent, e.Runs = b.word(e.Agent), b.word(e.Runs)
	}
	if !e.named {
		e.place = b.word(network(e.Address))
	}
}

// mostWords bounds the texts that are shared: devices can make them up.
const mostWords = 10_000

// word is s as others have it, so that a thousand devices with one name of a line hold it once.
func (b *Book) word(s string) string {
	if s == "" {
		return ""
	}
	if known, ok := b.words[s]; ok {
		return known
	}
	s = strings.Clone(s) // not a part of somebody's request
	if len(b.words) < mostWords {
		b.words[s] = s
	}
	return s
}

// labelSet are labels as others have them.
func (b *Book) labelSet(labels []string) *[]string {
	if len(labels) == 0 {
		return nil
	}
	name := strings.Join(labels, " ")
	set, known := b.sets[name]
	if !known {
		all := slices.Clone(labels)
		set = &all
		if len(b.sets) < mostWords {
			b.sets[name] = set
		}
	}
	return set
}

// labelled are its labels; they are others', too.
func (e *entry) labelled() []string {
	if e.labels == nil {
		return nil
	}
	return *e.labels
}
