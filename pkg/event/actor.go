package event

import (
	"context"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// By is who acts, and the address that they came from.
type By struct {
	Actor fleet.Actor
	From  string // "" of the socket and of the gateway itself
}

// Itself is the gateway, acting by a rule, a setting or a clock.
var Itself = By{Actor: fleet.Actor{Type: fleet.Itself}}

type byKey struct{}

// WithActor has what is done with the context told as done by somebody.
func WithActor(ctx context.Context, by By) context.Context {
	return context.WithValue(ctx, byKey{}, by)
}

// ByItself has what is done with the context told as done by the gateway: what follows from somebody's act by a rule is
// not what they did.
func ByItself(ctx context.Context) context.Context { return WithActor(ctx, Itself) }

// ActorOf is who acts; nobody named is the gateway itself.
func ActorOf(ctx context.Context) By {
	if by, ok := ctx.Value(byKey{}).(By); ok {
		return by
	}
	return Itself
}
