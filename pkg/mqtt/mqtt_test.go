package mqtt

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/lasting"
)

const patience = 2 * time.Minute // no test waits for it

// broker is a real one, in this process.
type broker struct {
	*mochi.Server
	address string
	close   func() // may be called twice
}

func startBroker(t *testing.T, address string, secured *tls.Config) *broker {
	t.Helper()
	most := mochi.NewDefaultServerCapabilities()
	most.MaximumClientWritesPending = 1 << 15 // a broker that drops what is kept is not what is tested
	s := mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler), Capabilities: most})
	if err := s.AddHook(new(auth.AllowHook), nil); err != nil {
		t.Fatal(err)
	}
	l := listeners.NewTCP(listeners.Config{ID: "t", Address: address, TLSConfig: secured})
	if err := s.AddListener(l); err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(); err != nil {
		t.Fatal(err)
	}
	b := &broker{s, l.Address(), sync.OnceFunc(func() { _ = s.Close() })}
	t.Cleanup(b.close)
	return b
}

func (b *broker) say(t *testing.T, topic, payload string, retain bool) {
	t.Helper()
	if err := b.Publish(topic, []byte(payload), retain, 1); err != nil {
		t.Error(err)
	}
}

// memory is the fleet, small and in memory.
type memory struct {
	mu      sync.Mutex // guards what follows
	devices []fleet.Device
	macs    map[string]fleet.DeviceKey
	listed  int // how often all devices were read
	kept    int // how often a MAC was
}

func (m *memory) Device(key fleet.DeviceKey) (fleet.Device, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.devices {
		if d.Key == key {
			return d, nil
		}
	}
	return fleet.Device{}, fleet.Unknown("device %s", key)
}

func (m *memory) EachDevice(yield func(fleet.Device) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.listed++
	for _, d := range m.devices {
		if err := yield(d); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) DeviceOfMAC(mac string) (fleet.DeviceKey, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key, found := m.macs[mac]
	return key, found, nil
}

func (m *memory) KeepMAC(_ context.Context, mac string, key fleet.DeviceKey) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.macs, func(_ string, owner fleet.DeviceKey) bool { return owner == key })
	m.macs[mac] = key
	m.kept++
	return nil
}

// rig is a Broker that is connected, and what it has seen.
type rig struct {
	*Broker
	*memory
	seen chan fleet.Seen
	time atomic.Pointer[time.Time] // what the clock says; nil: it goes
}

func (r *rig) now() time.Time {
	if at := r.time.Load(); at != nil {
		return *at
	}
	return time.Now()
}

func (r *rig) stands(at time.Time) { r.time.Store(&at) }

