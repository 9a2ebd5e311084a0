// Package mqtt listens to the plant's broker, where there is one. Firmware that polls nothing tells there what it runs and
// whether it is online; and a nudge, one message, makes it restart and ask.
//
// Slipway never needs the broker: one that is down costs what would be heard through it. It trusts nobody who publishes
// there. What a message says of a device is taken for the device's own word, as a request header is, and whose message it
// is, for that of the name in it.
package mqtt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"golang.org/x/time/rate"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Options are the broker and who wants to know.
type Options struct {
	URL             string // mqtt://host:port or mqtts://host:port
	User            string
	PasswordFile    string
	CA              string // PEM file; "" for the system's
	ClientCert      string // PEM file with a certificate and its key; "" for none
	Prefix          string // of the firmware's topics
	NudgesPerMinute int
	Devices         devices
	Seen            func(fleet.Seen)
	Logger          *slog.Logger
	Now             func() time.Time
	reconnect       time.Duration // between attempts; 0 is the longest pause. Tests make it short
}

const (
	connectPatience = 10 * time.Second
	longestPause    = time.Minute // between attempts to reach the broker
	farewell        = 250 * time.Millisecond
	atMostOnce      = 0 // brokers drop what is kept beyond some thousand messages to a subscriber that acknowledges each
	atLeastOnce     = 1
)

// Broker is the connection. Its methods may be called at once.
type Broker struct {
	options Options
	whose   *whose
	client  paho.Client
	pace    *rate.Limiter

	mu   sync.Mutex // guards what follows
	down time.Time  // since when it is not reached, zero while it is
	last string     // why
	told bool       // the journal knows that it is down
}

// New reads the files that the settings name. It does not connect.
func New(o Options) (*Broker, error) {
	b := &Broker{options: o, whose: &whose{devices: o.Devices, now: o.Now}, down: o.Now(), last: "not tried yet"}
	b.pace = rate.NewLimiter(rate.Limit(float64(o.NudgesPerMinute)/60), 1)
	c := paho.NewClientOptions().AddBroker(o.URL).SetClientID("slipway-" + strings.ToLower(string(fleet.NewDeviceKey())))
	c.SetUsername(o.User).SetConnectTimeout(connectPatience).SetCleanSession(true).SetOrderMatters(true)
	c.SetAutoReconnect(true).SetConnectRetry(true).SetConnectRetryInterval(o.pause()).SetMaxReconnectInterval(o.pause())
	if o.PasswordFile != "" {
		password, err := os.ReadFile(o.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("mqtt.password_file: %w", err)
		}
		c.SetPassword(strings.TrimRight(string(password), "\r\n"))
	}
	secured, err := o.tls()
	if err != nil {
		return nil, err
	}
	c.SetTLSConfig(secured)
	c.SetOnConnectHandler(b.connected)
	c.SetConnectionLostHandler(func(_ paho.Client, err error) { b.lost(err) })
	c.SetConnectionNotificationHandler(func(_ paho.Client, n paho.ConnectionNotification) {
		if failed, ok := n.(paho.ConnectionNotificationFailed); ok {
			b.lost(failed.Reason)
		}
	})
	b.client = paho.NewClient(c)
	return b, nil
}

func (o Options) pause() time.Duration {
	if o.reconnect > 0 {
		return o.reconnect
	}
	return longestPause
}

func (o Options) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("mqtt.ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("mqtt.ca: there is no certificate in %s", o.CA)
		}
	}
	if o.ClientCert != "" {
		own, err := tls.LoadX509KeyPair(o.ClientCert, o.ClientCert)
		if err != nil {
			return nil, fmt.Errorf("mqtt.client_cert: %w", err)
		}
		c.Certificates = []tls.Certificate{own}
	}
	return c, nil
}

// Run stays connected until ctx ends.
func (b *Broker) Run(ctx context.Context) error {
	b.client.Connect()
	<-ctx.Done()
	b.client.Disconnect(uint(farewell.Milliseconds()))
	return nil
}

