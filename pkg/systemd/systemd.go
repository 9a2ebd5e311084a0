// Package systemd speaks with the service manager: ready, stopping, the watchdog, sockets that it holds, and the
// journal. Without a service manager every call is a no-op.
package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// Ready says that the gateway serves.
func Ready() error { return notify(daemon.SdNotifyReady) }

// Stopping says that it is about to end.
func Stopping() error { return notify(daemon.SdNotifyStopping) }

func notify(state string) error {
	if _, err := daemon.SdNotify(false, state); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}

// Listeners are the sockets that systemd holds for the gateway, by the FileDescriptorName of their unit.
func Listeners() (map[string][]net.Listener, error) {
	return activation.ListenersWithNames()
}

// Watchdog tells systemd that the gateway lives while every one of its parts does. A part that does not beat in time is
// wedged: systemd is then told nothing, and ends the process with the stacks of all goroutines in the journal.
type Watchdog struct {
	logger *slog.Logger
	now    func() time.Time

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
	return &Watchdog{logger: logger, now: time.Now}
}

// Part adds a part that has to beat within a time; the first beat counts from now.
func (w *Watchdog) Part(name string, within time.Duration) (beat func()) {
	p := &part{name: name, within: within, last: w.now()}
	w.mu.Lock()
	w.parts = append(w.parts, p)
	w.mu.Unlock()
	return func() {
		now := w.now()
		w.mu.Lock()
		p.last, p.told = now, false
		w.mu.Unlock()
	}
}

// Run feeds systemd's watchdog until ctx ends. It returns at once where none is set.
func (w *Watchdog) Run(ctx context.Context) error {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return err
	}
	tick := time.NewTicker(interval / 3)
	defer tick.Stop()
	for {
		if w.alive() {
			if err := notify(daemon.SdNotifyWatchdog); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// alive reports that every part has beaten in time, and says once which one has not.
func (w *Watchdog) alive() bool {
	now := w.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	alive := true
	for _, p := range w.parts {
		if late := now.Sub(p.last); late > p.within {
			alive = false
			if !p.told {
				p.told = true
				w.logger.Error("part is wedged, the watchdog is not fed", "part", p.name, "silent_for", late.Round(time.Second))
			}
		}
	}
	return alive
}
