package simulate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Player plays a plan.
type Player struct {
	plan  *Plan
	begun time.Time
	tally *tally
}

// NewPlayer makes a player; the plan is not changed afterwards.
func NewPlayer(p Plan) *Player {
	return &Player{plan: &p, begun: time.Now(), tally: newTally(p.Devices, p.Runs)}
}

// Run plays until the plan's time is over or ctx ends.
func (p *Player) Run(ctx context.Context) {
	if p.plan.For > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithCancel(ctx) // with a deadline a dial would time out just before ctx says that it ended
		defer stop()
		defer time.AfterFunc(p.scaled(p.plan.For), stop).Stop()
	}
	var playing sync.WaitGroup
	for i, d := range p.plan.Devices {
		playing.Go(func() { p.play(ctx, i, newDevice(p.plan, d)) })
	}
	playing.Wait()
	<-ctx.Done() // a fleet whose devices have all fallen silent goes on
}

// scaled is a time of the fleet's on the clock.
func (p *Player) scaled(t time.Duration) time.Duration {
	return time.Duration(float64(t) / p.plan.Speed)
}

func (p *Player) play(ctx context.Context, i int, d *device) {
	rest, last := d.start(), answer{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(p.scaled(rest)):
		}
		s := d.next(time.Now(), last)
		p.tally.note(i, d)
		if s.end {
			return
		}
		rest, last = s.rest, answer{}
		if s.ask == nil {
			continue
		}
		begun := time.Now()
		got, kind, err := p.exchange(ctx, s.ask)
		if ctx.Err() != nil { // cut off by us
			return
		}
		if err != nil {
			err = fmt.Errorf("%s of %s (%s): %w", kind, d.Key, d.Kind, err)
		}
		got.err = err
		last = got
		p.tally.request(i, kind, time.Since(begun), err)
	}
}

// exchange makes one request on a connection of its own and says which kind it has become.
func (p *Player) exchange(ctx context.Context, r *request) (answer, Request, error) {
	c, err := dial(ctx, p.plan.Gateway, p.plan.TLS)
	if err != nil {
		return answer{}, r.kind.assumed(), err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	switch {
	case r.ranges:
		return c.pieces(r)
	case r.kind == Firmware:
		return c.firmware(r)
	}
	got, err := c.simple(r)
	return got, r.kind, err
}

// assumed is what a request for firmware counts as that has not come so far.
func (r Request) assumed() Request {
	if r == Firmware {
		return Check
	}
	return r
}

// simple is a request whose answer is read whole.
func (c *conn) simple(r *request) (got answer, err error) {
	resp, err := c.ask(r, r.method) //nolint:bodyclose // it is read to its end, and the connection is closed
	if err != nil {
		return got, err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		return got, refused(resp)
	}
	b, err := body(resp)
	if err != nil {
		return got, err
	}
	switch r.kind {
	case Token:
		got.token, got.expires, err = parseToken(b, time.Now())
	case Version:
		var v struct {
			Version *string `json:"firmware_version"` // null: none yet
		}
		if err = json.Unmarshal(b, &v); err == nil && v.Version != nil {
			got.version = *v.Version
		}
	case Config:
		var v struct {
			Name   *string `json:"deviceName"`
			Entity *string `json:"deviceEntityId"`
		}
		if err = json.Unmarshal(b, &v); err == nil && (v.Name == nil || v.Entity == nil) {
			err = fmt.Errorf("a configuration without deviceName or deviceEntityId, at which esp-mdm aborts")
		}
	}
	return got, err
}
