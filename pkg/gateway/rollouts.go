package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/depot"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/rollout"
)

// openRollouts reads the rollouts, and has the book tell them of devices.
func (g *Gateway) openRollouts() (err error) {
	g.turns = make(chan turn, mostTurns)
	g.rollouts, err = rollout.Open(rollout.Options{
		Store: g.store, Book: g.book, Firmware: rolledFirmware{g.depot, g.store}, Rate: g.crashRate, Hold: g.holdsRollouts,
		Halted: func(code fleet.ModelCode, v fleet.Version) {
			if g.devices != nil {
				g.devices.Cut(code, v)
			}
		},
		Nudge: g.nudgeTurns(), Plan: g.cfg.RolloutPlan, Alpha: g.cfg.RolloutAlpha, Beta: g.cfg.RolloutBeta, Tolerated: g.cfg.RolloutToleratedLoss,
		UpWithin: g.cfg.RolloutUpWithin, DecideWithin: g.cfg.RolloutDecideWithin,
		Beat: g.watchdog.Part("rollouts", partPatience), Logger: g.logger, Now: time.Now,
	})
	if err != nil {
		return err
	}
	g.book.Watch(g.rollouts)
	return nil
}

// rolledFirmware is the depot as rollouts see it.
type rolledFirmware struct {
	*depot.Depot
	store *catalog.Catalog
}

// holdsRollouts says why nothing may be offered at this moment.
func (g *Gateway) holdsRollouts() string {
	free, _, err := SpaceOf(g.cfg.CatalogDir)()
	switch {
	case err == nil && free < Reserve:
		return "the disk is below its reserve"
	case !g.clock.believed():
		return "the clock is not believed"
	case !g.recovery.isOver():
		return "the gateway has just started"
	}
	return ""
}

// daysOfRate are those of which the base's rate of crashes is taken.
const daysOfRate = 7

// crashRate is how often a device that runs a version crashes a day, 0 where nobody knows.
func (g *Gateway) crashRate(code fleet.ModelCode, v fleet.Version) float64 {
	all, err := g.store.Counters(code)
	if err != nil {
		return 0
	}
	now := time.Now()
	for _, one := range all {
		if one.Version != string(v) {
			continue
		}
		if r := crash.RateOf(one.Kept(now).LastDays(daysOfRate, now), 0); r.PerDay != nil && r.Crashes > 0 {
			return *r.PerDay
		}
	}
	return 0
}

// crashCame tells the metrics and the rollouts of a crash that was counted.
func (g *Gateway) crashCame(c crash.Crash, o crash.Outcome) {
	g.metrics.crashCame(c, o.News)
	if c.Grade == crash.Exact {
		g.rollouts.Crashed(c.Model, c.Device, c.Version, o.Group.Fingerprint, c.TopFrame, o.Group.FirstSeen)
	}
}

// holdsBuild says why a build that comes in is not offered to all.
func (g *Gateway) holdsBuild(m fleet.Model) string {
	if why := g.rollouts.Standing(m.Code); why != "" {
		return why
	}
	if g.cfg.FirmwareRollout && m.FirmwareVersion != "" {
		return "firmware.publish is rollout: it is brought in waves"
	}
	return ""
}

// rollOut begins the rollout of a build that came in, where the settings say so.
func (g *Gateway) rollOut(ctx context.Context, b fleet.Build) {
	if !g.cfg.FirmwareRollout || b.Origin == fleet.Found {
		return
	}
	m, err := g.store.Model(b.Model)
	if err != nil || m.FirmwareVersion == "" || m.FirmwareVersion == b.Version || g.rollouts.Standing(b.Model) != "" {
		return
	}
	_, err = g.rollouts.Start(event.ByItself(ctx), fleet.RolloutOrder{Model: b.Model, Version: b.Version, By: "firmware.publish"})
	if err != nil {
		g.logger.Warn("rollout not started", "model", b.Model, "version", b.Version, "reason", err)
	}
}

// turn is devices that are to restart and ask, as it is their turn.
type turn struct {
	model   fleet.ModelCode
	devices []fleet.DeviceKey
}

// mostTurns wait for the broker; a device that was passed over is told again.
const mostTurns = 16

// nudgeTurns is nil where there is no broker.
func (g *Gateway) nudgeTurns() func(fleet.ModelCode, []fleet.DeviceKey) {
	if g.broker == nil {
		return nil
	}
	return func(code fleet.ModelCode, devices []fleet.DeviceKey) {
		select {
		case g.turns <- turn{code, devices}:
		default:
		}
	}
}

// nudgeAll tells devices by the broker, as fast as its pace lets it, until ctx ends.
func (g *Gateway) nudgeAll(ctx context.Context) error {
	n := &nudges{g.broker, g.store}
	for {
		select {
		case <-ctx.Done():
			return nil
		case t := <-g.turns:
			for _, key := range t.devices {
				d, err := g.store.Device(key)
				if err == nil {
					err = n.Nudge(event.ByItself(ctx), d, "firmware")
				}
				if err != nil && ctx.Err() == nil && !errors.Is(err, fleet.ErrUnknown) {
					g.logger.Debug("device not nudged", "device", key, "error", err)
				}
			}
		}
	}
}
