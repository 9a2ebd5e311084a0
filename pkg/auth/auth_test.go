package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// shortStore is the catalog as auth sees it.
type shortStore struct {
	mu      sync.Mutex
	devices map[fleet.DeviceKey]fleet.Device
	secrets map[fleet.DeviceKey]DeviceSecrets
	tokens  map[string]OperatorToken
	full    bool                   // no change is stored
	noted   []map[string]time.Time // when tokens were used
}

func newStore(devices ...fleet.Device) *shortStore {
	s := &shortStore{devices: map[fleet.DeviceKey]fleet.Device{}, secrets: map[fleet.DeviceKey]DeviceSecrets{}, tokens: map[string]OperatorToken{}}
	for _, d := range devices {
		s.devices[d.Key] = d
		s.secrets[d.Key] = DeviceSecrets{Current: HashSecret("secret of " + string(d.Key))}
	}
	return s
}

func (s *shortStore) Device(key fleet.DeviceKey) (fleet.Device, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.devices[key]
	if !ok {
		return d, fleet.Unknown("no device %s", key)
	}
	return d, nil
}

func (s *shortStore) Model(code fleet.ModelCode) (fleet.Model, error) {
	if code == "ghost" {
		return fleet.Model{}, fleet.Unknown("no model %s", code)
	}
	return fleet.Model{Code: code}, nil
}

func (s *shortStore) AddDevice(_ context.Context, d fleet.Device, secrets DeviceSecrets) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.devices[d.Key]; there {
		return fleet.Taken("device %s is there already", d.Key)
	}
	s.devices[d.Key], s.secrets[d.Key] = d, secrets
	return nil
}

// RegisterDevice refuses the one key that a person has removed.
func (s *shortStore) RegisterDevice(ctx context.Context, d fleet.Device) error {
	if d.Key == "gonegone" {
		return fleet.Refused("device %s was removed", d.Key)
	}
	return s.AddDevice(ctx, d, DeviceSecrets{})
}

func (s *shortStore) ReplaceDeviceSecrets(_ context.Context, key fleet.DeviceKey, secrets DeviceSecrets, notBefore time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.devices[key]
	if !ok {
		return fleet.Unknown("no device %s", key)
	}
	d.NotBefore, secrets.Path, secrets.PathShared = notBefore, s.secrets[key].Path, s.secrets[key].PathShared
	s.devices[key], s.secrets[key] = d, secrets
	return nil
}

func (s *shortStore) UpdateDevice(_ context.Context, key fleet.DeviceKey, change func(*fleet.Device) error) (fleet.Device, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.devices[key]
	if !ok {
		return d, fleet.Unknown("no device %s", key)
	}
	if s.full {
		return d, fleet.Full("no room")
	}
	err := change(&d)
	if err == nil {
		s.devices[key] = d
	}
	return d, err
}

func (s *shortStore) DeviceSecrets(key fleet.DeviceKey) (DeviceSecrets, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secrets[key], nil
}

func (s *shortStore) UpdateDeviceSecrets(_ context.Context, key fleet.DeviceKey, change func(*DeviceSecrets) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return fleet.Full("no room")
	}
	if _, ok := s.devices[key]; !ok {
		return fleet.Unknown("no device %s", key)
	}
	secrets := s.secrets[key]
	if err := change(&secrets); err != nil {
		return err
	}
	s.secrets[key] = secrets
	return nil
}

func (s *shortStore) OperatorToken(id string) (OperatorToken, error) {
	t, ok := s.tokens[id]
	if !ok {
		return t, fleet.Unknown("no token %s", id)
	}
	return t, nil
}

func (s *shortStore) OperatorTokens() ([]OperatorToken, error) {
	var all []OperatorToken
	for _, t := range s.tokens {
		all = append(all, t)
	}
	return all, nil
}

func (s *shortStore) AddOperatorToken(_ context.Context, t OperatorToken) error {
	s.tokens[t.ID] = t
	return nil
}

func (s *shortStore) NoteTokensUsed(_ context.Context, used map[string]time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return fleet.Full("the disk")
	}
	s.noted = append(s.noted, used)
	return nil
}

