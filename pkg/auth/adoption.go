package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// A plant that flashes boards in a row does not want to type each one's secret. For a time, and up to a number, it may say:
// whoever calls itself a device that nobody knows, and shows this shared secret, becomes one of this model. The shared secret is
// the device's own from then on; the first provisioning gives it one that nobody else has. What a stranger calls itself is a
// client id, which names the model, too; a name of its own in hawkBit's protocol; or the key that a path secret begins with.

// The bounds of an adoption. The keys that were adopted are part of its record.
const (
	MostAdopted = 1000
	MostOpen    = 24 * time.Hour
)

// Adoption is somebody's word that strangers who show a shared secret become devices of a model. A model has one at most.
type Adoption struct {
	Model    fleet.ModelCode   `json:"model_code"`
	Hash     Hash              `json:"hash"`
	AtMost   int               `json:"at_most"`
	OpenedAt time.Time         `json:"opened_at"`
	Until    time.Time         `json:"until"`
	ClosedAt time.Time         `json:"closed_at,omitzero"`
	Adopted  []fleet.DeviceKey `json:"adopted,omitempty"`
}

// Open reports that it takes further devices. One of the future, which a clock that was wrong has written, does not.
func (a Adoption) Open(now time.Time) bool {
	return a.ClosedAt.IsZero() && !now.Before(a.OpenedAt) && now.Before(a.Until) && len(a.Adopted) < a.AtMost
}

// Stranger is a device that nobody knows, as it shows itself.
type Stranger struct {
	Key    fleet.DeviceKey
	Model  fleet.ModelCode // "": it names none, and becomes one of the adoption whose secret it shows
	Alias  fleet.Alias     // "": it calls itself by its key
	Secret string          // the shared one, where it is right
	Path   string          // the path secret that it showed it in, "" where it showed it otherwise
}

// adopter adds a device that nobody knows, where the adoption of its model is open and the secret is the shared one: else it is
// fleet.ErrUnknown, or ErrNotAdopted of a wrong secret. fleet.ErrTaken is a name of another, fleet.ErrRefused a device that a
// person has removed. One that another request adds meanwhile is left as it is, without an error.
type adopter interface {
	AdoptDevice(ctx context.Context, s Stranger, now time.Time) error
}

// ErrNotAdopted is a stranger who shows a wrong secret while devices of its model, or of any where it names none, are
// adopted. It comes with ErrInvalidClient.
var ErrNotAdopted = errors.New("no device to adopt")

// CheckNamed finds the device that a name of its own in some protocol and the secret of an open adoption are of: the request
// names no model. It is for names that no device has, and ErrInvalidClient where nothing is adopted.
func (i *Issuer) CheckNamed(ctx context.Context, name, secret string) (fleet.Device, error) {
	s, err := NamedStranger(name)
	if err != nil {
		return fleet.Device{}, fmt.Errorf("%w: %w", ErrInvalidClient, err)
	}
	s.Secret = secret
	device, err := i.adopt(ctx, s)
	switch {
	case err != nil:
		return fleet.Device{}, err
	case s.Alias != "" && !slices.Contains(device.Aliases, s.Alias): // two names of one key, or it is not called so any more
		return fleet.Device{}, fmt.Errorf("%w: no device is called so, and the key of this name is that of device %s", ErrInvalidClient, device.Key)
	}
	return i.checkSecret(ctx, device, secret)
}

// NamedStranger is who calls itself by a name that no device has: by its key, or by an alias, from which its key is made. So one
// that a person has removed is known again.
func NamedStranger(name string) (Stranger, error) {
	if key, err := fleet.ParseDeviceKey(name); err == nil {
		return Stranger{Key: key}, nil
	}
	alias, err := fleet.ParseAlias(name)
	return Stranger{Key: fleet.DeviceKeyOf(name), Alias: alias}, err
}

// adopt makes a device of a stranger, or is ErrInvalidClient: of one that is not adopted no more is said than of a wrong secret.
func (i *Issuer) adopt(ctx context.Context, s Stranger) (fleet.Device, error) {
	now := i.Now()
	if i.Adopter == nil || now.Before(i.Earliest()) { // a clock that is wrong does not know when an adoption ends
		return fleet.Device{}, fmt.Errorf("%w: %w", ErrInvalidClient, fleet.Unknown("there is no device %q", s.Key))
	}
	refusal := i.Adopter.AdoptDevice(ctx, s, now.UTC())
	switch {
	case refusal == nil, errors.Is(refusal, fleet.ErrTaken), errors.Is(refusal, fleet.ErrUnknown), errors.Is(refusal, ErrNotAdopted):
	case errors.Is(refusal, fleet.ErrRefused):
		return fleet.Device{}, fmt.Errorf("%w: %w", ErrInvalidClient, refusal)
	default:
		return fleet.Device{}, refusal
	}
	// It is looked up as any other device, also where another request has added it meanwhile, as the last.
	device, err := i.Devices.Device(s.Key)
	if errors.Is(err, fleet.ErrUnknown) {
		err = fmt.Errorf("%w: %w", ErrInvalidClient, cmp.Or(refusal, err))
	}
	return device, err
}
