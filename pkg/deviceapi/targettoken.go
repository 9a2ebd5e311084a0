package deviceapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// targetToken is hawkBit's form of a secret, where the address says whose it is to be.
func targetToken(r *http.Request) (secret string, ok bool) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(secret), strings.EqualFold(scheme, "TargetToken") && r.PathValue("controller") != ""
}

func byTargetToken(w http.ResponseWriter, r *http.Request, a authenticator, known names, guesses *Guesses, secret string) (fleet.Device, fleet.Model, error) {
	name := r.PathValue("controller")
	device, err := known.DeviceByAlias(name)
	if errors.Is(err, fleet.ErrUnknown) { // a device to adopt, or as a wrong secret: who asks is not told which devices there are
		noteClient(w, name)
		device, model, err := a.AuthenticateNamed(asNamed(r, name), name, secret)
		return device, model, guesses.judge(r, name, err)
	}
	if err != nil {
		return fleet.Device{}, fleet.Model{}, err
	}
	id := device.ClientID()
	noteClient(w, id)
	device, model, err := a.AuthenticateSecret(asClient(r, id), id, secret)
	return device, model, guesses.judge(r, id, err)
}

// asNamed is actAs for who may become a device by the secret that it is about to show.
func asNamed(r *http.Request, name string) context.Context {
	s, err := auth.NamedStranger(name)
	if err != nil {
		return r.Context()
	}
	return actAs(r, s.Key, "")
}

// noneOfOurs is what is said to who shows something else.
func noneOfOurs(r *http.Request) error {
	if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "GatewayToken") {
		return unauthorized("gateway_token", "a GatewayToken is one secret of all devices and is not taken: send TargetToken with the device's own",
			refusedCredentials, auth.ErrToken)
	}
	return fmt.Errorf("%w: no Bearer and no Basic", auth.ErrToken)
}
