// Package auth says who calls: devices by tokens, which the gateway mints itself or an external issuer does, people and
// pipelines by tokens of their own.
//
// Parties: a device has a client secret and trades it for an access token of a day; an operator has a random token.
// Neither secret is stored, only its hash. Keys: the gateway signs with Ed25519, or ES256 for brokers that know no EdDSA,
// with keys that it makes itself and rotates with overlap; external issuers' keys come only from the configured address.
// Threats: a token is hostile until its signature verifies under the one algorithm of the key that its kid names, and
// after that it still has to name a device that is known, not revoked, and of the model that it claims.
package auth

import (
	"errors"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// What doors tell apart. All but ErrClock are a 401.
var (
	ErrNoToken       = errors.New("no bearer token")
	ErrToken         = errors.New("the token does not verify")
	ErrInvalidClient = errors.New("client id and secret do not match")
	ErrClock         = errors.New("the clock is wrong")
)

// Issuer and audience of the gateway's own tokens.
const (
	issuerName   = "slipway"
	audienceName = "slipway"
	leeway       = 60 * time.Second
)

// Identity is what a verified token says.
type Identity struct {
	Model    fleet.ModelCode
	Key      fleet.DeviceKey
	Issued   time.Time
	Expires  time.Time
	External bool // by an issuer that is not the gateway
}
