package deviceapi

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
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
	sent    map[fleet.DeviceKey]fleet.Sent
	noted   int    // how often an image that is sent was noted
	full    error  // of NoteSent and of Strays
	noting  func() // in the middle of NoteSent; nil: nothing
	dir     string
	seen    []fleet.Seen
	refused []string // versions of the dumps that were not taken
	turns   []fleet.DeviceKey
	turned  map[fleet.DeviceKey]fleet.Version // what a device is offered once it had its turn
	strayed []string
	taken   fleet.Version
	told    map[fleet.DeviceKey]fleet.Reported
	written int // how often something that was told was noted
	sighted fleet.Sighting
}

func (m *memory) Authenticate(_ context.Context, token string) (fleet.Device, fleet.Model, error) {
	key, ok := strings.CutPrefix(token, "token-")
	switch {
	case token == "":
		return fleet.Device{}, fleet.Model{}, auth.ErrNoToken
	case !ok:
		return fleet.Device{}, fleet.Model{}, fmt.Errorf("%w: bad signature", auth.ErrToken)
	}
	return m.known(fleet.DeviceKey(key))
}

// known is a device that has shown who it is; one that is not there was removed.
func (m *memory) known(key fleet.DeviceKey) (fleet.Device, fleet.Model, error) {
	device, err := m.Device(key)
	if err != nil {
		return device, fleet.Model{}, fmt.Errorf("%w: %w", auth.ErrToken, err)
	}
	model, err := m.Model(device.Model)
	return device, model, err
}

func (m *memory) AuthenticateSecret(ctx context.Context, id, secret string) (fleet.Device, fleet.Model, error) {
	if _, err := m.Grant(ctx, id, secret); err != nil {
		return fleet.Device{}, fleet.Model{}, err
	}
	_, key, _ := fleet.ParseClientID(id)
	return m.known(key)
}

// AuthenticateNamed adopts nobody.
func (m *memory) AuthenticateNamed(_ context.Context, name, _ string) (fleet.Device, fleet.Model, error) {
	return fleet.Device{}, fleet.Model{}, fmt.Errorf("%w: %s", auth.ErrInvalidClient, name)
}

func (m *memory) AuthenticatePath(_ context.Context, secret string) (fleet.Device, fleet.Model, error) {
	key, good := strings.CutSuffix(secret, "-in-the-path")
	if !good {
		return fleet.Device{}, fleet.Model{}, auth.ErrInvalidClient
	}
	return m.known(fleet.DeviceKey(key))
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

func (m *memory) Offer(d fleet.Device, model fleet.Model) (fleet.Version, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	word := fleet.Word{}
	if slices.Contains(m.turns, d.Key) {
		word.Rollout = m.turned[d.Key]
	}
	return fleet.OfferTo(d, model, word)
}

func (m *memory) Turn(_ context.Context, d fleet.Device) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turns = append(m.turns, d.Key)
}

func (m *memory) Strays(_ context.Context, d fleet.Device, v fleet.Version) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.strayed = append(m.strayed, string(d.Key)+" "+string(v))
	return m.full
}

func (m *memory) Taken(_ fleet.Device, v fleet.Version) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return v == m.taken
}

func (m *memory) LastSent(key fleet.DeviceKey) (fleet.Sent, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, found := m.sent[key]
	return s, found, nil
}

func (m *memory) NoteSent(_ context.Context, key fleet.DeviceKey, s fleet.Sent) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.noting != nil {
		m.noting()
	}
	if m.full != nil {
		return m.full
	}
	if m.sent[key] != s {
		m.sent[key] = s
		m.noted++
	}
	return nil
}

