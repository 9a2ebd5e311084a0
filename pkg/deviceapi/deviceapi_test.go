package deviceapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// memory is what lies behind the door, small and in memory: two devices, tokens that are "token-<key>", images as files.
type memory struct {
	mu      sync.Mutex // guards what follows
	devices map[fleet.DeviceKey]fleet.Device
	models  map[fleet.ModelCode]fleet.Model
	secrets map[fleet.DeviceKey][]string // the current one, then the next
	dumps   []fleet.Dump
	bodies  [][]byte
	failing error // of the next Write
	dir     string
}

func (m *memory) Authenticate(_ context.Context, token string) (fleet.Device, fleet.Model, error) {
	key, ok := strings.CutPrefix(token, "token-")
	switch {
	case token == "":
		return fleet.Device{}, fleet.Model{}, auth.ErrNoToken
	case !ok:
		return fleet.Device{}, fleet.Model{}, fmt.Errorf("%w: bad signature", auth.ErrToken)
	}
	device, err := m.Device(fleet.DeviceKey(key))
	if err != nil {
		return device, fleet.Model{}, err
	}
	model, err := m.Model(device.Model)
	return device, model, err
}

func (m *memory) Device(key fleet.DeviceKey) (fleet.Device, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d, ok := m.devices[key]; ok {
		return d, nil
	}
	return fleet.Device{}, fleet.Unknown("device %s", key)
}

func (m *memory) Model(code fleet.ModelCode) (fleet.Model, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if model, ok := m.models[code]; ok {
		return model, nil
	}
	return fleet.Model{}, fleet.Unknown("model %s", code)
}

func (m *memory) Grant(_ context.Context, id, secret string) (auth.Token, error) {
	_, key, err := fleet.ParseClientID(id)
	if err != nil {
		return auth.Token{}, auth.ErrInvalidClient
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, s := range m.secrets[key] {
		if s == secret {
			m.secrets[key] = m.secrets[key][i:]
			return auth.Token{AccessToken: "token-" + string(key), Lifetime: 24 * time.Hour}, nil
		}
	}
	if secret == "the clock" {
		return auth.Token{}, auth.ErrClock
	}
	return auth.Token{}, auth.ErrInvalidClient
}

func (m *memory) RotateSecret(_ context.Context, key fleet.DeviceKey) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := auth.NewSecret()
	m.secrets[key] = append(m.secrets[key][:1:1], next)
	return next, nil
}

func (m *memory) Public() auth.JWKSet { return auth.JWKSet{Keys: []auth.JWK{{KeyID: "k"}}} }

func (m *memory) OpenImage(model fleet.Model, v fleet.Version) (Image, error) {
	f, err := os.Open(filepath.Join(m.dir, string(model.Code)+"-"+string(v)))
	if os.IsNotExist(err) {
		return Image{}, fleet.Unknown("version %s", v)
	}
	if err != nil {
		return Image{}, err
	}
	info, err := f.Stat()
	return Image{File: f, Size: info.Size(), Version: v, ETag: `"of-` + string(v) + `"`}, err
}

func (m *memory) Write(_ context.Context, d fleet.Dump, body io.Reader, size int64) (fleet.Dump, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failing != nil {
		return d, m.failing
	}
	b, err := io.ReadAll(io.LimitReader(body, 1<<20+1))
	switch {
	case err != nil:
		return d, err
	case len(b) == 0:
		return d, fleet.Refused("the dump is empty")
	case len(b) > 1<<20:
		return d, fleet.Refused("the dump is larger than 1048576 bytes")
	case size >= 0 && size != int64(len(b)):
		return d, io.ErrUnexpectedEOF
	}
	d.UploadedAt, d.Size = time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC), int64(len(b))
	m.dumps, m.bodies = append(m.dumps, d), append(m.bodies, b)
	return d, nil
}

// rig is a door on a real server.
type rig struct {
	*httptest.Server
	*memory
}

