package gateway

import (
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/depot"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/sighting"
)

// openBook reads what is known of the devices, and has the catalog tell of those that change.
func (g *Gateway) openBook() error {
	stopped, err := g.store.LastKnownTime()
	if err != nil {
		return err
	}
	restored, err := g.store.Restored()
	if err != nil {
		return err
	}
	if last := g.store.LastStop(); last.After(stopped) {
		stopped = last
	}
	g.book = sighting.Open(sighting.Options{
		Store: g.store, Builds: &knownBuilds{store: g.store, depot: g.depot, rollbacks: map[string]bool{}, strangers: map[elfOf]time.Time{}}, UpWithin: g.cfg.RolloutUpWithin,
		Stopped: stopped, Restored: restored, Beat: g.watchdog.Part("sightings", partPatience),
		Logger: g.logger, Now: time.Now,
	})
	g.store.WatchDevices(g.book)
	return nil
}

// knownBuilds are the builds as the sightings ask for them.
type knownBuilds struct {
	store *catalog.Catalog
	depot *depot.Depot

	mu        sync.Mutex          // guards what follows
	rollbacks map[string]bool     // by the image's hash
	strangers map[elfOf]time.Time // when the catalog was asked
	sketches  map[elfOf]sketch    // by the hash of an image
}

// sketch is what was found of an image's hash, which a device tells with each request.
type sketch struct {
	version fleet.Version
	elf     string
	at      time.Time
}

// elfOf is an ELF that a device of a model names, and that no build has. It names it with each request.
type elfOf struct {
	model  fleet.ModelCode
	prefix string
}

// Bounds of what is remembered.
const (
	mostRollbacks = 1000 // more builds than a gateway has
	mostStrangers = 10_000
	strangerFor   = time.Minute // a build that comes meanwhile is found a minute later
)

// VersionOfELF is the build of a model whose ELF's hash begins so.
func (k *knownBuilds) VersionOfELF(model fleet.ModelCode, prefix string) fleet.Version {
	elf := elfOf{model, prefix}
	if k.stranger(elf) {
		return ""
	}
	builds, err := k.store.BuildsByELF(prefix)
	if err != nil {
		return ""
	}
	for _, b := range builds {
		if b.Model == model {
			return b.Version
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.strangers) >= mostStrangers {
		clear(k.strangers)
	}
	k.strangers[elf] = time.Now()
	return ""
}

// VersionOfSketch is the build of a model whose image a sketch names by its hash.
func (k *knownBuilds) VersionOfSketch(model fleet.ModelCode, hash string) (fleet.Version, string) {
	image := elfOf{model, hash}
	k.mu.Lock()
	s, known := k.sketches[image]
	k.mu.Unlock()
	if known && time.Since(s.at) < strangerFor {
		return s.version, s.elf
	}
	s, err := k.findSketch(model, hash)
	if err != nil {
		return "", ""
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sketches == nil || len(k.sketches) >= mostStrangers {
		k.sketches = map[elfOf]sketch{}
	}
	k.sketches[image] = s
	return s.version, s.elf
}

func (k *knownBuilds) findSketch(model fleet.ModelCode, hash string) (sketch, error) {
	found := sketch{at: time.Now()}
	builds, err := k.store.Builds(model)
	if err != nil {
		return found, err
	}
	for _, b := range builds {
		if b.Sketch(hash) {
			found.version, found.elf = b.Version, b.ELFSHA256
		}
	}
	m, err := k.store.Model(model)
	if m.Sketch(hash) {
		found.version = m.FirmwareVersion
	}
	return found, err
}

// stranger reports that no build had the ELF a moment ago.
func (k *knownBuilds) stranger(elf elfOf) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	at, known := k.strangers[elf]
	return known && time.Since(at) < strangerFor
}

// Rollback looks into a build's bundle, once. Where it cannot be read, rollback may be on.
func (k *knownBuilds) Rollback(model fleet.ModelCode, v fleet.Version) bool {
	b, err := k.store.Build(model, v)
	if err != nil {
		return true
	}
	k.mu.Lock()
	on, known := k.rollbacks[b.ImageSHA256]
	k.mu.Unlock()
	if known {
		return on
	}
	if traits, err := k.depot.Traits(model, v); err != nil {
		on = true
	} else {
		on = traits.Rollback
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.rollbacks) >= mostRollbacks {
		clear(k.rollbacks)
	}
	k.rollbacks[b.ImageSHA256] = on
	return on
}

// closeBook saves what was seen last.
func (g *Gateway) closeBook() error {
	if g.book == nil {
		return nil
	}
	err := g.book.Close()
	if fleet.Told(err) {
		g.logger.Warn("contacts not saved: the disk takes nothing")
		return nil
	}
	return err
}
