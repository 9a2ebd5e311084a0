package event

import "sync"

// Feed wakes those who wait for the next event. It carries no events: who is woken reads on from where they were, so that
// a slow reader holds up nobody and loses nothing. The zero one has nobody.
type Feed struct {
	mu       sync.Mutex // guards what follows
	watchers map[chan struct{}]struct{}
	ended    bool
}

// Watch returns what is sent to after each commit with events, at least once after the last of them, and closed at the
// end. stop gives it back.
func (f *Feed) Watch() (woken <-chan struct{}, stop func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := make(chan struct{}, 1)
	if f.ended {
		close(w)
		return w, func() {}
	}
	if f.watchers == nil {
		f.watchers = map[chan struct{}]struct{}{}
	}
	f.watchers[w] = struct{}{}
	return w, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers, w)
	}
}

// Wake wakes everybody who watches.
func (f *Feed) Wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watchers {
		select {
		case w <- struct{}{}:
		default: // it is woken already, and has not looked yet
		}
	}
}

// End ends all watching, now and later.
func (f *Feed) End() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	for w := range f.watchers {
		close(w)
	}
	f.watchers = nil
}
