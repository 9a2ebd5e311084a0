package durable

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Guard is a store's trust in its disk. After a sync that failed nothing more is to be written: what the disk holds is
// unknown, and a second sync of the same file may say that all is well. Its zero value trusts.
type Guard struct {
	mu     sync.Mutex // guards failed
	failed error
}

// Failed is the first sync that failed, nil while the disk is trusted.
func (g *Guard) Failed() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failed
}

// Note remembers a sync that failed, and reports that err is one.
func (g *Guard) Note(err error) bool {
	var sync *SyncError
	if !errors.As(err, &sync) {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed == nil {
		g.failed = err
	}
	return true
}

// Mend trusts the disk again once a new file in dir goes all the way, which it tries every second until ctx ends.
func (g *Guard) Mend(ctx context.Context, dir string) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if g.Failed() == nil || Probe(dir) != nil {
			continue
		}
		g.mu.Lock()
		g.failed = nil
		g.mu.Unlock()
	}
}
