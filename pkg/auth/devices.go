package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// registry is what Devices needs of the catalog.
type registry interface {
	Device(fleet.DeviceKey) (fleet.Device, error)
	Model(fleet.ModelCode) (fleet.Model, error)
	// RegisterDevice adds a device without a secret. One that a person has removed is fleet.ErrRefused.
	RegisterDevice(context.Context, fleet.Device) error
}

// secretChecker finds the device that a client id and its secret are of, or says ErrInvalidClient.
type secretChecker interface {
	Check(ctx context.Context, clientID, secret string) (fleet.Device, error)
	// CheckNamed is Check for a stranger's own name.
	CheckNamed(ctx context.Context, name, secret string) (fleet.Device, error)
	// CheckPath is Check for a path secret.
	CheckPath(ctx context.Context, secret string) (fleet.Device, error)
}

// Devices says which device a request is from.
type Devices struct {
	Verifier *Verifier
	Secrets  secretChecker
	Registry registry
	Now      func() time.Time
}

// Authenticate verifies a token and finds its device and model. Revocation is looked up at every call, so that it takes
// effect at once. A verified token of an external issuer registers a device that is not known yet, but none that a person
// has removed.
//
// Errors: ErrNoToken and ErrToken, and fleet.ErrUnknown for a model that is not known.
func (d *Devices) Authenticate(ctx context.Context, token string) (fleet.Device, fleet.Model, error) {
	if token == "" {
		return fleet.Device{}, fleet.Model{}, ErrNoToken
	}
	id, err := d.Verifier.Verify(token)
	if err != nil {
		return fleet.Device{}, fleet.Model{}, err
	}
	device, err := d.Registry.Device(id.Key)
	switch {
	case errors.Is(err, fleet.ErrUnknown) && id.External:
		if device, err = d.register(ctx, id); errors.Is(err, fleet.ErrRefused) {
			err = fmt.Errorf("%w: %w", ErrToken, err)
		}
	case errors.Is(err, fleet.ErrUnknown): // it was removed
		err = fmt.Errorf("%w: %w", ErrToken, err)
	}
	if err != nil {
		return fleet.Device{}, fleet.Model{}, err
	}
	switch {
	case device.Model != id.Model:
		return fleet.Device{}, fleet.Model{}, fmt.Errorf("%w: it names model %s and the device is %s", ErrToken, id.Model, device.Model)
	case device.Revoked:
		return fleet.Device{}, fleet.Model{}, fmt.Errorf("%w: the device is revoked", ErrToken)
	case id.Issued.Before(device.NotBefore.Truncate(time.Second)):
		return fleet.Device{}, fleet.Model{}, fmt.Errorf("%w: it was issued before the device's tokens were revoked", ErrToken)
	}
	model, err := d.Registry.Model(device.Model)
	return device, model, err
}

// AuthenticateSecret finds the device and model that a client id and its secret are of, without a token.
//
// Errors: ErrInvalidClient, and fleet.ErrUnknown for a model that is not known.
func (d *Devices) AuthenticateSecret(ctx context.Context, clientID, secret string) (fleet.Device, fleet.Model, error) {
	return d.withModel(d.Secrets.Check(ctx, clientID, secret))
}

// AuthenticateNamed is AuthenticateSecret for a name of its own that no device has: a device to adopt.
func (d *Devices) AuthenticateNamed(ctx context.Context, name, secret string) (fleet.Device, fleet.Model, error) {
	return d.withModel(d.Secrets.CheckNamed(ctx, name, secret))
}

// AuthenticatePath is AuthenticateSecret for a path secret.
func (d *Devices) AuthenticatePath(ctx context.Context, secret string) (fleet.Device, fleet.Model, error) {
	return d.withModel(d.Secrets.CheckPath(ctx, secret))
}

func (d *Devices) withModel(device fleet.Device, err error) (fleet.Device, fleet.Model, error) {
	if err != nil {
		return fleet.Device{}, fleet.Model{}, err
	}
	model, err := d.Registry.Model(device.Model)
	return device, model, err
}

func (d *Devices) register(ctx context.Context, id Identity) (fleet.Device, error) {
	if _, err := d.Registry.Model(id.Model); err != nil {
		return fleet.Device{}, err
	}
	now := d.Now().UTC()
	device := fleet.Device{Key: id.Key, Model: id.Model, CreatedAt: now, UpdatedAt: now}
	err := d.Registry.RegisterDevice(ctx, device)
	if errors.Is(err, fleet.ErrTaken) { // by another request of the same device
		return d.Registry.Device(id.Key)
	}
	return device, err
}
