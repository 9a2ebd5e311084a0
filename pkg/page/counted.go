package page

import (
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// What a group was counted by the hour is the sum over all of its devices. Of a group on many it is made once a minute at
// most, for all who look: the plot is by the hour.
const (
	fewDevices  = 300
	keptCounted = time.Minute
	mostCounted = 32 // groups
)

// counted are such sums.
type counted struct {
	mu  sync.Mutex // guards what follows
	all map[string]*sum
}

type sum struct {
	mu     sync.Mutex // guards what follows: who comes while it is made waits for it
	made   time.Time
	series []crash.VersionSeries
}

func (c *counted) get(group string, make func(string) ([]crash.VersionSeries, error)) ([]crash.VersionSeries, error) {
	c.mu.Lock()
	one := c.all[group]
	if one == nil {
		if c.all == nil || len(c.all) >= mostCounted {
			c.all = map[string]*sum{}
		}
		one = &sum{}
		c.all[group] = one
	}
	c.mu.Unlock()
	one.mu.Lock()
	defer one.mu.Unlock()
	if time.Since(one.made) < keptCounted {
		return one.series, nil
	}
	series, err := make(group)
	if err == nil {
		one.series, one.made = series, time.Now()
	}
	return series, err
}

// groupCounters are what was counted of a group's versions.
func (p *Page) groupCounters(g crash.Group) ([]crash.VersionSeries, error) {
	if g.Devices <= fewDevices {
		return p.Crashes.GroupCounters(g.Fingerprint)
	}
	return p.counted.get(g.Fingerprint, p.Crashes.GroupCounters)
}

// decoded is how many dumps were read with each version of a model. Where that takes long, as of thousands of crashes, it is
// counted again after twenty times as long.
type decoded struct {
	mu  sync.Mutex // guards what follows: who comes while it is made waits for it
	all map[fleet.ModelCode]decodedOf
}

type decodedOf struct {
	dumps map[fleet.Version]int
	made  time.Time
	took  time.Duration
}

const quickCount = 20 * time.Millisecond

func (p *Page) decodedDumps(code fleet.ModelCode) (map[fleet.Version]int, error) {
	k := &p.decoded
	k.mu.Lock()
	defer k.mu.Unlock()
	if one, known := k.all[code]; known && one.took > quickCount && time.Since(one.made) < 20*one.took {
		return one.dumps, nil
	}
	began := time.Now()
	dumps, err := p.Stock.DecodedDumps(code)
	if err != nil {
		return nil, err
	}
	if k.all == nil {
		k.all = map[fleet.ModelCode]decodedOf{}
	}
	k.all[code] = decodedOf{dumps, time.Now(), time.Since(began)}
	return dumps, nil
}
