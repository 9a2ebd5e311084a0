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
	"slices"
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
	exactlyOnce     = 2 // a grant beyond it is a refusal
)

// Broker is the connection. Its methods may be called at once.
type Broker struct {
	options Options
	whose   *whose
	client  paho.Client
	pace    *rate.Limiter
	asked   chan paho.Token // the newest subscription, for Run

	mu      sync.Mutex // guards what follows
	down    time.Time  // since when it is not reached, zero while it is
	up      time.Time  // when it was reached, zero while it is not
	told    bool       // the journal knows that it is down
	refused []string   // topics that it does not let us hear
}

// New reads the files that the settings name. It does not connect.
func New(o Options) (*Broker, error) {
	b := &Broker{options: o, whose: &whose{devices: o.Devices, now: o.Now, kept: map[fleet.DeviceKey]time.Time{}}, down: o.Now(), asked: make(chan paho.Token, 1)}
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
	c.SetTLSConfig(secured).SetCustomOpenConnectionFn(open)
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
	var again <-chan time.Time // set: a subscription was refused
	for {
		select {
		case <-ctx.Done():
			b.client.Disconnect(uint(farewell.Milliseconds()))
			return nil
		case subscribed := <-b.asked:
			again = nil
			if !b.granted(ctx, subscribed) {
				again = time.After(b.options.pause())
			}
		case <-again:
			b.subscribe()
		}
	}
}

func (b *Broker) connected(paho.Client) {
	b.mu.Lock()
	b.up = b.options.Now()
	known := b.told
	if !known {
		b.down = time.Time{}
	}
	b.mu.Unlock()
	if !known { // else it is told once it has stood for a while
		b.options.Logger.Info("MQTT broker reached", "broker", b.options.URL)
	}
	b.subscribe()
}

// subscribe asks for what is listened to. Run waits for the answer.
func (b *Broker) subscribe() {
	wanted := map[string]byte{}
	for _, topic := range topics(b.options.Prefix) {
		wanted[topic] = atMostOnce
	}
	subscribed := b.client.SubscribeMultiple(wanted, func(_ paho.Client, m paho.Message) { b.take(m.Topic(), m.Payload(), m.Retained()) })
	select {
	case <-b.asked: // of a connection that is no more
	default:
	}
	select {
	case b.asked <- subscribed:
	default: // another one has just been asked for
	}
}

// granted waits for the answer to a subscription, and notes what the broker does not grant.
func (b *Broker) granted(ctx context.Context, subscribed paho.Token) bool {
	refused := topics(b.options.Prefix)
	select {
	case <-subscribed.Done():
		refused = refusedOf(subscribed)
	case <-time.After(connectPatience):
	case <-ctx.Done():
		return true
	}
	b.mu.Lock()
	news := !slices.Equal(b.refused, refused)
	b.refused = refused
	b.mu.Unlock()
	if news && len(refused) > 0 {
		b.options.Logger.Warn("MQTT broker refuses the subscription", "broker", b.options.URL, "topics", refused)
	}
	return len(refused) == 0
}

func refusedOf(subscribed paho.Token) (topics []string) {
	s, ok := subscribed.(*paho.SubscribeToken)
	if !ok {
		return nil
	}
	for topic, grant := range s.Result() {
		if grant > exactlyOnce {
			topics = append(topics, topic)
		}
	}
	slices.Sort(topics)
	return topics
}

// lost notes since when the broker is not reached; the journal is told once. One that is lost again and again, a moment
// after it was reached, is not reached all the while.
func (b *Broker) lost(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	b.up = time.Time{}
	if b.down.IsZero() {
		b.down = b.options.Now()
	}
	if !b.told {
		b.told = true
		b.options.Logger.Warn("MQTT broker not reached", "broker", b.options.URL, "error", err)
	}
}

// settle ends the time without a broker, once a connection has stood for a while. The caller holds mu.
func (b *Broker) settle() {
	if b.up.IsZero() || b.down.IsZero() || b.options.Now().Sub(b.up) < connectPatience {
		return
	}
	b.down, b.told = time.Time{}, false
	b.options.Logger.Info("MQTT broker reached", "broker", b.options.URL)
}

// Trouble says that the broker is not reached, or does not let us hear what is wanted; "" when all is well. While the same
// is wrong the words are the same: each change of them is an event. Why it is not reached the journal says.
func (b *Broker) Trouble() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	switch {
	case !b.down.IsZero() && b.options.Now().Sub(b.down) >= connectPatience:
		return fmt.Sprintf("the MQTT broker %s has not been reached since %s", b.options.URL, b.down.UTC().Format(time.RFC3339))
	case len(b.refused) > 0:
		return fmt.Sprintf("the MQTT broker %s does not grant the subscription of %s: allow it to the user that Slipway has there",
			b.options.URL, strings.Join(b.refused, ", "))
	}
	return ""
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
