package auth

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// tokenStore is what Operators needs of the catalog.
type tokenStore interface {
	OperatorToken(id string) (OperatorToken, error)
	OperatorTokens() ([]OperatorToken, error)
	AddOperatorToken(context.Context, OperatorToken) error
	RemoveOperatorToken(ctx context.Context, id string) error
	NoteTokensUsed(ctx context.Context, used map[string]time.Time) error
}

// Operators are people's and pipelines' tokens: "slw_<id>_<secret>", the id to find the record by.
type Operators struct {
	Store tokenStore
	Now   func() time.Time

	mu   sync.Mutex           // guards used
	used map[string]time.Time // by id: tokens that were used since that was last noted
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
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, t := range tokens {
		tokens[i].Hash = ""
		if at := o.used[t.ID]; at.After(t.UsedAt) {
			tokens[i].UsedAt = at
		}
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
	if err == nil {
		o.note(id)
	}
	return record, err
}

// note remembers that a token was used: requests write nothing. There are no more of them than there are tokens.
func (o *Operators) note(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.used == nil {
		o.used = map[string]time.Time{}
	}
	o.used[id] = o.Now().UTC()
}

// usedEvery is how often the use of tokens is put on record: in one change, however many were used and however often.
const usedEvery = time.Hour

// Run puts on record when tokens were used, once an hour and when ctx ends. What a kill takes is an hour of that.
func (o *Operators) Run(ctx context.Context) error {
	tick := time.NewTicker(usedEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			o.record(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
			o.record(ctx)
		}
	}
}

// record notes what was used. On a disk that takes nothing it is kept until the next time.
func (o *Operators) record(ctx context.Context) {
	o.mu.Lock()
	used := o.used
	o.used = nil
	o.mu.Unlock()
	if len(used) == 0 || o.Store.NoteTokensUsed(ctx, used) == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, at := range o.used {
		used[id] = at
	}
	o.used = used
}