func (s *shortStore) RemoveOperatorToken(_ context.Context, id string) error {
	if _, ok := s.tokens[id]; !ok {
		return fleet.Unknown("no token %s", id)
	}
	delete(s.tokens, id)
	return nil
}

// office is an issuer and what verifies its tokens, with a clock of its own.
type office struct {
	now      time.Time
	keys     *Keys
	store    *shortStore
	issuer   *Issuer
	verifier *Verifier
	devices  *Devices
}

var pump = fleet.Device{Key: "a1b2c3d4", Model: "pump"}

func open(t testing.TB, algorithm string, devices ...fleet.Device) *office {
	t.Helper()
	o := &office{now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), store: newStore(devices...)}
	clock := func() time.Time { return o.now }
	var err error
	if o.keys, err = OpenKeys(t.TempDir(), algorithm, 24*time.Hour, clock); err != nil {
		t.Fatal(err)
	}
	o.issuer = &Issuer{Keys: o.keys, Devices: o.store, Lifetime: 24 * time.Hour, Earliest: func() time.Time { return time.Time{} }, Now: clock}
	o.verifier = NewVerifier(o.keys, nil, clock)
	o.devices = &Devices{Verifier: o.verifier, Secrets: o.issuer, Registry: o.store, Now: clock}
	return o
}

func TestAGrantedTokenIsItsDevicesAndFitsAHeaderLine(t *testing.T) {
	long := fleet.Device{Key: "a1b2c3d4", Model: fleet.ModelCode(strings.Repeat("m", 50))}
	for _, algorithm := range []string{EdDSA, ES256} {
		o := open(t, algorithm, long)
		token, err := o.issuer.Grant(t.Context(), long.ClientID(), "secret of a1b2c3d4")
		if err != nil {
			t.Fatal(err)
		}
		if len(token.AccessToken) > 485 {
			t.Errorf("%s: %d bytes", algorithm, len(token.AccessToken))
		}
		device, model, err := o.devices.Authenticate(t.Context(), token.AccessToken)
		if err != nil || device.Key != long.Key || model.Code != long.Model {
			t.Errorf("%s: %v %v %v", algorithm, device, model, err)
		}
		var claims map[string]any
		body, err := base64.RawURLEncoding.DecodeString(strings.Split(token.AccessToken, ".")[1])
		if err != nil || json.Unmarshal(body, &claims) != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"iss", "aud", "azp", "sub", "iat", "exp", "jti"} {
			if claims[name] == nil {
				t.Errorf("%s: no %s", algorithm, name)
			}
		}
		if len(claims) != 7 {
			t.Errorf("%s: claims %v", algorithm, claims)
		}
		kid := o.keys.Public().Keys[0].KeyID
		if len(kid) != 8 {
			t.Errorf("%s: kid %q", algorithm, kid)
		}
	}
}

func TestAWrongSecretIsInvalidClientWhateverElseIsRight(t *testing.T) {
	revoked := fleet.Device{Key: "rrrrrrrr", Model: "pump", Revoked: true}
	o := open(t, EdDSA, pump, revoked)
	for _, c := range [][2]string{
		{pump.ClientID(), "wrong"}, {pump.ClientID(), ""}, {"iotdevice-other-a1b2c3d4", "secret of a1b2c3d4"},
		{"iotdevice-pump-zzzzzzzz", ""}, {"", ""}, {revoked.ClientID(), "secret of rrrrrrrr"},
	} {
		if token, err := o.issuer.Grant(t.Context(), c[0], c[1]); !errors.Is(err, ErrInvalidClient) || token.AccessToken != "" {
			t.Errorf("%q, %q: %v", c[0], c[1], err)
		}
	}
}

