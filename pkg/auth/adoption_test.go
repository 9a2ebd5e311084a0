package auth

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// asked answers strangers by one function.
type asked func(Stranger) error

func (a asked) AdoptDevice(_ context.Context, s Stranger, _ time.Time) error { return a(s) }

const shared = "the secret of a hundred boards"

// TestANameWhoseKeyIsAnotherDevicesIsNobody: the key of a name has 40 bits, and people call devices otherwise.
func TestANameWhoseKeyIsAnotherDevicesIsNobody(t *testing.T) {
	other := fleet.Device{Key: fleet.DeviceKeyOf("board-five"), Model: "pump", Aliases: []fleet.Alias{"board-six"}}
	o := open(t, EdDSA, other)
	for what, refusal := range map[string]error{"while an adoption is open": nil, "while none is": fleet.Unknown("none is open")} {
		o.issuer.Adopter = asked(func(Stranger) error { return refusal })
		_, _, err := o.devices.AuthenticateNamed(t.Context(), "board-five", "secret of "+string(other.Key))
		if !errors.Is(err, ErrInvalidClient) || !strings.Contains(err.Error(), string(other.Key)) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestAStrangerWhomAnotherRequestMadeADeviceMeanwhileIsThatDevice: as the last of its adoption, so that to the second one there
// is none of its secret, whatever else is open.
func TestAStrangerWhomAnotherRequestMadeADeviceMeanwhileIsThatDevice(t *testing.T) {
	for what, refusal := range map[string]error{"none is open": fleet.Unknown("none is open"), "another is open": ErrNotAdopted, "it is there": nil} {
		o := open(t, EdDSA)
		o.issuer.Adopter = asked(func(s Stranger) error {
			d := fleet.Device{Key: s.Key, Model: "pump"}
			if s.Alias != "" {
				d.Aliases = []fleet.Alias{s.Alias}
			}
			if err := o.store.AddDevice(t.Context(), d, DeviceSecrets{Current: HashSecret(shared), Path: HashSecret(s.Path)}); err != nil {
				t.Error(err)
			}
			return refusal
		})
		if d, _, err := o.devices.AuthenticateNamed(t.Context(), "board-five", shared); err != nil || d.Key != fleet.DeviceKeyOf("board-five") {
			t.Errorf("%s, by its name: %v %v", what, d, err)
		}
		if d, _, err := o.devices.AuthenticatePath(t.Context(), "aaaaaaa1"+shared); err != nil || d.Key != "aaaaaaa1" {
			t.Errorf("%s, by its path: %v %v", what, d, err)
		}
		if d, _, err := o.devices.AuthenticateSecret(t.Context(), "iotdevice-pump-aaaaaaa2", shared); err != nil || d.Key != "aaaaaaa2" {
			t.Errorf("%s, by its client id: %v %v", what, d, err)
		}
	}
}

// TestAStrangerWhoIsNotAdoptedIsToldNoMoreThanOfAWrongSecretAndTheOperatorWhy by each way.
func TestAStrangerWhoIsNotAdoptedIsToldNoMoreThanOfAWrongSecretAndTheOperatorWhy(t *testing.T) {
	full := fleet.Full("the disk")
	for _, refusal := range []error{
		fleet.Unknown("none is open"), ErrNotAdopted, fleet.Taken("a name is another's"), fleet.Refused("it was removed"), full,
	} {
		o := open(t, EdDSA)
		o.issuer.Adopter = asked(func(Stranger) error { return refusal })
		_, _, named := o.devices.AuthenticateNamed(t.Context(), "board-five", shared)
		_, _, byPath := o.devices.AuthenticatePath(t.Context(), "aaaaaaa1"+shared)
		_, _, byID := o.devices.AuthenticateSecret(t.Context(), "iotdevice-pump-aaaaaaa2", shared)
		for _, err := range []error{named, byPath, byID} {
			if errors.Is(err, ErrInvalidClient) == errors.Is(refusal, full) || !errors.Is(err, refusal) || strings.Contains(err.Error(), shared) {
				t.Errorf("%v: %v", refusal, err)
			}
		}
	}
}
