package deviceapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Caller says which device a request is from: auth.ErrNoToken, auth.ErrToken, auth.ErrInvalidClient or fleet.ErrUnknown when
// it is from none.
type Caller func(http.ResponseWriter, *http.Request) (fleet.Device, fleet.Model, error)

// names finds the device that has a key or an alias, or is fleet.ErrUnknown.
type names interface {
	DeviceByAlias(string) (fleet.Device, error)
}

type authenticator interface {
	Authenticate(ctx context.Context, token string) (fleet.Device, fleet.Model, error)
	AuthenticateSecret(ctx context.Context, clientID, secret string) (fleet.Device, fleet.Model, error)
	AuthenticateNamed(ctx context.Context, name, secret string) (fleet.Device, fleet.Model, error)
	AuthenticatePath(ctx context.Context, secret string) (fleet.Device, fleet.Model, error)
}

// ByCredentials takes the device from the secret that its path showed, or else from the Authorization header, and from nothing
// else: a bearer token, or HTTP Basic with client id and secret as they are, which is all that many clients can do. On hawkBit's
// routes, whose address names the device, its secret alone as a TargetToken.
func ByCredentials(a authenticator, known names, guesses *Guesses) Caller {
	return func(w http.ResponseWriter, r *http.Request) (fleet.Device, fleet.Model, error) {
		if secret, shown := pathSecret(r); shown {
			return byPath(a, guesses, w, r, secret)
		}
		id, secret, basic := r.BasicAuth()
		switch {
		case basic:
			noteClient(w, id)
			device, model, err := a.AuthenticateSecret(asClient(r, id), id, secret)
			return device, model, guesses.judge(r, id, err)
		case r.Header.Get("Authorization") == "":
			return fleet.Device{}, fleet.Model{}, auth.ErrNoToken
		}
		if secret, ok := targetToken(r); ok {
			return byTargetToken(w, r, a, known, guesses, secret)
		}
		token := endpoint.Bearer(r)
		if token == "" {
			return fleet.Device{}, fleet.Model{}, noneOfOurs(r)
		}
		return a.Authenticate(r.Context(), token)
	}
}

// byPath finds the device that a path secret is of. Wrong ones are paced by the device that they name.
func byPath(a authenticator, guesses *Guesses, w http.ResponseWriter, r *http.Request, secret string) (fleet.Device, fleet.Model, error) {
	endpoint.Note(w, slog.String("below", "/d/…"))
	key, _ := auth.PathSecretKey(secret) // "": it names none
	device, model, err := a.AuthenticatePath(actAs(r, key, ""), secret)
	if errors.Is(err, auth.ErrInvalidClient) {
		err = guesses.judge(r, "path secret of "+string(key), err)
	}
	return device, model, err
}

type registry interface {
	names
	Device(fleet.DeviceKey) (fleet.Device, error)
	Model(fleet.ModelCode) (fleet.Model, error)
}

// ByWord believes the device_key in the query, or the name in the address of hawkBit's routes: test mode.
func ByWord(known registry) Caller {
	return func(_ http.ResponseWriter, r *http.Request) (fleet.Device, fleet.Model, error) {
		if name := r.PathValue("controller"); name != "" {
			device, err := known.DeviceByAlias(name)
			if err != nil {
				return fleet.Device{}, fleet.Model{}, err
			}
			model, err := known.Model(device.Model)
			return device, model, err
		}
		name := r.URL.Query().Get("device_key")
		if name == "" {
			return fleet.Device{}, fleet.Model{}, fmt.Errorf("test mode, and no device_key: %w", auth.ErrNoToken)
		}
		key, err := fleet.ParseDeviceKey(name)
		if err != nil {
			return fleet.Device{}, fleet.Model{}, fleet.Unknown("%v", err)
		}
		device, err := known.Device(key)
		if err != nil {
			return fleet.Device{}, fleet.Model{}, err
		}
		model, err := known.Model(device.Model)
		return device, model, err
	}
}

// noteClient puts what a client calls itself into the log line of a failure.
func noteClient(w http.ResponseWriter, id string) {
	endpoint.Note(w, slog.String("client_id", id[:min(len(id), mostID)]))
}

// note puts the device into the log line of a failure.
func note(w http.ResponseWriter, d fleet.Device) {
	endpoint.Note(w, slog.String("device", string(d.Key)), slog.String("model", string(d.Model)))
}