func TestARotatedSecretWorksAtOnceAndTheOldOneUntilTheNewIsUsed(t *testing.T) {
	o := open(t, EdDSA, pump)
	grant := func(secret string) error {
		_, err := o.issuer.Grant(t.Context(), pump.ClientID(), secret)
		return err
	}
	const old = "secret of a1b2c3d4"
	unused, err := o.issuer.RotateSecret(t.Context(), pump.Key)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := o.issuer.RotateSecret(t.Context(), pump.Key) // the device lost power before it stored the first one
	if err != nil {
		t.Fatal(err)
	}
	if err := grant(unused); !errors.Is(err, ErrInvalidClient) {
		t.Errorf("the replaced unused secret: %v", err)
	}
	o.now = o.now.Add(40 * 24 * time.Hour) // off for a month
	if err := grant(old); err != nil {
		t.Errorf("the old one, before the new one is used: %v", err)
	}
	if err := grant(fresh); err != nil {
		t.Errorf("the new one: %v", err)
	}
	if err := grant(old); !errors.Is(err, ErrInvalidClient) {
		t.Errorf("the old one, after the new one was used: %v", err)
	}
	if err := grant(fresh); err != nil {
		t.Errorf("the new one again: %v", err)
	}
	record, err := json.Marshal(o.store.secrets[pump.Key])
	if err != nil || strings.Contains(string(record), fresh) {
		t.Errorf("the record holds the secret: %s", record)
	}
}

func TestASecretThatWasUsedOnAFullDiskIsNotReplacedByTheNextOne(t *testing.T) {
	o := open(t, EdDSA, pump)
	grant := func(secret string) error {
		_, err := o.issuer.Grant(t.Context(), pump.ClientID(), secret)
		return err
	}
	used, err := o.issuer.RotateSecret(t.Context(), pump.Key)
	if err != nil {
		t.Fatal(err)
	}
	o.store.full = true
	if err := grant(used); err != nil {
		t.Errorf("on a full disk: %v", err)
	}
	o.store.full = false
	lost, err := o.issuer.RotateSecret(t.Context(), pump.Key) // whose answer the device does not get
	if err != nil {
		t.Fatal(err)
	}
	if err := grant(used); err != nil {
		t.Errorf("what the device has: %v", err)
	}
	if err := grant(lost); err != nil {
		t.Errorf("what it was given: %v", err)
	}
	if err := grant(used); !errors.Is(err, ErrInvalidClient) {
		t.Errorf("the one before, once the new one was used: %v", err)
	}
}

func TestTheSecretItselfIsAsGoodAsAToken(t *testing.T) {
	o := open(t, EdDSA, pump)
	check := func(what, id, secret string, want error) {
		t.Helper()
		device, model, err := o.devices.AuthenticateSecret(t.Context(), id, secret)
		if !errors.Is(err, want) || err == nil && (device.Key != pump.Key || model.Code != pump.Model) {
			t.Errorf("%s: %v %v %v", what, device, model, err)
		}
	}
	const old = "secret of a1b2c3d4"
	check("right", pump.ClientID(), old, nil)
	check("wrong", pump.ClientID(), old+"x", ErrInvalidClient)
	check("of another model", "iotdevice-fan-a1b2c3d4", old, ErrInvalidClient)
	check("of nobody", "iotdevice-pump-zzzzzzzz", old, ErrInvalidClient)
	fresh, err := o.issuer.RotateSecret(t.Context(), pump.Key)
	if err != nil {
		t.Fatal(err)
	}
	o.store.full = true
	check("the new one, where the disk has no room to note its use", pump.ClientID(), fresh, nil)
	check("the old one then", pump.ClientID(), old, nil)
	o.store.full = false
	check("the new one", pump.ClientID(), fresh, nil)
	check("the old one, once the new one was used", pump.ClientID(), old, ErrInvalidClient)
}

func TestAReplacedSecretEndsItsTokensAndARotationDoesNot(t *testing.T) {
	o := open(t, EdDSA, pump)
	token, err := o.issuer.Mint(pump)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.issuer.RotateSecret(t.Context(), pump.Key); err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.devices.Authenticate(t.Context(), token.AccessToken); err != nil {
		t.Errorf("after a rotation: %v", err)
	}
	fresh, err := o.issuer.ReplaceSecret(t.Context(), pump.Key)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.devices.Authenticate(t.Context(), token.AccessToken); !errors.Is(err, ErrToken) {
		t.Errorf("after its secret was replaced: %v", err)
	}
	again, err := o.issuer.Grant(t.Context(), pump.ClientID(), fresh)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.devices.Authenticate(t.Context(), again.AccessToken); err != nil {
		t.Errorf("a token that the new secret bought within the same second: %v", err)
	}
}

