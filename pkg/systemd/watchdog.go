package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Watchdog tells systemd that the gateway lives while every one of its parts does. A part that does not beat in time is
// wedged: systemd is then told nothing, and ends the process with the stacks of all goroutines in the journal.
type Watchdog struct {
	logger *slog.Logger

	mu    sync.Mutex // guards parts
	parts []*part
}

type part struct {
	name   string
	within time.Duration
	last   time.Time
	told   bool
}

// NewWatchdog watches nothing yet.
func NewWatchdog(logger *slog.Logger) *Watchdog {
	return &Watchdog{logger: logger}
}

// Part adds a part that has to beat within a time, counted from when Run starts or from its last beat.
func (w *Watchdog) Part(name string, within time.Duration) (beat func()) {
	p := &part{name: name, within: within, last: time.Now()}
	w.mu.Lock()
	w.parts = append(w.parts, p)
	w.mu.Unlock()
	return func() {
		w.mu.Lock()
		p.last, p.told = time.Now(), false
		w.mu.Unlock()
	}
}

// Run feeds systemd's watchdog until ctx ends. It returns at once where none is set.
func (w *Watchdog) Run(ctx context.Context) error {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("systemd's watchdog: %w", err)
	}
	if interval == 0 {
		return nil
	}
	w.begin()
	tick := time.NewTicker(interval / 3) // two may get lost
	defer tick.Stop()
	for {
		if w.alive() {
			if err := notify(daemon.SdNotifyWatchdog); err != nil { // the next one may get through
				w.logger.Warn("watchdog not notified", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// begin restarts every part's clock: parts are registered before recovery, and some cannot beat until it is over.
func (w *Watchdog) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.parts {
		p.last = time.Now()
	}
}

// alive reports that every part has beaten in time, and says once which one has not.
func (w *Watchdog) alive() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	alive := true
	for _, p := range w.parts {
		silent := time.Since(p.last)
		if silent <= p.within {
			continue
		}
		alive = false
		if !p.told {
			p.told = true
			w.logger.Error("part is stuck, the watchdog is not notified", "part", p.name, "silent_for", silent.Round(time.Second))
		}
	}
	return alive
}
