package deviceapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Caller says which device a request is from: auth.ErrNoToken, auth.ErrToken or fleet.ErrUnknown when it is from none.
type Caller func(*http.Request) (fleet.Device, fleet.Model, error)

type authenticator interface {
	Authenticate(ctx context.Context, token string) (fleet.Device, fleet.Model, error)
}

// ByToken takes the device from the bearer token, and from nothing else.
func ByToken(a authenticator) Caller {
	return func(r *http.Request) (fleet.Device, fleet.Model, error) {
		return a.Authenticate(r.Context(), endpoint.Bearer(r))
	}
}

type registry interface {
	Device(fleet.DeviceKey) (fleet.Device, error)
	Model(fleet.ModelCode) (fleet.Model, error)
}

// ByWord believes the device_key in the query: test mode.
func ByWord(known registry) Caller {
	return func(r *http.Request) (fleet.Device, fleet.Model, error) {
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

// note puts the device into the log line of a failure.
func note(w http.ResponseWriter, d fleet.Device) {
	endpoint.Note(w, slog.String("device", string(d.Key)), slog.String("model", string(d.Model)))
}