func TestRevocationTakesEffectAtOnce(t *testing.T) {
	o := open(t, EdDSA, pump)
	token, err := o.issuer.Mint(pump)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, want error) {
		t.Helper()
		if _, _, err := o.devices.Authenticate(t.Context(), token.AccessToken); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	check("welcome", nil)
	d := pump
	d.Revoked = true
	o.store.devices[d.Key] = d
	check("revoked", ErrToken)
	d.Revoked, d.NotBefore = false, o.now.Add(time.Second)
	o.store.devices[d.Key] = d
	check("welcome again, with an old token", ErrToken)
	if token, err = o.issuer.Mint(d); err != nil {
		t.Fatal(err)
	}
	check("welcome again, with a token of the same second", nil)
	d.NotBefore, d.Model = time.Time{}, "fan"
	o.store.devices[d.Key] = d
	check("of another model now", ErrToken)
	delete(o.store.devices, d.Key)
	check("removed", ErrToken)
	if _, _, err := o.devices.Authenticate(t.Context(), ""); !errors.Is(err, ErrNoToken) {
		t.Errorf("no token: %v", err)
	}
}

// forge signs claims with whatever header and key.
func forge(t testing.TB, method jwt.SigningMethod, key any, header, claims map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, jwt.MapClaims(claims))
	for k, v := range header {
		token.Header[k] = v
	}
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestAForgedTokenDoesNotVerify(t *testing.T) {
	o := open(t, EdDSA, pump)
	signing := o.keys.signing()
	good := func(change func(map[string]any)) map[string]any {
		claims := map[string]any{"iss": "slipway", "aud": "slipway", "azp": pump.ClientID(), "sub": "a1b2c3d4", "iat": o.now.Unix(), "exp": o.now.Add(time.Hour).Unix(), "jti": "x"}
		if change != nil {
			change(claims)
		}
		return claims
	}
	kid := map[string]any{"kid": signing.kid}
	public := signing.signer.Public().(ed25519.PublicKey)
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own := func(header map[string]any, change func(map[string]any)) string {
		return forge(t, jwt.SigningMethodEdDSA, signing.signer, header, good(change))
	}
	if _, err := o.verifier.Verify(own(kid, nil)); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	for name, token := range map[string]string{
		"none":                    forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, good(nil)),
		"HS256 by the public key": forge(t, jwt.SigningMethodHS256, []byte(public), kid, good(nil)),
		"a stranger's key":        forge(t, jwt.SigningMethodEdDSA, stranger, kid, good(nil)),
		"another algorithm":       forge(t, jwt.SigningMethodES256, curve, kid, good(nil)),
		"no kid":                  own(nil, nil),
		"an unknown kid":          own(map[string]any{"kid": "xxxxxxxx"}, nil),
		"a critical extension":    own(map[string]any{"kid": signing.kid, "crit": []string{"exp"}}, nil),
		"no exp":                  own(kid, func(c map[string]any) { delete(c, "exp") }),
		"ended":                   own(kid, func(c map[string]any) { c["exp"] = o.now.Add(-2 * time.Minute).Unix() }),
		"from the future":         own(kid, func(c map[string]any) { c["iat"] = o.now.Add(2 * time.Minute).Unix() }),
		"another issuer":          own(kid, func(c map[string]any) { c["iss"] = "other" }),
		"another audience":        own(kid, func(c map[string]any) { c["aud"] = "other" }),
		"no azp":                  own(kid, func(c map[string]any) { delete(c, "azp") }),
		"an azp of no device":     own(kid, func(c map[string]any) { c["azp"] = "iotdevice-pump-short" }),
		"azp and sub differ":      own(kid, func(c map[string]any) { c["sub"] = "zzzzzzzz" }),
		"cut":                     own(kid, nil)[:100],
		"empty":                   "",
		"no token":                "a.b.c",
		"huge":                    strings.Repeat("a", 1<<20),
	} {
		if id, err := o.verifier.Verify(token); !errors.Is(err, ErrToken) || id != (Identity{}) {
			t.Errorf("%s: %+v, %v", name, id, err)
		}
	}
	if _, err := o.verifier.Verify(own(kid, func(c map[string]any) { c["exp"] = o.now.Add(-30 * time.Second).Unix() })); err != nil {
		t.Errorf("ended within the leeway: %v", err)
	}
}

