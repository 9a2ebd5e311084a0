package auth

import (
	"context"
	"errors"
	"fmt"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// A path secret is what a device shows in the path of its requests, where its client can send neither a token nor HTTP Basic.
// It begins with the device's key, so that it is found without an index, and goes on with 256 random bits. A path is written
// into logs by everything on the way, so that a device has none unless somebody made it, or it showed the secret of an open
// adoption so: its key, and the shared secret behind it.

// keyLength is that of a device's key, in bytes.
const keyLength = 8

// MakePathSecret gives a device a new path secret in place of the one that it has. A revoked device is fleet.ErrTaken.
func (i *Issuer) MakePathSecret(ctx context.Context, key fleet.DeviceKey) (secret string, err error) {
	device, err := i.Devices.Device(key)
	if err != nil {
		return "", err
	}
	if device.Revoked {
		return "", fleet.Taken("device %s is revoked", key)
	}
	secret = string(key) + NewSecret()
	return secret, i.setPathSecret(ctx, key, HashSecret(secret))
}

// RevokePathSecret ends a device's path secret, if it has one.
func (i *Issuer) RevokePathSecret(ctx context.Context, key fleet.DeviceKey) error {
	return i.setPathSecret(ctx, key, "")
}

// HasPathSecret reports that a device has one.
func (i *Issuer) HasPathSecret(key fleet.DeviceKey) (bool, error) {
	s, err := i.Devices.DeviceSecrets(key)
	return s.Path != "", err
}

func (i *Issuer) setPathSecret(ctx context.Context, key fleet.DeviceKey, h Hash) error {
	return i.Devices.UpdateDeviceSecrets(ctx, key, func(s *DeviceSecrets) error {
		s.Path, s.PathShared = h, false
		return nil
	})
}

// CheckPath finds the device that a path secret is of, or says ErrInvalidClient. A stranger becomes a device as it does by
// [Issuer.Check].
func (i *Issuer) CheckPath(ctx context.Context, secret string) (fleet.Device, error) {
	key, err := PathSecretKey(secret)
	if err != nil {
		return fleet.Device{}, err
	}
	device, err := i.Devices.Device(key)
	if errors.Is(err, fleet.ErrUnknown) {
		device, err = i.adopt(ctx, Stranger{Key: key, Secret: secret[keyLength:], Path: secret})
	}
	switch {
	case err != nil:
		return fleet.Device{}, err
	case device.Revoked:
		return fleet.Device{}, fmt.Errorf("%w: the device is revoked", ErrInvalidClient)
	}
	secrets, err := i.Devices.DeviceSecrets(key)
	if err != nil {
		return fleet.Device{}, err
	}
	if !secrets.Path.Matches(secret) {
		return fleet.Device{}, fmt.Errorf("%w: wrong path secret", ErrInvalidClient)
	}
	return device, nil
}

// PathSecretKey is the device that a path secret names. It is nobody's word yet.
func PathSecretKey(secret string) (fleet.DeviceKey, error) {
	key, err := fleet.ParseDeviceKey(secret[:min(len(secret), keyLength)])
	if err != nil {
		return "", fmt.Errorf("%w: a path secret that names no device", ErrInvalidClient)
	}
	return key, nil
}
