package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Algorithms that the gateway signs with.
const (
	EdDSA = "EdDSA"
	ES256 = "ES256"
)

// Keys are the gateway's signing keys: one signs, one may be announced before it does, and old ones stay until the last
// token that they signed has ended.
type Keys struct {
	dir       string
	algorithm string
	lifetime  time.Duration // of a token
	now       func() time.Time

	mu   sync.RWMutex // guards keys
	keys []key        // oldest first
}

// key is one signing key. Its file is signing-<seconds since 1970>-<kid>.pem.
type key struct {
	kid     string
	signer  crypto.Signer
	method  jwt.SigningMethod
	created time.Time
}

const (
	announce = time.Hour            // brokers fetch key sets now and then: a key is published before it signs
	keyAge   = 180 * 24 * time.Hour // after which a key is replaced by itself
)

// OpenKeys reads the keys below dir, or makes the first one. On a disk that takes nothing those that are there sign on.
func OpenKeys(dir, algorithm string, lifetime time.Duration, now func() time.Time) (*Keys, error) {
	if algorithm != EdDSA && algorithm != ES256 {
		return nil, fmt.Errorf("token algorithm %q: want EdDSA or ES256", algorithm)
	}
	k := &Keys{dir: dir, algorithm: algorithm, lifetime: lifetime, now: now}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := k.read(); err != nil {
		return nil, err
	}
	err := k.Tend()
	if len(k.keys) > 0 && errors.Is(fleet.OfDisk(err), fleet.ErrFull) {
		err = nil // it is tended every minute
	}
	return k, err
}

// ReadKeys reads the keys below dir as they are, to verify tokens. It makes none and removes none; os.ErrNotExist is that there is
// none.
func ReadKeys(dir, algorithm string, lifetime time.Duration, now func() time.Time) (*Keys, error) {
	k := &Keys{dir: dir, algorithm: algorithm, lifetime: lifetime, now: now}
	err := k.read()
	if err == nil && len(k.keys) == 0 {
		err = fmt.Errorf("no signing key is in %s: %w", dir, os.ErrNotExist)
	}
	return k, err
}

func (k *Keys) read() error {
	paths, err := filepath.Glob(filepath.Join(k.dir, "signing-*.pem"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		read, err := readKey(path)
		if err != nil {
			return fmt.Errorf("signing key %s: %w", path, err)
		}
		k.keys = append(k.keys, read)
	}
	slices.SortFunc(k.keys, func(a, b key) int { return a.created.Compare(b.created) })
	return nil
}

// Files are the names of the keys' files, oldest first.
func (k *Keys) Files() []string {
	k.mu.RLock()
	defer k.mu.RUnlock()
	names := make([]string, len(k.keys))
	for i, one := range k.keys {
		names[i] = filepath.Base(one.path(k.dir))
	}
	return names
}

// LostKey is the first of these files of signing keys that is not in the folder and should be: tokens that it signed may
// still be good. "" is none. One whose last token has ended may have been removed by [Keys.Tend].
func LostKey(dir string, names []string, lifetime time.Duration, now time.Time) (string, error) {
	var created []time.Time // of those that are there, and of the missing ones
	missing := map[string]time.Time{}
	there, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	for _, name := range names {
		at, err := createdAt(name)
		if err != nil {
			continue // no signing key
		}
		created = append(created, at)
		if !slices.ContainsFunc(there, func(e os.DirEntry) bool { return sameKey(e.Name(), name) }) {
			missing[name] = at
		}
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		next := slices.IndexFunc(created, func(at time.Time) bool { return at.After(missing[name]) })
		if next < 0 || now.Sub(created[next].Add(announce)) <= lifetime+leeway {
			return name, nil
		}
	}
	return "", nil
}

// sameKey reports that both are files of one key: [Keys.Restamp] changes the time in its name.
func sameKey(a, b string) bool {
	const kidEnd = 8 + len(".pem")
	return a == b || len(a) > kidEnd && len(b) > kidEnd && a[len(a)-kidEnd:] == b[len(b)-kidEnd:] && strings.HasPrefix(a, "signing-")
}

// Tend makes a key where none signs with the wanted algorithm or the last one is old, and removes those whose last token
// has ended. The gateway calls it every minute.
func (k *Keys) Tend() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if n := len(k.keys); n == 0 || k.keys[n-1].method.Alg() != k.algorithm || now.Sub(k.keys[n-1].created) > keyAge {
		if err := k.make(now); err != nil {
			return err
		}
	}
	for len(k.keys) > 1 && now.Sub(k.keys[1].signsFrom(k.keys[:1])) > k.lifetime+leeway {
		if err := os.Remove(k.keys[0].path(k.dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		k.keys = k.keys[1:]
	}
	return nil
}

// Restamp gives keys that were made in the future the present time: a clock that was wrong has made them, they would sign
// from then on only, and so would every key after them. The caller knows that the clock is believed now. Up to an hour
// ahead is left: a clock that was set back a little.
func (k *Keys) Restamp() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now().UTC().Truncate(time.Second)
	for i, one := range k.keys {
		if one.created.Sub(now) <= announce {
			continue
		}
		stamped := one
		stamped.created = now
		if i > 0 && !now.After(k.keys[i-1].created) {
			stamped.created = k.keys[i-1].created.Add(time.Second) // they stay in order
		}
		if err := os.Rename(one.path(k.dir), stamped.path(k.dir)); err != nil {
			return err
		}
		k.keys[i] = stamped
		if err := durable.SyncDir(k.dir); err != nil {
			return err
		}
	}
	return nil
}

// Rotate makes a new key now. It is published at once and signs an hour later.
func (k *Keys) Rotate() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.make(k.now())
}