func TestKeysRotateWithOverlap(t *testing.T) {
	o := open(t, EdDSA, pump)
	old, err := o.issuer.Mint(pump)
	if err != nil {
		t.Fatal(err)
	}
	first := o.keys.signing().kid
	if err := o.keys.Rotate(); err != nil {
		t.Fatal(err)
	}
	if n := len(o.keys.Public().Keys); n != 2 || o.keys.signing().kid != first {
		t.Errorf("%d keys published, %s signs: a new key is announced before it signs", n, o.keys.signing().kid)
	}
	o.now = o.now.Add(2 * time.Hour)
	if o.keys.signing().kid == first {
		t.Error("the new key does not sign after it was announced")
	}
	if _, err := o.verifier.Verify(old.AccessToken); err != nil {
		t.Errorf("a token of the old key: %v", err)
	}
	reopened, err := OpenKeys(o.keys.dir, EdDSA, 24*time.Hour, func() time.Time { return o.now })
	if err != nil || len(reopened.Public().Keys) != 2 || reopened.signing().kid != o.keys.signing().kid {
		t.Errorf("after a restart: %v, %v", reopened.Public(), err)
	}
	o.now = o.now.Add(26 * time.Hour)
	if err := o.keys.Tend(); err != nil || len(o.keys.Public().Keys) != 1 {
		t.Errorf("the old key is still there after its last token ended: %v", err)
	}
	other, err := OpenKeys(o.keys.dir, ES256, 24*time.Hour, func() time.Time { return o.now })
	if err != nil || len(other.Public().Keys) != 2 || other.Public().Keys[1].Algorithm != ES256 {
		t.Errorf("another algorithm: %+v, %v", other.Public(), err)
	}
}