func (b *Broker) connected(c paho.Client) {
	b.mu.Lock()
	b.down, b.last, b.told = time.Time{}, "", false
	b.mu.Unlock()
	b.options.Logger.Info("MQTT broker reached", "broker", b.options.URL)
	wanted := map[string]byte{}
	for _, topic := range topics(b.options.Prefix) {
		wanted[topic] = atMostOnce
	}
	subscribed := c.SubscribeMultiple(wanted, func(_ paho.Client, m paho.Message) { b.take(m.Topic(), m.Payload(), m.Retained()) })
	go func() { // its answer comes through the goroutine that called this function
		if !subscribed.WaitTimeout(connectPatience) || subscribed.Error() != nil {
			b.options.Logger.Warn("MQTT broker refuses the subscription", "broker", b.options.URL, "error", subscribed.Error())
		}
	}()
}

// lost notes since when the broker is not reached; the journal is told once.
func (b *Broker) lost(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down.IsZero() {
		b.down = b.options.Now()
	}
	b.last = fmt.Sprint(err)
	if !b.told {
		b.told = true
		b.options.Logger.Warn("MQTT broker not reached", "broker", b.options.URL, "error", err)
	}
}

// Trouble says that the broker is not reached, "" when it is.
func (b *Broker) Trouble() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down.IsZero() || b.options.Now().Sub(b.down) < connectPatience {
		return ""
	}
	return fmt.Sprintf("the MQTT broker %s has not been reached since %s: %s", b.options.URL, b.down.UTC().Format(time.RFC3339), b.last)
}

// Connected reports that the broker is reached.
func (b *Broker) Connected() bool { return b.client.IsConnectionOpen() }

// take is what a message says. One that the broker has kept says what was so when it was published, and not that the device
// is there.
func (b *Broker) take(topic string, payload []byte, kept bool) {
	m, ok := parse(b.options.Prefix, topic, payload)
	if !ok {
		return
	}
	key, found, err := b.whose.find(context.Background(), m)
	if err != nil {
		b.options.Logger.Debug("MQTT message not taken", "topic", topic, "error", err)
		return
	}
	if !found {
		return
	}
	b.options.Seen(fleet.Seen{
		Device: key, At: b.options.Now(), By: fleet.HeardMQTT, Kept: kept,
		Said: fleet.Said{Version: m.version, Started: m.started && !kept, Offline: m.online != nil && !*m.online},
	})
}

// Nudge is what a device is asked to do.
type Nudge string

// What esp-mdm listens for; it restarts, and asks for its configuration and its firmware.
const (
	NudgeFirmware Nudge = "firmware"
	NudgeConfig   Nudge = "config"
)

// PacedError says that the next nudge has to wait: each makes a device restart.
type PacedError struct{ After time.Duration }

func (e *PacedError) Error() string {
	return fmt.Sprintf("nudges are paced (mqtt.nudges_per_minute): the next one may go out in %s", e.After.Round(time.Second))
}

// ErrDown says that the broker is not reached.
var ErrDown = errors.New("the MQTT broker is not reached")

// Nudge asks a device to restart and ask. It returns when the broker has taken the message; nobody knows whether the device
// has heard it until it asks.
func (b *Broker) Nudge(ctx context.Context, d fleet.Device, n Nudge) error {
	if !b.Connected() {
		return ErrDown
	}
	turn := b.pace.ReserveN(b.options.Now(), 1)
	if after := turn.DelayFrom(b.options.Now()); after > 0 {
		turn.CancelAt(b.options.Now())
		return &PacedError{after}
	}
	body, err := json.Marshal(map[string]string{"client_id": d.ClientID()})
	if err != nil {
		return err
	}
	sent := b.client.Publish("iotsupport/updates/"+string(n), atLeastOnce, false, body)
	select {
	case <-sent.Done():
		return sent.Error()
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(connectPatience):
		return ErrDown
	}
}
