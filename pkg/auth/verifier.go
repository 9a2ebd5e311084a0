package auth

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Verifier checks access tokens. What it says of a token holds only for the token: whether the device is known and
// welcome is looked up at every request, see Devices.
type Verifier struct {
	keys     *Keys
	external map[string]*External // by issuer
	own      *jwt.Parser
	now      func() time.Time
	cache    verified
}

// NewVerifier verifies the gateway's own tokens and those of the external issuers.
func NewVerifier(keys *Keys, external []*External, now func() time.Time) *Verifier {
	v := &Verifier{keys: keys, external: map[string]*External{}, now: now}
	for _, x := range external {
		v.external[x.Issuer] = x
	}
	v.own = v.parser(issuerName, audienceName, []string{EdDSA, ES256})
	return v
}

func (v *Verifier) parser(issuer, audience string, algorithms []string) *jwt.Parser {
	options := []jwt.ParserOption{
		jwt.WithValidMethods(algorithms), jwt.WithIssuer(issuer), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(leeway), jwt.WithTimeFunc(v.now), jwt.WithStrictDecoding(),
	}
	if audience != "" {
		options = append(options, jwt.WithAudience(audience))
	}
	return jwt.NewParser(options...)
}

// claims are what Slipway reads of a token.
type claims struct {
	jwt.RegisteredClaims
	AuthorizedParty string `json:"azp"`
}

// Verify checks a token's signature and claims.
func (v *Verifier) Verify(token string) (Identity, error) {
	id := sha256.Sum256([]byte(token))
	now := v.now()
	if known, ok := v.cache.find(id, now); ok {
		return known, nil
	}
	if len(token) > mostToken {
		return Identity{}, fmt.Errorf("%w: %d bytes", ErrToken, len(token))
	}
	issuer, err := issuerOf(token)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	parser, find := v.own, v.find
	x := v.external[issuer]
	if x != nil {
		parser, find = v.parser(x.Issuer, x.Audience, x.Algorithms), x.find
	}
	var c claims
	if _, err := parser.ParseWithClaims(token, &c, refuseCritical(find)); err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	model, key, err := fleet.ParseClientID(c.AuthorizedParty)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if x == nil && c.Subject != string(key) {
		return Identity{}, fmt.Errorf("%w: sub and azp name two devices", ErrToken)
	}
	verified := Identity{Model: model, Key: key, Expires: c.ExpiresAt.Time, External: x != nil}
	if c.IssuedAt != nil {
		verified.Issued = c.IssuedAt.Time
	}
	v.cache.add(id, verified)
	return verified, nil
}

// mostToken bounds what is parsed at all; external issuers' RS256 tokens are the largest.
const mostToken = 8 << 10

// issuerOf reads the issuer of a token that nobody has verified: it only says whose keys to verify it with.
func issuerOf(token string) (string, error) {
	var c jwt.RegisteredClaims
	if _, _, err := jwt.NewParser(jwt.WithStrictDecoding()).ParseUnverified(token, &c); err != nil {
		return "", err
	}
	return c.Issuer, nil
}

// refuseCritical refuses tokens with a crit header, as RFC 7515 asks of whoever does not know what it lists.
func refuseCritical(find jwt.Keyfunc) jwt.Keyfunc {
	return func(t *jwt.Token) (any, error) {
		if _, critical := t.Header["crit"]; critical {
			return nil, fmt.Errorf("critical extensions are not supported")
		}
		return find(t)
	}
}

// find is the gateway's own key that a token names, for the one algorithm that the key has.
func (v *Verifier) find(t *jwt.Token) (any, error) {
	kid, _ := t.Header["kid"].(string)
	k, ok := v.keys.find(kid)
	if !ok || k.method.Alg() != t.Method.Alg() {
		return nil, fmt.Errorf("no key %q for %s", kid, t.Method.Alg())
	}
	return k.signer.Public(), nil
}

// verified remembers tokens whose signature was checked, by their hash. Devices poll with one token all day, and a
// signature costs more than everything else of such a request.
type verified struct {
	mu    sync.RWMutex // guards the two
	young map[[32]byte]Identity
	old   map[[32]byte]Identity
}

// mostVerified tokens stay in each half; a token that is dropped is verified once more.
const mostVerified = 8192

func (c *verified) find(id [32]byte, now time.Time) (Identity, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	known, ok := c.young[id]
	if !ok {
		known, ok = c.old[id]
	}
	return known, ok && now.Before(known.Expires.Add(leeway))
}

// add keeps two generations: when the young one is full it becomes the old one, which is forgotten whole.
func (c *verified) add(id [32]byte, known Identity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil || len(c.young) >= mostVerified {
		c.old, c.young = c.young, map[[32]byte]Identity{}
	}
	c.young[id] = known
}