func TestAnOldKeySignsOnWhereTheDiskTakesNoNewOne(t *testing.T) {
	o := open(t, EdDSA, pump)
	if err := unix.Mount(o.keys.dir, o.keys.dir, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("nothing can be mounted here (%v): run as root to see what a read-only disk does", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(o.keys.dir, 0); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Mount("", o.keys.dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	later := func() time.Time { return o.now.Add(keyAge + time.Hour) }
	k, err := OpenKeys(o.keys.dir, EdDSA, 24*time.Hour, later)
	if err != nil || k.signing().kid != o.keys.signing().kid {
		t.Errorf("%v", err)
	}
	if _, err := OpenKeys(filepath.Join(o.keys.dir, "none"), EdDSA, 24*time.Hour, later); err == nil {
		t.Error("no key, and no error")
	}
}

func TestAClockThatIsWrongMintsNothing(t *testing.T) {
	o := open(t, EdDSA, pump)
	o.issuer.Earliest = func() time.Time { return o.now.Add(time.Second) }
	if token, err := o.issuer.Mint(pump); !errors.Is(err, ErrClock) || token.AccessToken != "" {
		t.Errorf("%v", err)
	}
}

func TestAnExternalIssuersTokensVerifyThroughItsKeySetAlone(t *testing.T) {
	foreign := open(t, ES256)
	var fetches atomic.Int32
	var down atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		if down.Load() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(foreign.keys.Public())
	}))
	defer server.Close()
	o := open(t, EdDSA)
	x := NewExternal(ExternalIssuer{Issuer: "https://sso", JWKSURL: server.URL, Audience: "devices", Algorithms: []string{ES256}}, slog.New(slog.DiscardHandler))
	o.verifier.external[x.Issuer] = x
	claims := map[string]any{"iss": "https://sso", "aud": "devices", "azp": "iotdevice-pump-e1e1e1e1", "sub": "whatever", "exp": o.now.Add(time.Hour).Unix(), "iat": o.now.Unix()}
	token := forge(t, jwt.SigningMethodES256, foreign.keys.signing().signer, map[string]any{"kid": foreign.keys.signing().kid, "jku": "http://evil", "x5u": "http://evil"}, claims)

	if _, err := o.verifier.Verify(token); !errors.Is(err, ErrToken) || fetches.Load() != 0 {
		t.Errorf("before the first fetch: %v, %d fetches by a request", err, fetches.Load())
	}
	if err := x.fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	device, _, err := o.devices.Authenticate(t.Context(), token)
	if err != nil || device.Key != "e1e1e1e1" || o.store.devices["e1e1e1e1"].Model != "pump" {
		t.Errorf("an unknown device is not registered: %v, %v", device, err)
	}
	down.Store(true)
	if err := x.fetch(t.Context()); err == nil {
		t.Error("an outage is no error")
	}
	claims["jti"] = "another"
	again := forge(t, jwt.SigningMethodES256, foreign.keys.signing().signer, map[string]any{"kid": foreign.keys.signing().kid}, claims)
	if _, err := o.verifier.Verify(again); err != nil {
		t.Errorf("the last good key set does not survive an outage: %v", err)
	}
	before := fetches.Load()
	unknown := forge(t, jwt.SigningMethodES256, foreign.keys.signing().signer, map[string]any{"kid": "unknown1"}, claims)
	if _, err := o.verifier.Verify(unknown); !errors.Is(err, ErrToken) || fetches.Load() != before || len(x.stale) != 1 {
		t.Errorf("an unknown key: %v, fetched by the request: %v, refetch asked for: %v", err, fetches.Load() != before, len(x.stale) == 1)
	}
	removed := forge(t, jwt.SigningMethodES256, foreign.keys.signing().signer, map[string]any{"kid": foreign.keys.signing().kid},
		map[string]any{"iss": "https://sso", "aud": "devices", "azp": "iotdevice-pump-gonegone", "exp": o.now.Add(time.Hour).Unix()})
	if _, _, err := o.devices.Authenticate(t.Context(), removed); !errors.Is(err, ErrToken) || o.store.devices["gonegone"].Key != "" {
		t.Errorf("a device that a person has removed registers itself: %v", err)
	}
	ghost := forge(t, jwt.SigningMethodES256, foreign.keys.signing().signer, map[string]any{"kid": foreign.keys.signing().kid},
		map[string]any{"iss": "https://sso", "aud": "devices", "azp": "iotdevice-ghost-e2e2e2e2", "exp": o.now.Add(time.Hour).Unix()})
	if _, _, err := o.devices.Authenticate(t.Context(), ghost); !errors.Is(err, fleet.ErrUnknown) {
		t.Errorf("a device of an unknown model: %v", err)
	}
}

// TestTheUseOfATokenIsShownAtOnceAndWrittenOnceAnHour: a request writes nothing, a stop loses nothing, nor does a full disk.
func TestTheUseOfATokenIsShownAtOnceAndWrittenOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore()
		o := &Operators{Store: store, Now: time.Now}
		token, record, err := o.Create(t.Context(), "ci", Pipeline)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error)
		go func() { over <- o.Run(ctx) }()
		begun := time.Now()
		used := func() time.Time {
			all, err := o.List()
			if err != nil || len(all) != 1 {
				t.Fatal(all, err)
			}
			return all[0].UsedAt
		}
		if !used().IsZero() {
			t.Errorf("used at %s", used())
		}
		for range 150 { // one a minute, for two and a half hours
			time.Sleep(time.Minute)
			if _, err := o.Authenticate(token); err != nil {
				t.Fatal(err)
			}
			if _, err := o.Authenticate(token + "x"); err == nil {
				t.Fatal("a wrong token")
			}
		}
		synctest.Wait()
		writes := func() []map[string]time.Time {
			store.mu.Lock()
			defer store.mu.Unlock()
			return store.noted
		}
		if n := len(writes()); n != 2 || !used().Equal(begun.Add(150*time.Minute)) {
			t.Errorf("%d writes, used at %s", n, used())
		}
		store.mu.Lock()
		store.full = true
		store.mu.Unlock()
		time.Sleep(time.Hour)
		store.mu.Lock()
		store.full = false
		store.mu.Unlock()
		if !used().Equal(begun.Add(150 * time.Minute)) {
			t.Errorf("after a full disk it was used at %s", used())
		}
		cancel()
		if err := <-over; err != nil || len(writes()) != 3 || !writes()[2][record.ID].Equal(begun.Add(150*time.Minute)) {
			t.Errorf("at the stop: %v, %v", store.noted, err)
		}
	})
}

