package gateway

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/mqtt"
)

// openBroker makes the connection to the plant's broker, where the settings name one.
func (g *Gateway) openBroker() (err error) {
	if g.cfg.MQTTURL == "" {
		return nil
	}
	g.broker, err = mqtt.New(mqtt.Options{
		URL: g.cfg.MQTTURL, User: g.cfg.MQTTUser, PasswordFile: g.cfg.MQTTPasswordFile, CA: g.cfg.MQTTCA, ClientCert: g.cfg.MQTTClientCert,
		Prefix: g.cfg.MQTTPrefix, NudgesPerMinute: g.cfg.MQTTNudges, Devices: g.store, Seen: g.book.Seen, Logger: g.logger, Now: time.Now,
	})
	return err
}

// nudger takes a nudge to its device: the broker's connection.
type nudger interface {
	Nudge(ctx context.Context, d fleet.Device, n mqtt.Nudge) error
}

// nudges sends what people ask of devices to the broker, and tells of it.
type nudges struct {
	broker nudger
	store  *catalog.Catalog
}

// Nudge asks a device to restart and ask.
func (n *nudges) Nudge(ctx context.Context, d fleet.Device, what string) error {
	err := n.broker.Nudge(ctx, d, mqtt.Nudge(what))
	var paced *mqtt.PacedError
	switch {
	case errors.As(err, &paced):
		e := endpoint.Errorf(http.StatusTooManyRequests, "paced", "%v", err)
		e.Header = http.Header{"Retry-After": {strconv.Itoa(1 + int(paced.After/time.Second))}}
		return e
	case errors.Is(err, mqtt.ErrDown):
		return endpoint.Errorf(http.StatusServiceUnavailable, "broker_down", "%v", err)
	case err != nil:
		return err
	}
	// It is sent: whoever has stopped waiting has done it, too, and an answer that says otherwise makes it restart once more.
	err = n.store.Record(context.WithoutCancel(ctx), event.DeviceNudged, d.Key.ObjectOf(), map[string]any{"for": what})
	if fleet.Told(err) { // of which the gateway tells by itself
		return nil
	}
	return err
}
