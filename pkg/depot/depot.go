// Package depot is the assets directory: every accepted firmware, as it was uploaded and as it is served.
//
// [Depot.Accept] runs a firmware's whole way: it lands the bytes under a temporary name, has the bundle or the image
// checked, makes the files durable, records the build, and last of all replaces the flat file. A crash anywhere leaves
// whole files that the next start records ([Depot.Recover]), never a record without bytes.
//
// The depot trusts no upload: what a path is made of was parsed by package fleet, and it takes nothing for checked that
// it has not read from its own copy.
package depot

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// recorder is what the depot needs of the catalog.
type recorder interface {
	Model(fleet.ModelCode) (fleet.Model, error)
	Models() ([]fleet.Model, error)
	AddModel(context.Context, fleet.Model) error
	Build(fleet.ModelCode, fleet.Version) (fleet.Build, error)
	Builds(fleet.ModelCode) ([]fleet.Build, error)
	// RecordBuild stores the build, pins the model's chip and project where they are open, and publishes it when asked
	// to, all in one transaction.
	RecordBuild(ctx context.Context, b fleet.Build, publish bool) (fleet.Build, fleet.Model, error)
	// PublishVersion sets the model's version.
	PublishVersion(context.Context, fleet.ModelCode, fleet.Version) (fleet.Model, error)
	// PublishImage sets the version and the hashes of a plain image, and pins chip and project where they are open.
	PublishImage(context.Context, fleet.Build) (fleet.Model, error)
	// NoteSums adds to a build, or to a plain image, what devices know it by. One that is another image by now is left alone.
	NoteSums(context.Context, fleet.Build) error
	// RemoveModel says ErrTaken where the model has devices or builds.
	RemoveModel(context.Context, fleet.ModelCode) error
	RemoveBuild(context.Context, fleet.ModelCode, fleet.Version) error
	// NeedsBuild reports that a dump waits to be decoded with this build, that a device is pinned to it, or that a rollout
	// needs it.
	NeedsBuild(fleet.Build) (bool, error)
	// MayReplaceBuild says ErrTaken of a version that an unfinished rollout has.
	MayReplaceBuild(fleet.ModelCode, fleet.Version) error
}

// waker is told of each new build: dumps may wait for its ELF.
type waker interface {
	BuildArrived(context.Context, fleet.Build) error
}

// Options are the folder, the limits and the neighbours of a depot.
type Options struct {
	Dir          string
	MaxBytes     int64 // of one upload
	KeepVersions int   // builds of a model
	ELFCache     int64 // bytes of inflated ELFs
	Manual       bool  // accepted builds are offered only after Publish
	// Holds says why a build that comes in is not published to a model: that a rollout is to bring it, or another is under way.
	// "" for nothing; nil: nothing ever holds.
	Holds        func(fleet.Model) string
	CreateModels bool  // a dropped bundle of an unknown model makes it
	Reserve      int64 // bytes that stay free
	Space        func() (free, total int64, err error)
	Recorder     recorder
	Waker        waker
	Logger       *slog.Logger
	Now          func() time.Time
}

// Depot is the assets directory. Its methods may be called at once; two that change one model wait for each other.
type Depot struct {
	options Options
	locks   locks
	labels  labels
	usage   usage
	elves   elfCache
	damage  damage
	guard   durable.Guard
	untidy  atomic.Bool // what a kill has left lies there: the disk took nothing at the start
}

// New returns the depot over a folder; Recover has to run before it is used.
func New(o Options) *Depot {
	return &Depot{options: o}
}

// The names below the folder.
func (d *Depot) flatPath(code fleet.ModelCode) string {
	return filepath.Join(d.options.Dir, "firmware-"+string(code)+imageSuffix)
}

func (d *Depot) modelDir(code fleet.ModelCode) string {
	return filepath.Join(d.options.Dir, string(code))
}

func (d *Depot) path(code fleet.ModelCode, v fleet.Version, suffix string) string {
	return filepath.Join(d.modelDir(code), "firmware-"+string(v)+suffix)
}

const (
	bundleSuffix = ".zip"
	imageSuffix  = ".bin"
	elfSuffix    = ".elf"
)

// locks has one lock a model.
type locks struct {
	mu     sync.Mutex // guards models
	models map[fleet.ModelCode]*sync.Mutex
}

// lock waits for the model and returns what frees it.
func (l *locks) lock(code fleet.ModelCode) (unlock func()) {
	l.mu.Lock()
	if l.models == nil {
		l.models = map[fleet.ModelCode]*sync.Mutex{}
	}
	m := l.models[code]
	if m == nil {
		m = &sync.Mutex{}
		l.models[code] = m
	}
	l.mu.Unlock()
	m.Lock()
	return m.Unlock
}