func TestOperatorTokensAreStoredHashedAndHaveRoles(t *testing.T) {
	o := &Operators{Store: newStore(), Now: time.Now}
	token, record, err := o.Create(t.Context(), "ci", Pipeline)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := json.Marshal(record)
	if err != nil || strings.Contains(string(stored), token) || len(record.Hash) != 64 {
		t.Errorf("stored: %s", stored)
	}
	if got, err := o.Authenticate(token); err != nil || got.Role != Pipeline {
		t.Errorf("%+v, %v", got, err)
	}
	for _, wrong := range []string{token + "x", token[:len(token)-1], "slw_" + record.ID + "_x", "slw_", "x"} {
		if _, err := o.Authenticate(wrong); !errors.Is(err, ErrToken) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if err := o.Revoke(t.Context(), record.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Authenticate(token); !errors.Is(err, ErrToken) {
		t.Errorf("revoked: %v", err)
	}
	for role, may := range map[Role]string{Viewer: "viewer", Operator: "viewer operator pipeline", Admin: "viewer operator admin pipeline", Pipeline: "pipeline"} {
		for _, need := range Roles {
			if got := role.May(need); got != strings.Contains(" "+may+" ", fmt.Sprintf(" %s ", need)) {
				t.Errorf("%s may what %s may: %v", role, need, got)
			}
		}
	}
}

func FuzzVerify(f *testing.F) {
	o := open(f, EdDSA, pump)
	token, err := o.issuer.Mint(pump)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token.AccessToken)
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := o.verifier.Verify(s)
		if err == nil && s != token.AccessToken {
			t.Errorf("%q verifies as %+v", s, id)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	o := open(b, EdDSA, pump)
	token, err := o.issuer.Mint(pump)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			o.verifier.cache = verified{}
			if _, err := o.verifier.Verify(token.AccessToken); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			if _, err := o.verifier.Verify(token.AccessToken); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestASigningKeyThatIsMissingIsLostUnlessItsLastTokenHasEnded(t *testing.T) {
	const lifetime = 24 * time.Hour
	dir, now := t.TempDir(), time.Now()
	names := []string{fmt.Sprintf("signing-%d-aaaaaaaa.pem", now.Add(-48*time.Hour).Unix()), fmt.Sprintf("signing-%d-bbbbbbbb.pem", now.Unix())}
	lost := func(there []string, now time.Time) string {
		t.Helper()
		for _, name := range names {
			os.Remove(filepath.Join(dir, name))
		}
		for _, name := range there {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		name, err := LostKey(dir, append([]string{"ca.crt"}, names...), lifetime, now)
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, test := range []struct {
		there []string
		after time.Duration
		want  string
	}{
		{names, 0, ""},
		{names[1:], 0, names[0]},
		{names[1:], 26 * time.Hour, ""}, // Tend has removed it
		{names[:1], 26 * time.Hour, names[1]},
		{nil, 26 * time.Hour, names[1]},
	} {
		if got := lost(test.there, now.Add(test.after)); got != test.want {
			t.Errorf("%v are there after %s: %q is lost, want %q", test.there, test.after, got, test.want)
		}
	}
}

func TestADamagedSigningKeyIsRefused(t *testing.T) {
	o := open(t, EdDSA, pump)
	path := filepath.Join(o.keys.dir, o.keys.Files()[0])
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	block.Bytes[len(block.Bytes)-1] ^= 1 // of the seed: it is a key, another one
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeys(o.keys.dir, EdDSA, 24*time.Hour, time.Now); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("it is taken: %v", err)
	}
}