func (m *memory) OpenImage(model fleet.Model, v fleet.Version) (fleet.Image, error) {
	f, err := os.Open(filepath.Join(m.dir, string(model.Code)+"-"+string(v)))
	if os.IsNotExist(err) {
		return fleet.Image{}, fleet.Unknown("version %s", v)
	}
	if err != nil {
		return fleet.Image{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return fleet.Image{}, err
	}
	whole, err := io.ReadAll(io.NewSectionReader(f, 0, info.Size()))
	sum := fmt.Sprintf("%x", md5.Sum(whole))
	image := fleet.Image{File: f, Size: info.Size(), Version: v, ETag: `"of-` + string(v) + `"`, Chip: "ESP32-C3", SHA256: fmt.Sprintf("%x", sha256.Sum256(whole))}
	image.Sums = fleet.Sums{ImageMD5: sum, ImageSHA1: fmt.Sprintf("%x", sha1.Sum(whole)), SketchMD5: sum}
	if v == "1.1" {
		image.SketchSHA256 = strings.Repeat("0123456789abcdef", 4)
	}
	return image, err
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

// image lays down an image that is its version, again and again.
func (m *memory) image(t testing.TB, code fleet.ModelCode, v fleet.Version) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, string(code)+"-"+string(v)), bytes.Repeat([]byte(v+" "), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
}

// rig is a door on a real server.
type rig struct {
	*httptest.Server
	*memory
}

func open(t testing.TB, settle func(*Options)) *rig {
	t.Helper()
	m := &memory{
		dir: t.TempDir(), sent: map[fleet.DeviceKey]fleet.Sent{}, told: map[fleet.DeviceKey]fleet.Reported{},
		devices: map[fleet.DeviceKey]fleet.Device{
			"aaaaaaa1": {Key: "aaaaaaa1", Model: "pump", Name: "left pump", Aliases: []fleet.Alias{"24:6f:28:aa:00:01", "esp32-0001"}},
			"bbbbbbb2": {Key: "bbbbbbb2", Model: "empty"},
			"ccccccc3": {Key: "ccccccc3", Model: "gone"},
		},
		models: map[fleet.ModelCode]fleet.Model{
			"pump":  {Code: "pump", FirmwareVersion: "1.1"},
			"empty": {Code: "empty"},
		},
		secrets: map[fleet.DeviceKey][]string{"aaaaaaa1": {"old secret"}, "bbbbbbb2": {"p+q/=%"}},
	}
	for _, v := range []fleet.Version{"1.0", "1.1"} {
		m.image(t, "pump", v)
	}
	o := Options{
		Guesses: NewGuesses(slog.New(slog.DiscardHandler), func(string) {}, time.Now), Issuer: m, Keys: m, Images: m, Offers: m, Dumps: m, MaxDump: 1 << 20, Now: time.Now,
		Uploads:   Pace{PerMinute: 600, Burst: 100},
		Sightings: m, Controllers: m, Tenant: "DEFAULT",
		Provisioning: Provisioning{
			Extra:    map[string]string{"mqtt_url": "mqtts://broker", "wifi_ssid": "hall", "wifi_password": "pass"},
			Required: []string{"device_key", "client_id", "client_secret", "token_url", "base_url", "mqtt_url", "wifi_ssid", "wifi_password"},
		},
	}
	o.Caller = ByCredentials(m, m, o.Guesses)
	if settle != nil {
		settle(&o)
	}
	routes := endpoint.NewRoutes(slog.New(slog.DiscardHandler), endpoint.NewMetrics(prometheus.NewRegistry()))
	New(o).Register(routes)
	r := &rig{httptest.NewServer(PathSecrets(routes, routes)), m}
	t.Cleanup(r.Close)
	return r
}

func (m *memory) Refused(_ fleet.DeviceKey, declared string, _ time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refused = append(m.refused, declared)
}

func (m *memory) Seen(s fleet.Seen) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = append(m.seen, s)
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
	"GET /api/iot/provisioning", "GET /api/iot/manifest.json",
}

func TestEveryRouteAsksWhoCallsBeforeAnythingElse(t *testing.T) {
	r := open(t, nil)
	for _, route := range deviceRoutes {
		method, path, _ := strings.Cut(route, " ")
		bare, _, _ := strings.Cut(path, "?") // so that other checks would fail too
		for header, want := range map[string]struct {
			status    int
			challenge string
		}{
			"X: none":                              {401, `Basic realm="slipway"`},
			"Authorization: Bearer":                {401, "Bearer"},
			"Authorization: Bearer forged":         {401, "Bearer"},
			"Authorization: Bearer token-zzzzzzz9": {401, "Bearer"}, // it was removed
			"Authorization: Digest username=x":     {401, "Bearer"},
			"Authorization: Basic nonsense":        {401, "Bearer"},
			basic("iotdevice-pump-aaaaaaa1", "no"): {401, "Bearer"},
			basic("iotdevice-pump-zzzzzzz9", "no"): {401, "Bearer"},
			basic("", ""):                          {401, "Bearer"},
			gonesToken:                             {404, ""},
		} {
			got := r.do(t, method, bare, strings.NewReader(""), header)
			if got.status != want.status || got.length <= 0 || got.header.Get("WWW-Authenticate") != want.challenge {
				t.Errorf("%s with %q: %d, length %d, challenge %q", route, header, got.status, got.length, got.header.Get("WWW-Authenticate"))
			}
			if method != "HEAD" {
				if _, object := got.member(t, "details").(map[string]any); !object {
					t.Errorf("%s with %q: %s", route, header, got.body)
				}
			}
		}
	}
}