func listen(t *testing.T, o Options) *rig {
	t.Helper()
	r := &rig{seen: make(chan fleet.Seen, 20_000), memory: &memory{macs: map[string]fleet.DeviceKey{}, devices: []fleet.Device{
		{Key: "aaaaaaa1", Model: "pump", Name: "Press 1"}, {Key: "aaaaaaa2", Model: "pump", Config: []byte(`{"deviceName":"Saw"}`)},
		{Key: "aaaaaaa3", Model: "pump", Name: "Twin"}, {Key: "aaaaaaa4", Model: "pump", Name: "Twin"}, {Key: "aaaaaaa5", Model: "pump"},
	}}}
	o.Prefix, o.Devices, o.Seen = "plant", r.memory, func(s fleet.Seen) { r.seen <- s }
	o.Logger, o.Now, o.reconnect = slog.New(slog.DiscardHandler), r.now, 50*time.Millisecond
	if o.NudgesPerMinute == 0 {
		o.NudgesPerMinute = 30
	}
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Broker = b
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

func (r *rig) next(t *testing.T) fleet.Seen {
	t.Helper()
	select {
	case s := <-r.seen:
		return s
	case <-time.After(patience):
		t.Fatal("nothing is seen")
		return fleet.Seen{}
	}
}

// subscribed waits until what is published live reaches the Broker.
func (r *rig) subscribed(t *testing.T, b *broker) {
	t.Helper()
	until(t, "the subscriptions", func() bool { return atomic.LoadInt64(&b.Info.Subscriptions) >= int64(len(topics("plant"))) })
}

func configuration(name, version string) string {
	return fmt.Sprintf(`{"unique_id":"plant_x","device":{"manufacturer":"m","model":"pump","name":%q,"firmware_version":%q}}`, name, version)
}

func TestWhatTheFieldsFirmwareTellsIsHeard(t *testing.T) {
	b := startBroker(t, "127.0.0.1:0", nil)
	b.say(t, "plant/0x0242ac110001/configuration", configuration("Press 1", "1.4.0"), true) // kept from before
	r := listen(t, Options{URL: "mqtt://" + b.address})
	if s := r.next(t); s.Device != "aaaaaaa1" || s.Said.Version != "1.4.0" || !s.Kept || s.Said.Started || s.By != fleet.HeardMQTT {
		t.Errorf("what the broker has kept: %+v", s)
	}
	r.subscribed(t, b)
	for _, c := range []struct {
		topic, payload string
		want           fleet.Seen
	}{
		{"plant/0x0242ac110001/configuration", configuration("Press 1", "1.4.1"), fleet.Seen{Device: "aaaaaaa1", Said: fleet.Said{Version: "1.4.1", Started: true}}},
		{"plant/0x0242ac110001/state", `{"online": true, "temperature": 20}`, fleet.Seen{Device: "aaaaaaa1"}},
		{"plant/0x0242ac110001/state", `{"online": false}`, fleet.Seen{Device: "aaaaaaa1", Said: fleet.Said{Offline: true}}},
		{"plant/0x0242ac110002/configuration", configuration("Saw", "1.0"), fleet.Seen{Device: "aaaaaaa2", Said: fleet.Said{Version: "1.0", Started: true}}},
		{"plant/02:42:AC:11:00:02/state", `{"online": true}`, fleet.Seen{Device: "aaaaaaa2"}}, // the same MAC, as another firmware writes it
		{"homeassistant/sensor/0x0242ac110005/x/config", `{"client_id":"iotdevice-pump-aaaaaaa5","device":{"sw_version":"2.0"}}`, fleet.Seen{Device: "aaaaaaa5", Said: fleet.Said{Version: "2.0"}}},
	} {
		b.say(t, c.topic, c.payload, false)
		got := r.next(t)
		if got.At.IsZero() || got.Kept {
			t.Errorf("%s: %+v", c.topic, got)
		}
		got.At, c.want.By = time.Time{}, fleet.HeardMQTT
		if got != c.want {
			t.Errorf("%s %s:\n%+v, want\n%+v", c.topic, c.payload, got, c.want)
		}
	}
}

func TestAMACKeepsItsDeviceWhateverItsMessagesSayLater(t *testing.T) {
	b := startBroker(t, "127.0.0.1:0", nil)
	r := listen(t, Options{URL: "mqtt://" + b.address})
	r.subscribed(t, b)
	b.say(t, "plant/0x0242ac110001/configuration", configuration("Press 1", "1.0"), false)
	b.say(t, "plant/0x0242ac110001/configuration", configuration("Saw", "1.1"), false)
	r.next(t)
	if s := r.next(t); s.Device != "aaaaaaa1" {
		t.Errorf("%+v", s)
	}
	r.memory.mu.Lock()
	r.devices = r.devices[1:] // it is removed: its board is another device's now
	r.memory.mu.Unlock()
	b.say(t, "plant/0x0242ac110001/configuration", configuration("Saw", "1.1"), false)
	if s := r.next(t); s.Device != "aaaaaaa2" {
		t.Errorf("%+v", s)
	}
}

func TestANameThatWasTakenFromItsDeviceIsItsNoMore(t *testing.T) {
	now := time.Now()
	for what, change := range map[string]func(*fleet.Device){
		"removed": func(d *fleet.Device) { d.Key = "bbbbbbb1" }, "renamed": func(d *fleet.Device) { d.Name = "Press 7" },
	} {
		m := &memory{macs: map[string]fleet.DeviceKey{}, devices: []fleet.Device{{Key: "aaaaaaa1", Model: "pump", Name: "Press 1"}}}
		w := &whose{devices: m, now: func() time.Time { return now }, kept: map[fleet.DeviceKey]time.Time{}}
		if key, found, err := w.find(t.Context(), told{mac: "0242ac110001", name: "Press 1"}); key != "aaaaaaa1" || !found || err != nil {
			t.Fatalf("%s: before: %s, %v, %v", what, key, found, err)
		}
		m.macs = map[string]fleet.DeviceKey{}
		change(&m.devices[0])
		if key, found, err := w.find(t.Context(), told{mac: "0242ac110002", name: "Press 1"}); found || err != nil || len(m.macs) > 0 {
			t.Errorf("%s: it is %s, %v, %v, kept %v", what, key, found, err, m.macs)
		}
	}
}

func TestANameThatIsGivenToAnotherDeviceIsThatOnesWithinAMinute(t *testing.T) {
	now := time.Now()
	m := &memory{macs: map[string]fleet.DeviceKey{}, devices: []fleet.Device{{Key: "aaaaaaa1", Name: "Press 1"}, {Key: "aaaaaaa2"}}}
	w := &whose{devices: m, now: func() time.Time { return now }, kept: map[fleet.DeviceKey]time.Time{}}
	if key, _, err := w.find(t.Context(), told{mac: "0242ac110001", name: "Press 1"}); key != "aaaaaaa1" || err != nil {
		t.Fatalf("before: %s, %v", key, err)
	}
	m.devices[0].Name, m.devices[1].Name = "Press 2", "Press 1"
	now = now.Add(readAgain)
	if key, found, err := w.find(t.Context(), told{mac: "0242ac110002", name: "Press 1"}); key != "aaaaaaa2" || !found || err != nil {
		t.Errorf("%s, %v, %v", key, found, err)
	}
}

func TestOneNameUnderAThousandMACsIsKeptOnceAMinute(t *testing.T) {
	now := time.Now()
	m := &memory{macs: map[string]fleet.DeviceKey{}, devices: []fleet.Device{{Key: "aaaaaaa1", Name: "Press 1"}}}
	w := &whose{devices: m, now: func() time.Time { return now }, kept: map[fleet.DeviceKey]time.Time{}}
	for minute := range 3 {
		for i := range 1000 {
			if key, found, err := w.find(t.Context(), told{mac: fmt.Sprintf("%012x", minute*1000+i), name: "Press 1"}); key != "aaaaaaa1" || !found || err != nil {
				t.Fatalf("%s, %v, %v", key, found, err)
			}
		}
		now = now.Add(keepAgain)
	}
	if m.kept != 3 || len(w.kept) != 1 {
		t.Errorf("%d were kept, %d are remembered", m.kept, len(w.kept))
	}
}

func TestAFloodOfStrangersIsReadOnceAndHidesNobody(t *testing.T) {
	b := startBroker(t, "127.0.0.1:0", nil)
	for i := range 10_000 {
		b.say(t, fmt.Sprintf("plant/0x%012x/configuration", i), configuration(fmt.Sprintf("stranger %d", i), "9"), true)
	}
	for _, hostile := range []string{
		`{`, ``, `[]`, `null`, `{"device":null}`, `{"device":{"name":{}}}`, `{"device":{"firmware_version":"../../etc"}}`,
		`{"device":{"name":"` + strings.Repeat("x", 1<<16) + `"}}`, "\xff\xfe", strings.Repeat("[", 5000),
	} {
		b.say(t, "plant/0x0242ac110001/configuration", hostile, false)
		b.say(t, "plant/0x0242ac110009/state", hostile, true)
	}
	for _, topic := range []string{"plant/configuration", "plant//state", "plant/../state", "plant/0x02/state", "homeassistant/a/b/c/config"} {
		b.say(t, topic, configuration("Press 1", "9"), true)
	}
	b.say(t, "plant/0x0242ac110003/configuration", configuration("Twin", "9"), true) // of which of the two?
	b.say(t, "plant/0x0242ac11ffff/configuration", configuration("Press 1", "1.4.0"), true)
	r := listen(t, Options{URL: "mqtt://" + b.address})
	if s := r.next(t); s.Device != "aaaaaaa1" || s.Said.Version != "1.4.0" {
		t.Errorf("%+v", s)
	}
	r.subscribed(t, b)
	b.say(t, "plant/0x0242ac11ffff/state", `{"online":true}`, false) // behind all that was kept
	if s := r.next(t); s.Device != "aaaaaaa1" || s.Kept {
		t.Errorf("%+v", s)
	}
	r.memory.mu.Lock()
	defer r.memory.mu.Unlock()
	if r.listed > 3 { // once a minute
		t.Errorf("all devices were read %d times", r.listed)
	}
	if len(r.seen) > 0 || len(r.macs) != 1 {
		t.Errorf("%d more are seen, kept %v", len(r.seen), r.macs)
	}
}

func TestABrokerThatWasAwayIsFoundAgain(t *testing.T) {
	address := lasting.Address(t)
	now := time.Now()
	r := listen(t, Options{URL: "mqtt://" + address})
	until(t, "the reason", func() bool { r.Broker.mu.Lock(); defer r.Broker.mu.Unlock(); return r.told })
	r.stands(now.Add(24 * time.Hour))
	if got := r.Trouble(); !strings.Contains(got, address) || !strings.Contains(got, "has not been reached since "+now.UTC().Format("2006-01-02")) {
		t.Errorf("trouble %q", got)
	}
	if err := r.Nudge(t.Context(), fleet.Device{Key: "aaaaaaa1", Model: "pump"}, NudgeConfig); !errors.Is(err, ErrDown) {
		t.Errorf("a nudge: %v", err)
	}
	for range 2 { // and again
		b := startBroker(t, address, nil)
		until(t, "the connection", r.Connected)
		r.subscribed(t, b)
		r.stands(r.now().Add(connectPatience)) // it stands
		if got := r.Trouble(); got != "" {
			t.Errorf("trouble %q", got)
		}
		b.say(t, "plant/0x0242ac110001/configuration", configuration("Press 1", "1.0"), false)
		if s := r.next(t); s.Device != "aaaaaaa1" {
			t.Errorf("%+v", s)
		}
		b.close()
		until(t, "the end of the connection", func() bool { return !r.Connected() })
	}
}

func TestNudgesArePacedAndNameTheDevice(t *testing.T) {
	b := startBroker(t, "127.0.0.1:0", nil)
	heard := make(chan string, 8)
	err := b.Subscribe("iotsupport/#", 1, func(_ *mochi.Client, _ packets.Subscription, p packets.Packet) {
		heard <- p.TopicName + " " + string(p.Payload)
	})
	if err != nil {
		t.Fatal(err)
	}
	r := listen(t, Options{URL: "mqtt://" + b.address})
	until(t, "the connection", r.Connected)
	now := time.Now()
	r.stands(now)
	pump := fleet.Device{Key: "aaaaaaa1", Model: "pump"}
	if err := r.Nudge(t.Context(), pump, NudgeFirmware); err != nil {
		t.Fatal(err)
	}
	var paced *PacedError
	if err := r.Nudge(t.Context(), pump, NudgeFirmware); !errors.As(err, &paced) || paced.After != 2*time.Second {
		t.Errorf("a second one at once: %v", err)
	}
	r.stands(now.Add(2 * time.Second))
	if err := r.Nudge(t.Context(), pump, NudgeConfig); err != nil {
		t.Error(err)
	}
	for _, want := range []string{`iotsupport/updates/firmware {"client_id":"iotdevice-pump-aaaaaaa1"}`, `iotsupport/updates/config {"client_id":"iotdevice-pump-aaaaaaa1"}`} {
		if got := <-heard; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if len(heard) > 0 {
		t.Errorf("one more: %s", <-heard)
	}
}

func TestOverTLSBothSidesShowWhoTheyAre(t *testing.T) {
	dir := t.TempDir()
	ca, file, pool := identity(t, dir)
	b := startBroker(t, "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{ca}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool})
	r := listen(t, Options{URL: "mqtts://" + b.address, CA: file, ClientCert: file})
	until(t, "the connection", r.Connected)
	for name, o := range map[string]Options{
		"without the broker's CA":           {ClientCert: file},
		"without a certificate of its own":  {CA: file},
		"without TLS":                       {URL: "mqtt://" + b.address},
		"by a name that the broker has not": {URL: strings.Replace("mqtts://"+b.address, "127.0.0.1", "localhost", 1), CA: file, ClientCert: file},
	} {
		if o.URL == "" {
			o.URL = "mqtts://" + b.address
		}
		refused := listen(t, o)
		until(t, name, func() bool { refused.Broker.mu.Lock(); defer refused.Broker.mu.Unlock(); return refused.told })
		if refused.Connected() {
			t.Errorf("%s it is connected", name)
		}
	}
}

func TestFilesThatAreNotThereAreSettingsErrors(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]Options{
		"mqtt.password_file": {PasswordFile: "/nosuch"}, "mqtt.ca": {CA: empty}, "mqtt.ca:": {CA: "/nosuch"}, "mqtt.client_cert": {ClientCert: empty},
	} {
		o.URL, o.Now = "mqtt://localhost", time.Now
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// identity is a certificate for 127.0.0.1 that signs itself, and serves on both sides.
func identity(t *testing.T, dir string) (tls.Certificate, string, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "both.pem")
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	if err := os.WriteFile(file, both, 0o600); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(both)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file, pool
}

func TestAMessageIsReadUpToItsBounds(t *testing.T) {
	const topic = "plant/0x0242ac110001/configuration"
	pad := func(n int) string {
		return `{"pad":"` + strings.Repeat("x", n) + `",` + configuration("Press 1", "1.0")[1:]
	}
	least := len(pad(0))
	if m, ok := parse("plant", topic, []byte(pad(mostPayload-least))); !ok || m.name != "Press 1" || m.version != "1.0" {
		t.Errorf("as long as may be: %+v, %v", m, ok)
	}
	if m, ok := parse("plant", topic, []byte(pad(mostPayload-least+1))); ok {
		t.Errorf("a byte more: %+v", m)
	}
	if m, _ := parse("plant", topic, []byte(configuration(strings.Repeat("x", mostName+1), "1.0"))); m.name != "" {
		t.Errorf("a name of %d bytes", len(m.name))
	}
}

func FuzzParse(f *testing.F) {
	f.Add("plant/0x0242ac110001/configuration", []byte(configuration("Press 1", "1.0")))
	f.Add("plant/0x0242ac110001/state", []byte(`{"online":false}`))
	f.Add("homeassistant/sensor/0x0242ac110005/x/config", []byte(`{"device":{"sw_version":"2.0"}}`))
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		m, ok := parse("plant", topic, payload)
		if ok && (len(m.mac) != 12 || len(m.name) > mostName || len(m.clientID) > mostName || len(m.version) > mostVersion) {
			t.Errorf("%+v", m)
		}
	})
}
