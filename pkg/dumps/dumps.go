// Package dumps keeps core dumps in one directory a device, each as a pair: the bytes as they came (.dmp) and what is
// known of them (.json, the sidecar). It promises that a dump which [Store.Write] has returned for survives a power cut,
// that no half pair is ever visible, and that names of one device only grow.
//
// It looks at no byte of a dump, takes no path from a device (the directory is the [fleet.DeviceKey] of its token) and
// treats the catalog as an index that may be behind: what lies on disk is the truth.
package dumps

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Index is what the store calls in the catalog. Calls come after the files are on disk. One that is lost in a crash is
// repeated by the recovery of the next start.
type Index interface {
	RecordDumpLater(fleet.Dump)
	RecordDumps(context.Context, []fleet.Dump) error
	RemoveDump(context.Context, fleet.DeviceKey, fleet.DumpName) error
	// EachDump calls yield for every dump that the index knows.
	EachDump(yield func(fleet.Dump) error) error
	// EndsOfCrash reports that the dump is the first, or the last, of those that are left of its fingerprint. A dump without
	// one is neither.
	EndsOfCrash(fleet.DeviceKey, fleet.DumpName) (first, last bool, err error)
}

// Options are the folder and the limits of a store.
type Options struct {
	Dir           string
	MaxBytes      int64                   // of one dump
	KeepPerDevice int                     // pairs
	MaxUse        func(total int64) int64 // bytes that all dumps may take, of a file system of so many
	KeepFree      func(total int64) int64 // bytes that rotation leaves free on it
	Reserve       int64                   // bytes below which an upload is refused
	Space         func() (free, total int64, err error)
	Index         Index
	Logger        *slog.Logger
	Now           func() time.Time
	CleanStop     time.Time // of the last run; zero: it did not stop cleanly
}

// Store is the dump directory. Its methods may be called at once.
type Store struct {
	options Options

	mu      sync.Mutex // guards what follows
	devices map[fleet.DeviceKey]*shelf
	bytes   int64             // of all pairs
	short   string            // why a target of rotation cannot be reached, "" when it can
	damaged int               // dumps that were found damaged since the start
	unread  map[string]string // path to why a dump cannot be read
	until   time.Time         // so long nobody looks again whether it can
	pending int64             // bytes of uploads that are being written

	folder durable.Folder // shares the syncs of Dir
	guard  durable.Guard

	reconciling sync.Mutex // one Reconcile at a time; nobody else waits for it
}

// shelf is one device's directory in memory: 24 bytes a pair, so that 10,000 dumps cost nothing to speak of.
type shelf struct {
	pairs    []pair                   // oldest first
	last     int64                    // the latest name given out, in microseconds since 1970
	arriving map[uint64]chan struct{} // hashes of uploads that are being stored
	moving   map[int64]bool           // names whose files come or go, or are looked at
	folder   durable.Folder           // shares the syncs of the directory
}

type pair struct {
	micros int64  // since 1970, the name
	bytes  int64  // of dump and sidecar
	sum    uint64 // the beginning of the dump's SHA-256; 0 where it is not known
}

func (p pair) name() fleet.DumpName { return fleet.NewDumpName(time.UnixMicro(p.micros)) }

// quarantine is no device key, so that no device can have it as its directory.
const quarantine = "quarantine"

const (
	dumpSuffix    = ".dmp"
	sidecarSuffix = ".json"
	reportSuffix  = ".report.gz"
)

// Open makes the folder and reads which pairs lie in it; see recover.go for what it mends.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{options: o, devices: map[fleet.DeviceKey]*shelf{}}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, err
	}
	if err := s.recover(ctx); err != nil {
		return nil, fmt.Errorf("recover the dumps in %s: %w", o.Dir, err)
	}
	return s, nil
}

func (s *Store) dir(key fleet.DeviceKey) string { return filepath.Join(s.options.Dir, string(key)) }

// Path is where a dump's bytes lie, or would.
func (s *Store) Path(key fleet.DeviceKey, name fleet.DumpName) string {
	return Path(s.options.Dir, key, name)
}

// Path is where a dump's bytes lie under dir, or would, for those who know the folder and have no store.
func Path(dir string, key fleet.DeviceKey, name fleet.DumpName) string {
	return filepath.Join(dir, string(key), string(name)+dumpSuffix)
}

// OpenDump opens a dump's bytes for reading.
func (s *Store) OpenDump(key fleet.DeviceKey, name fleet.DumpName) (*os.File, error) {
	f, err := os.Open(s.Path(key, name))
	if os.IsNotExist(err) {
		return nil, fleet.Unknown("dump %s of device %s is not here", name, key)
	}
	return f, err
}

// Usage is how many bytes all pairs take.
func (s *Store) Usage() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// Trouble says which target of rotation cannot be reached, that dumps were found damaged since the start, and that some
// cannot be read; "" is none.
func (s *Store) Trouble() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var said []string
	if s.damaged > 0 {
		said = append(said, fmt.Sprintf("%d dumps were found damaged, and lie in %s: no other copy is here", s.damaged, filepath.Join(s.options.Dir, quarantine)))
	}
	if len(s.unread) > 0 {
		first := slices.Min(slices.Collect(maps.Keys(s.unread)))
		said = append(said, fmt.Sprintf("%d dumps cannot be read, and are left where they are: %s", len(s.unread), s.unread[first]))
	}
	if s.short != "" {
		said = append(said, s.short)
	}
	return strings.Join(said, "; ")
}

// missOne counts a dump that was stored and is not whole any more.
func (s *Store) missOne() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.damaged++
}

// shelfOf is the device's directory in memory. The caller holds mu.
func (s *Store) shelfOf(key fleet.DeviceKey) *shelf {
	sh := s.devices[key]
	if sh == nil {
		sh = &shelf{}
		s.devices[key] = sh
	}
	return sh
}
