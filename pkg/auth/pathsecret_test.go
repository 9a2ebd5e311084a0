package auth

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestAPathSecretIsGoodUntilItIsReplacedOrRevokedAndOutlivesARotation(t *testing.T) {
	o := open(t, EdDSA, pump)
	check := func(what, secret string, want error) {
		t.Helper()
		device, model, err := o.devices.AuthenticatePath(t.Context(), secret)
		if !errors.Is(err, want) || err == nil && (device.Key != pump.Key || model.Code != pump.Model) {
			t.Errorf("%s: %v %v %v", what, device, model, err)
		}
	}
	for _, none := range []string{"", "x", string(pump.Key), "secret of a1b2c3d4", "zzzzzzzz" + NewSecret(), "A1B2C3D4" + NewSecret()} {
		check("before there is one, "+none, none, ErrInvalidClient)
	}
	first, err := o.issuer.MakePathSecret(t.Context(), pump.Key)
	if err != nil || len(first) != keyLength+43 || !strings.HasPrefix(first, string(pump.Key)) {
		t.Fatalf("%q, %v", first, err)
	}
	check("it", first, nil)
	check("it, and more", first+"x", ErrInvalidClient)
	if _, _, err := o.devices.AuthenticateSecret(t.Context(), pump.ClientID(), first); !errors.Is(err, ErrInvalidClient) {
		t.Errorf("as a client secret: %v", err)
	}
	rotated, err := o.issuer.RotateSecret(t.Context(), pump.Key)
	if err == nil {
		_, err = o.issuer.Grant(t.Context(), pump.ClientID(), rotated)
	}
	if err != nil {
		t.Fatal(err)
	}
	check("it, after a rotation", first, nil)
	second, err := o.issuer.MakePathSecret(t.Context(), pump.Key)
	if err != nil {
		t.Fatal(err)
	}
	check("the first, once there is a second", first, ErrInvalidClient)
	check("the second", second, nil)
	record, err := json.Marshal(o.store.secrets[pump.Key])
	if err != nil || strings.Contains(string(record), second) {
		t.Errorf("the record holds the secret: %s", record)
	}
	if err := o.issuer.RevokePathSecret(t.Context(), pump.Key); err != nil {
		t.Fatal(err)
	}
	check("the second, once it is revoked", second, ErrInvalidClient)
}

func TestARevokedDeviceHasNoPathSecretAndIsMadeNone(t *testing.T) {
	o := open(t, EdDSA, pump)
	secret, err := o.issuer.MakePathSecret(t.Context(), pump.Key)
	if err == nil {
		_, err = o.store.UpdateDevice(t.Context(), pump.Key, func(d *fleet.Device) error { d.Revoked = true; return nil })
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.devices.AuthenticatePath(t.Context(), secret); !errors.Is(err, ErrInvalidClient) {
		t.Errorf("its own: %v", err)
	}
	if _, err := o.issuer.MakePathSecret(t.Context(), pump.Key); !errors.Is(err, fleet.ErrTaken) {
		t.Errorf("a new one: %v", err)
	}
	if _, err := o.issuer.MakePathSecret(t.Context(), "zzzzzzzz"); !errors.Is(err, fleet.ErrUnknown) {
		t.Errorf("of nobody: %v", err)
	}
}
