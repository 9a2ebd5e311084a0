package auth

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// tokenStore is what Operators needs of the catalog.
type tokenStore interface {
	OperatorToken(id string) (OperatorToken, error)
	OperatorTokens() ([]OperatorToken, error)
	AddOperatorToken(context.Context, OperatorToken) error
	RemoveOperatorToken(ctx context.Context, id string) error
}

// Operators are people's and pipelines' tokens: "slw_<id>_<secret>", the id to find the record by.
type Operators struct {
	Store tokenStore
	Now   func() time.Time
}

const operatorPrefix = "slw_"

// Create makes a token, a pipeline's for the models that are named, or for all. It is shown once: only its hash is stored.
func (o *Operators) Create(ctx context.Context, name string, role Role, models ...fleet.ModelCode) (token string, record OperatorToken, err error) {
	if len(models) > 0 && role != Pipeline {
		return "", record, fleet.Refused("a token of the role %s is good for every model: only a pipeline's names models", role)
	}
	id := make([]byte, 4)
	_, _ = rand.Read(id) // it never fails
	record = OperatorToken{ID: hex.EncodeToString(id), Name: name, Role: role, CreatedAt: o.Now().UTC(), Models: models}
	token = operatorPrefix + record.ID + "_" + NewSecret()
	record.Hash = HashSecret(token)
	return token, record, o.Store.AddOperatorToken(ctx, record)
}

// List lists the tokens, without what would open a door.
func (o *Operators) List() ([]OperatorToken, error) {
	tokens, err := o.Store.OperatorTokens()
	for i := range tokens {
		tokens[i].Hash = ""
	}
	return tokens, err
}

// Revoke makes a token useless at once.
func (o *Operators) Revoke(ctx context.Context, id string) error {
	return o.Store.RemoveOperatorToken(ctx, id)
}

// ByID is the record of a token, ErrUnknown where there is none.
func (o *Operators) ByID(id string) (OperatorToken, error) { return o.Store.OperatorToken(id) }

// Authenticate finds whose token it is.
func (o *Operators) Authenticate(token string) (OperatorToken, error) {
	if token == "" {
		return OperatorToken{}, ErrNoToken
	}
	rest, ok := strings.CutPrefix(token, operatorPrefix)
	id, _, split := strings.Cut(rest, "_")
	if !ok || !split {
		return OperatorToken{}, ErrToken
	}
	record, err := o.Store.OperatorToken(id)
	if errors.Is(err, fleet.ErrUnknown) || err == nil && !record.Hash.Matches(token) {
		return OperatorToken{}, ErrToken
	}
	return record, err
}