// signsFrom is when a key takes over from those before it; the first one ever signs at once.
func (k key) signsFrom(older []key) time.Time {
	if len(older) == 0 {
		return k.created
	}
	return k.created.Add(announce)
}

// make makes a key and its file. The caller holds mu.
func (k *Keys) make(now time.Time) error {
	made := key{created: now.UTC().Truncate(time.Second)}
	if n := len(k.keys); n > 0 && !made.created.After(k.keys[n-1].created) {
		made.created = k.keys[n-1].created.Add(time.Second) // two rotations in one second stay in order
	}
	var err error
	if k.algorithm == ES256 {
		made.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		_, made.signer, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		return err
	}
	if made, err = named(made); err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(made.signer)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := durable.WriteFile(made.path(k.dir), text, 0o600); err != nil {
		return err
	}
	k.keys = append(k.keys, made)
	return nil
}

// named fills in the kid, 8 characters of the public key's hash, and the method.
func named(k key) (key, error) {
	public, err := x509.MarshalPKIXPublicKey(k.signer.Public())
	if err != nil {
		return k, err
	}
	sum := sha256.Sum256(public)
	k.kid = base64.RawURLEncoding.EncodeToString(sum[:6])
	switch k.signer.(type) {
	case ed25519.PrivateKey:
		k.method = jwt.SigningMethodEdDSA
	case *ecdsa.PrivateKey:
		k.method = jwt.SigningMethodES256
	default:
		return k, errors.New("neither Ed25519 nor P-256")
	}
	return k, nil
}

func (k key) path(dir string) string {
	return filepath.Join(dir, fmt.Sprintf("signing-%d-%s.pem", k.created.Unix(), k.kid))
}

func readKey(path string) (key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return key{}, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return key{}, errors.New("not a PEM file")
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return key{}, err
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return key{}, errors.New("not a signing key")
	}
	created, err := createdAt(filepath.Base(path))
	if err != nil {
		return key{}, err
	}
	read, err := named(key{signer: signer, created: created})
	if err == nil && read.path(filepath.Dir(path)) != path {
		err = errors.New("it is damaged: it is not the key that its name says")
	}
	return read, err
}

// createdAt is the time in the name of a key's file.
func createdAt(name string) (time.Time, error) {
	var seconds int64
	if _, err := fmt.Sscanf(name, "signing-%d-", &seconds); err != nil {
		return time.Time{}, errors.New("there is no time in its name")
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// signing is the key that signs now: the newest that has been announced for long enough.
func (k *Keys) signing() key {
	k.mu.RLock()
	defer k.mu.RUnlock()
	now := k.now()
	for i := len(k.keys) - 1; i > 0; i-- {
		if !now.Before(k.keys[i].signsFrom(k.keys[:i])) {
			return k.keys[i]
		}
	}
	return k.keys[0]
}

// find is the key that a token names.
func (k *Keys) find(kid string) (key, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, candidate := range k.keys {
		if candidate.kid == kid {
			return candidate, true
		}
	}
	return key{}, false
}

// JWK is one public key of a key set, RFC 7517 and 8037.
type JWK struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y,omitempty"`
	KeyID     string `json:"kid"`
	Algorithm string `json:"alg"`
	Use       string `json:"use"`
}

// JWKSet is a key set.
type JWKSet struct {
	Keys []JWK `json:"keys"`
}

// Public is the key set that others verify the gateway's tokens with.
func (k *Keys) Public() JWKSet {
	k.mu.RLock()
	defer k.mu.RUnlock()
	set := JWKSet{Keys: []JWK{}}
	for _, one := range k.keys {
		set.Keys = append(set.Keys, one.public())
	}
	return set
}

func (k key) public() JWK {
	jwk := JWK{KeyID: k.kid, Algorithm: k.method.Alg(), Use: "sig"}
	switch p := k.signer.Public().(type) {
	case ed25519.PublicKey:
		jwk.KeyType, jwk.Curve, jwk.X = "OKP", "Ed25519", base64.RawURLEncoding.EncodeToString(p)
	case *ecdsa.PublicKey:
		if point, err := p.Bytes(); err == nil && len(point) == 65 { // uncompressed: 4, x, y
			jwk.KeyType, jwk.Curve = "EC", "P-256"
			jwk.X = base64.RawURLEncoding.EncodeToString(point[1:33])
			jwk.Y = base64.RawURLEncoding.EncodeToString(point[33:])
		}
	}
	return jwk
}
