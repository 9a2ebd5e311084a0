package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Hash is a secret as it is stored: hex SHA-256. Secrets are 256 random bits, so that a slow hash would protect nothing
// and stop the gateway when ten thousand devices come back at once. "" is no secret and matches none.
type Hash string

// HashSecret is what is stored of a secret.
func HashSecret(secret string) Hash {
	sum := sha256.Sum256([]byte(secret))
	return Hash(hex.EncodeToString(sum[:]))
}

// Matches compares in constant time.
func (h Hash) Matches(secret string) bool {
	return h != "" && subtle.ConstantTimeCompare([]byte(h), []byte(HashSecret(secret))) == 1
}

// NewSecret draws 256 random bits, as base64url.
func NewSecret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // it never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// DeviceSecrets is what is stored of a device's secrets: of its client secret, of which Next has been handed out and not been
// used (the first use makes it Current), and of its path secret.
type DeviceSecrets struct {
	Current   Hash      `json:"current,omitempty"`
	Next      Hash      `json:"next,omitempty"`
	ChangedAt time.Time `json:"changed_at,omitzero"`
	Path      Hash      `json:"path,omitempty"` // "": none was made, or it was revoked
	// PathShared: the path secret is the shared one of an adoption behind the device's key.
	PathShared bool `json:"path_shared,omitempty"`
}

// Role is what an operator's token may do.
type Role string

// The roles. Each of the first three may do what those before it may; Pipeline pushes firmware, reads
// and halts rollouts, and nothing else: it replaces no build that is there.
const (
	Viewer   Role = "viewer"
	Operator Role = "operator"
	Admin    Role = "admin"
	Pipeline Role = "pipeline"
)

// Roles lists all of them.
var Roles = []Role{Viewer, Operator, Admin, Pipeline}

// ParseRole refuses what is no role.
func ParseRole(s string) (Role, error) {
	for _, r := range Roles {
		if string(r) == s {
			return r, nil
		}
	}
	return "", fmt.Errorf("role %q: want viewer, operator, pipeline or admin", s)
}

// May reports that a holder of r may do what is asked of a holder of need.
func (r Role) May(need Role) bool {
	rank := map[Role]int{Viewer: 1, Operator: 2, Admin: 3}
	if need == Pipeline {
		return r == Pipeline || rank[r] >= rank[Operator]
	}
	return rank[r] > 0 && rank[r] >= rank[need]
}

// OperatorToken is what is stored of a person's or a pipeline's token.
type OperatorToken struct {
	ID        string    `json:"id"`
	Name      string    `json:"name,omitempty"`
	Role      Role      `json:"role"`
	Hash      Hash      `json:"hash"`
	CreatedAt time.Time `json:"created_at"`
	// Models are those that a pipeline's token pushes firmware of; none names all.
	Models []fleet.ModelCode `json:"models,omitempty"`
	MadeBy fleet.Actor       `json:"made_by,omitzero"` // none of one that an older slipway made
	UsedAt time.Time         `json:"used_at,omitzero"` // the last time that is on record: up to an hour behind
}

// For reports that the token is good for a model.
func (o OperatorToken) For(code fleet.ModelCode) bool {
	return len(o.Models) == 0 || slices.Contains(o.Models, code)
}

// Session is a browser that a person has signed in with a token, or at the issuer for people. Only the hash of its cookie is
// stored.
type Session struct {
	Hash      Hash      `json:"hash"`
	Token     string    `json:"token"`            // the id of the token that it was begun with, and ends with; or of the person
	Person    *Person   `json:"person,omitempty"` // nil for who has shown a token
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at"`         // to a few minutes
	From      string    `json:"from,omitempty"`  // the address that it was begun from
	Agent     string    `json:"agent,omitempty"` // User-Agent, cut
}

// Person is somebody whom an issuer knows, and what they may do here, as it was when they signed in.
type Person struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"` // the issuer's own name for them: 1 to 255 characters of ASCII
	Name    string `json:"name"`
	Role    Role   `json:"role"`
}

// PersonPrefix tells the id of a person from that of a token.
const PersonPrefix = "oidc:"

// Holder is the person as the holder of a token: what they do is told as done by them.
func (p Person) Holder() OperatorToken {
	return OperatorToken{ID: PersonPrefix + p.Subject, Name: p.Name, Role: p.Role}
}

// ID names the session to people: it opens nothing.
func (s Session) ID() string { return string(s.Hash[:min(len(s.Hash), 16)]) }

// NewDevice is a device with what is stored of its secret, to be added.
type NewDevice struct {
	Device  fleet.Device
	Secrets DeviceSecrets
}