func open(t testing.TB, settle func(*Options)) *rig {
	t.Helper()
	m := &memory{
		dir: t.TempDir(),
		devices: map[fleet.DeviceKey]fleet.Device{
			"aaaaaaa1": {Key: "aaaaaaa1", Model: "pump", Name: "left pump"},
			"bbbbbbb2": {Key: "bbbbbbb2", Model: "empty"},
			"ccccccc3": {Key: "ccccccc3", Model: "gone"},
		},
		models: map[fleet.ModelCode]fleet.Model{
			"pump":  {Code: "pump", FirmwareVersion: "1.1"},
			"empty": {Code: "empty"},
		},
		secrets: map[fleet.DeviceKey][]string{"aaaaaaa1": {"old secret"}, "bbbbbbb2": {"p+q/=%"}},
	}
	for _, v := range []string{"1.0", "1.1"} {
		if err := os.WriteFile(filepath.Join(m.dir, "pump-"+v), bytes.Repeat([]byte(v+" "), 5000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{
		Caller: ByToken(m), Issuer: m, Keys: m, Images: m, Dumps: m, MaxDump: 1 << 20, Now: time.Now,
		Uploads: Pace{PerMinute: 600, Burst: 100},
		Provisioning: Provisioning{
			Extra:    map[string]string{"mqtt_url": "mqtts://broker", "wifi_ssid": "hall", "wifi_password": "pass"},
			Required: []string{"device_key", "client_id", "client_secret", "token_url", "base_url", "mqtt_url", "wifi_ssid", "wifi_password"},
		},
	}
	if settle != nil {
		settle(&o)
	}
	routes := endpoint.NewRoutes(slog.New(slog.DiscardHandler), endpoint.NewMetrics(prometheus.NewRegistry()))
	New(o).Register(routes)
	r := &rig{httptest.NewServer(routes), m}
	t.Cleanup(r.Close)
	return r
}

// reply is an answer with its body read.
type reply struct {
	status int
	header http.Header
	length int64
	body   []byte
}

func (r reply) member(t *testing.T, name string) any {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(r.body, &members); err != nil {
		t.Fatalf("%s: %v", r.body, err)
	}
	return members[name]
}

// do sends a request; header has "Name: value" lines, "" for none.
func (r *rig) do(t testing.TB, method, path string, body io.Reader, header ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	read, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, res.ContentLength, read}
}

const (
	pumpsToken  = "Authorization: Bearer token-aaaaaaa1"
	emptysToken = "Authorization: bearer token-bbbbbbb2"
	gonesToken  = "Authorization: Bearer token-ccccccc3"
)

var deviceRoutes = []string{
	"POST /api/iot/coredump?chip=esp32&firmware_version=1", "GET /api/iot/firmware", "HEAD /api/iot/firmware",
	"GET /api/iot/firmware/1.0", "HEAD /api/iot/firmware/1.0", "GET /api/iot/firmware-version", "GET /api/iot/config",
	"GET /api/iot/provisioning",
}

func TestEveryRouteAsksWhoCallsBeforeAnythingElse(t *testing.T) {
	r := open(t, nil)
	for _, route := range deviceRoutes {
		method, path, _ := strings.Cut(route, " ")
		bare, _, _ := strings.Cut(path, "?") // so that other checks would fail too
		for header, want := range map[string]int{
			"X: none": 401,
			"Authorization: Basic dG9rZW4tYWFhYWFhYTE6": 401,
			"Authorization: Bearer":                     401,
			"Authorization: Bearer forged":              401,
			"Authorization: Bearer token-zzzzzzz9":      404,
			gonesToken:                                  404,
		} {
			got := r.do(t, method, bare, strings.NewReader(""), header)
			if got.status != want || got.length <= 0 {
				t.Errorf("%s with %q: %d, length %d, want %d", route, header, got.status, got.length, want)
			}
			if want == 401 && got.header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s with %q: %v", route, header, got.header)
			}
			if method != "HEAD" {
				if _, object := got.member(t, "details").(map[string]any); !object {
					t.Errorf("%s with %q: %s", route, header, got.body)
				}
			}
		}
	}
}

func TestNothingOfTheRequestButTheTokenNamesTheDevice(t *testing.T) {
	r := open(t, nil)
	got := r.do(t, "POST", "/api/iot/coredump?chip=esp32&firmware_version=1&device_key=bbbbbbb2&model=empty&device=../../x",
		strings.NewReader("dump"), pumpsToken, "X-Device-Key: bbbbbbb2")
	if got.status != 201 || len(r.dumps) != 1 || r.dumps[0].Device != "aaaaaaa1" || r.dumps[0].Model != "pump" {
		t.Errorf("%d, stored %+v", got.status, r.dumps)
	}
}

func TestTestModeBelievesTheQueryAlone(t *testing.T) {
	r := open(t, func(o *Options) { o.Caller = ByWord(o.Images.(*memory)) })
	for query, want := range map[string]int{
		"": 401, "?device_key=": 401, "?device_key=zzzzzzz9": 404, "?device_key=../../etc": 404, "?device_key=ccccccc3": 404, "?device_key=aaaaaaa1": 200,
	} {
		if got := r.do(t, "GET", "/api/iot/config"+query, nil, pumpsToken); got.status != want {
			t.Errorf("%q: %d, want %d", query, got.status, want)
		}
	}
	if got := r.do(t, "POST", "/api/iot/coredump?chip=a&firmware_version=1&device_key=aaaaaaa1", strings.NewReader("x")); got.status != 201 {
		t.Errorf("upload: %d %s", got.status, got.body)
	}
}

func TestHEADWorksWhereItIsNamedAndNowhereElse(t *testing.T) {
	r := open(t, nil)
	for _, path := range []string{"/api/iot/firmware-version", "/api/iot/config", "/api/iot/provisioning", "/api/iot/coredump",
		"/api/oauth/token", "/.well-known/jwks.json"} {
		if got := r.do(t, "HEAD", path, nil, pumpsToken); got.status != 405 || got.header.Get("Allow") == "" {
			t.Errorf("HEAD %s: %d", path, got.status)
		}
	}
	if n := len(r.secrets["aaaaaaa1"]); n != 1 {
		t.Errorf("HEAD rotated a secret: there are %d", n)
	}
	if got := r.do(t, "GET", "/api/nowhere", nil); got.status != 404 {
		t.Errorf("unknown path without a token: %d", got.status)
	}
}
