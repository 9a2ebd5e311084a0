package rollout

import (
	"context"
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Rollouts are those of all models. Its methods may be called at once. None holds the lock while it writes.
type Rollouts struct {
	options Options
	wake    chan struct{}
	playing chan struct{} // holds one while a forecast is played: it takes all processors

	mu     sync.Mutex // guards what follows, and all courses
	halts  []halt     // that were not told of yet
	models map[fleet.ModelCode]*progress
	acting map[fleet.ModelCode]chan struct{} // something is being written of the model's rollouts; closed after it
}

// progress is what goes on with one model.
type progress struct {
	course  *course // the newest; nil: there was none
	window  *window
	from    time.Time                         // when the course was begun or read
	before  time.Duration                     // that had elapsed then
	older   []fleet.Rollout                   // by number
	sticks  map[fleet.DeviceKey]fleet.Version // of older ones, while the published version is their base
	based   fleet.Version                     // that version
	unstuck []Change                          // of older ones, that wait to be saved: they stick to nobody any more
	freed   map[fleet.DeviceKey]bool          // devices that stick to none of the older ones any more, which waits to be saved
}

func (p *progress) elapsed(now time.Time) time.Duration { return p.before + now.Sub(p.from) }

func (rs *Rollouts) progressOf(code fleet.ModelCode) *progress {
	p := rs.models[code]
	if p == nil {
		p = &progress{sticks: map[fleet.DeviceKey]fleet.Version{}}
		rs.models[code] = p
	}
	return p
}

// Run lets time pass for all rollouts until ctx ends, and writes down what becomes of them.
func (rs *Rollouts) Run(ctx context.Context) error {
	every := max(min(rs.options.UpWithin/60, 5*time.Second), 20*time.Millisecond)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		rs.options.Beat()
		rs.Tick(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-rs.wake:
		}
	}
}

// Close writes down what waits, after Run.
func (rs *Rollouts) Close() { rs.save(context.Background()) }

// Tick is one round of Run.
func (rs *Rollouts) Tick(ctx context.Context) {
	rs.tellHalts()
	rs.startDrafts()
	hold := rs.options.Hold()
	quiet, rhythm := rs.options.Book.QuietFor()
	now := rs.options.Now()
	offered := rs.offered(ctx)
	rs.mu.Lock()
	var finishing []*progress
	for code, p := range rs.models {
		c := p.course
		v, known := offered[code]
		if known {
			rs.published(p, v)
		}
		if c == nil {
			continue
		}
		if known && v == c.Version && c.brings() && rs.acting[code] == nil { // a kill came between that and the end, or somebody has published it
			c.finishing = true
		}
		c.wall = now.UTC()
		c.hold, c.outside = hold, !p.window.open(now)
		c.blind = rhythm > 0 && quiet > max(2*c.upWithin/3, 3*rhythm) // of who asks at boots only nobody can say that it is silent
		c.tick(p.elapsed(now))
		if c.finishing {
			finishing = append(finishing, p)
		}
	}
	rs.mu.Unlock()
	rs.tellHalts()
	for _, p := range finishing {
		rs.finishByItself(ctx, p)
	}
	rs.save(ctx)
	rs.nudge()
}

// soon has Run look at once.
func (rs *Rollouts) soon() {
	select {
	case rs.wake <- struct{}{}:
	default:
	}
}
