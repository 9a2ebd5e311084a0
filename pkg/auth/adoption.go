package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// A plant that flashes boards in a row does not want to type each one's secret. For a time, and up to a number, it may say:
// whoever calls itself a device of this model that nobody knows, and shows this shared secret, becomes one. The shared secret is
// the device's own from then on; the first provisioning gives it one that nobody else has.

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

// adopter adds a device that nobody knows, where the adoption of its model is open and the secret is the shared one: else it is
// fleet.ErrUnknown, or ErrNotAdopted of a wrong secret. fleet.ErrTaken is an alias of another, fleet.ErrRefused a device that a
// person has removed. One that another request adds meanwhile is left as it is, without an error.
type adopter interface {
	AdoptDevice(ctx context.Context, d fleet.Device, secret string) error
}

// ErrNotAdopted is a stranger who shows a wrong secret while devices of the model are adopted. It comes with ErrInvalidClient.
var ErrNotAdopted = errors.New("no device to adopt")

// adopt makes a device of a stranger, or is fleet.ErrUnknown.
func (i *Issuer) adopt(ctx context.Context, model fleet.ModelCode, key fleet.DeviceKey, secret string) (fleet.Device, error) {
	now := i.Now()
	if i.Adopter == nil || now.Before(i.Earliest()) { // a clock that is wrong does not know when an adoption ends
		return fleet.Device{}, fleet.Unknown("there is no device %q", key)
	}
	device := fleet.Device{Key: key, Model: model, CreatedAt: now.UTC(), UpdatedAt: now.UTC()}
	err := i.Adopter.AdoptDevice(ctx, device, secret)
	switch {
	case err == nil, errors.Is(err, fleet.ErrTaken), errors.Is(err, fleet.ErrUnknown):
		// It is looked up as any other device, also where another request has added it meanwhile, as the last.
		return i.Devices.Device(key)
	case errors.Is(err, ErrNotAdopted), errors.Is(err, fleet.ErrRefused):
		return fleet.Device{}, fmt.Errorf("%w: %w", ErrInvalidClient, err)
	}
	return fleet.Device{}, err
}