func basic(id, secret string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

func TestClientIDAndSecretAsTheyAreOpenEveryRouteByBasic(t *testing.T) {
	r := open(t, nil)
	r.secrets["aaaaaaa1"] = []string{"p+q/=%:x"} // nothing is decoded once more, and only the first colon parts the two
	for _, route := range deviceRoutes {
		method, path, _ := strings.Cut(route, " ")
		got := r.do(t, method, path, strings.NewReader("dump"), basic("iotdevice-pump-aaaaaaa1", "p+q/=%:x"))
		if got.status != 200 && got.status != 201 {
			t.Errorf("%s: %d %s", route, got.status, got.body)
		}
	}
	if len(r.dumps) != 1 || r.dumps[0].Device != "aaaaaaa1" {
		t.Errorf("stored %+v", r.dumps)
	}
}

func TestWrongSecretsArePacedAndTheRightOneIsAlwaysTaken(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var journal bytes.Buffer
	r := open(t, func(o *Options) {
		o.Guesses = NewGuesses(slog.New(slog.NewTextHandler(&journal, nil)), func(string) {}, func() time.Time { return now })
		o.Caller = ByCredentials(o.Images.(*memory), o.Images.(*memory), o.Guesses)
	})
	const id = "iotdevice-pump-aaaaaaa1"
	form := func(secret string) reply {
		return r.do(t, "POST", tokenPath, strings.NewReader("grant_type=client_credentials&client_id="+id+"&client_secret="+secret), formType)
	}
	for i := range 5 { // both ways count together
		if got := form("wrong"); got.status != 401 || got.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("form %d: %d %v", i, got.status, got.header)
		}
		if got := r.do(t, "GET", "/api/iot/config", nil, basic(id, "wrong")); got.status != 401 {
			t.Errorf("Basic %d: %d", i, got.status)
		}
	}
	for range 3 {
		got := form("wrong")
		if got.status != 429 || got.header.Get("Retry-After") != "6" || got.member(t, "error") != "invalid_client" {
			t.Errorf("the eleventh by form: %d %v %s", got.status, got.header, got.body)
		}
		if got := r.do(t, "GET", "/api/iot/config", nil, basic(id, "wrong")); got.status != 429 || got.header.Get("Retry-After") != "6" {
			t.Errorf("the eleventh by Basic: %d %v", got.status, got.header)
		}
		if got := form("old+secret"); got.status != 200 {
			t.Errorf("the right secret by form: %d %s", got.status, got.body)
		}
		if got := r.do(t, "GET", "/api/iot/config", nil, basic(id, "old secret")); got.status != 200 {
			t.Errorf("the right secret by Basic: %d", got.status)
		}
	}
	if got := r.do(t, "GET", "/api/iot/config", nil, basic("iotdevice-empty-bbbbbbb2", "wrong")); got.status != 401 {
		t.Errorf("another client: %d", got.status)
	}
	if lines := strings.Count(journal.String(), "client_id="+id); lines != 1 {
		t.Errorf("%d lines in the journal for one client within a minute:\n%s", lines, &journal)
	}
	now = now.Add(time.Minute)
	if got := form("wrong"); got.status != 401 {
		t.Errorf("a minute later: %d", got.status)
	}
	if lines := strings.Count(journal.String(), "client_id="+id); lines != 2 {
		t.Errorf("%d lines in the journal after a minute", lines)
	}
	for i := range 10 * journalPerMinute { // one who makes up names does not fill the journal either
		r.do(t, "GET", "/api/iot/config", nil, basic(fmt.Sprintf("nobody%d", i), "wrong"))
	}
	if lines := strings.Count(journal.String(), "\n"); lines > 2+journalPerMinute {
		t.Errorf("%d lines in the journal for made-up names", lines)
	}
	if strings.Contains(journal.String(), "secret=") || strings.Contains(journal.String(), "old secret") {
		t.Errorf("the journal has a secret:\n%s", &journal)
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
