package contract

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// SecretStore is what tokens and secrets need of the catalog.
type SecretStore interface {
	Device(fleet.DeviceKey) (fleet.Device, error)
	UpdateDevice(context.Context, fleet.DeviceKey, func(*fleet.Device) error) (fleet.Device, error)
	Model(fleet.ModelCode) (fleet.Model, error)
	AddDevice(context.Context, fleet.Device, auth.DeviceSecrets) error
	RegisterDevice(context.Context, fleet.Device) error
	DeviceSecrets(fleet.DeviceKey) (auth.DeviceSecrets, error)
	UpdateDeviceSecrets(context.Context, fleet.DeviceKey, func(*auth.DeviceSecrets) error) error
	ReplaceDeviceSecrets(context.Context, fleet.DeviceKey, auth.DeviceSecrets, time.Time) error
	OperatorToken(id string) (auth.OperatorToken, error)
	OperatorTokens() ([]auth.OperatorToken, error)
	AddOperatorToken(context.Context, auth.OperatorToken) error
	RemoveOperatorToken(ctx context.Context, id string) error
}

// Secrets is run on a store that knows the model pump and no device.
func Secrets(t *testing.T, open func(t *testing.T) SecretStore) {
	device := fleet.Device{Key: "a1b2c3d4", Model: "pump", CreatedAt: noon, UpdatedAt: noon}
	one, two := auth.DeviceSecrets{Current: auth.HashSecret("one")}, auth.DeviceSecrets{Current: auth.HashSecret("two")}
	has := func(t *testing.T, s SecretStore, want auth.DeviceSecrets) {
		t.Helper()
		if got, err := s.DeviceSecrets(device.Key); err != nil || got.Current != want.Current {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	t.Run("who is not there is unknown", func(t *testing.T) {
		s := open(t)
		_, err := s.Device("zzzzzzzz")
		is(t, "a device", err, fleet.ErrUnknown)
		_, err = s.Model("ghost")
		is(t, "a model", err, fleet.ErrUnknown)
		is(t, "its secrets' change", s.UpdateDeviceSecrets(t.Context(), "zzzzzzzz", func(*auth.DeviceSecrets) error { return nil }), fleet.ErrUnknown)
		is(t, "its new secrets", s.ReplaceDeviceSecrets(t.Context(), "zzzzzzzz", one, noon), fleet.ErrUnknown)
	})
	t.Run("a device has the secrets that it was added with, and is added once", func(t *testing.T) {
		s := open(t)
		must(t, s.AddDevice(t.Context(), device, one))
		is(t, "the second time", s.AddDevice(t.Context(), device, two), fleet.ErrTaken)
		has(t, s, one)
		if got, err := s.Device(device.Key); err != nil || got.Model != device.Model {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("a device that registers has no secret", func(t *testing.T) {
		s := open(t)
		must(t, s.RegisterDevice(t.Context(), device))
		has(t, s, auth.DeviceSecrets{})
	})
	t.Run("a change that is refused changes nothing", func(t *testing.T) {
		s := open(t)
		must(t, s.AddDevice(t.Context(), device, one))
		no := errors.New("no")
		is(t, "the refusal", s.UpdateDeviceSecrets(t.Context(), device.Key, func(d *auth.DeviceSecrets) error { *d = two; return no }), no)
		has(t, s, one)
		must(t, s.UpdateDeviceSecrets(t.Context(), device.Key, func(d *auth.DeviceSecrets) error { *d = two; return nil }))
		has(t, s, two)
	})
	t.Run("new secrets end the tokens before them", func(t *testing.T) {
		s := open(t)
		must(t, s.AddDevice(t.Context(), device, one))
		must(t, s.ReplaceDeviceSecrets(t.Context(), device.Key, two, noon))
		has(t, s, two)
		if got, err := s.Device(device.Key); err != nil || !got.NotBefore.Equal(noon) {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("a path secret is one of its own", func(t *testing.T) {
		s := open(t)
		withPath := one
		withPath.Path, withPath.PathShared = auth.HashSecret("path"), true
		must(t, s.AddDevice(t.Context(), device, withPath))
		must(t, s.ReplaceDeviceSecrets(t.Context(), device.Key, two, noon))
		if got, err := s.DeviceSecrets(device.Key); err != nil || got.Path != withPath.Path || !got.PathShared || got.Current != two.Current {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("a device's NotBefore goes back where it is told to", func(t *testing.T) {
		s := open(t)
		must(t, s.AddDevice(t.Context(), device, one))
		must(t, s.ReplaceDeviceSecrets(t.Context(), device.Key, two, noon.AddDate(10, 0, 0)))
		for _, d := range []func() (fleet.Device, error){
			func() (fleet.Device, error) {
				return s.UpdateDevice(t.Context(), device.Key, func(d *fleet.Device) error { d.NotBefore = noon; return nil })
			},
			func() (fleet.Device, error) { return s.Device(device.Key) },
		} {
			if got, err := d(); err != nil || !got.NotBefore.Equal(noon) {
				t.Errorf("%+v, %v", got, err)
			}
		}
		_, err := s.UpdateDevice(t.Context(), "zzzzzzzz", func(*fleet.Device) error { return nil })
		is(t, "a device that is not there", err, fleet.ErrUnknown)
		has(t, s, two)
	})
	t.Run("a token is there until it is removed", func(t *testing.T) {
		s := open(t)
		token := auth.OperatorToken{ID: "id", Name: "ci", Role: auth.Pipeline, CreatedAt: noon}
		must(t, s.AddOperatorToken(t.Context(), token))
		if got, err := s.OperatorToken("id"); err != nil || got.Role != token.Role {
			t.Errorf("%+v, %v", got, err)
		}
		if all, err := s.OperatorTokens(); err != nil || len(all) != 1 {
			t.Errorf("%+v, %v", all, err)
		}
		must(t, s.RemoveOperatorToken(t.Context(), "id"))
		_, err := s.OperatorToken("id")
		is(t, "the removed one", err, fleet.ErrUnknown)
		is(t, "removing it again", s.RemoveOperatorToken(t.Context(), "id"), fleet.ErrUnknown)
	})
}
