package operator

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// actOnRollout does what a person says. A pause and a finish need no reason; what overrules the rollout's own judgement does.
func (d *door) actOnRollout(verb fleet.RolloutVerb) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var in api.RolloutAct
		if r.ContentLength != 0 {
			if err := endpoint.ReadJSON(w, r, mostJSON, &in); err != nil {
				return err
			}
		}
		one, err := d.rollout(r)
		if err != nil {
			return err
		}
		if err := d.mayStop(r, verb, one); err != nil {
			return err
		}
		changed, err := Rolling{d}.Act(r.Context(), one, verb, in, d.isPipeline(r))
		if err != nil {
			return err
		}
		return endpoint.WriteJSON(w, http.StatusOK, api.ShowRollout(changed))
	}
}

// mayStop refuses a pipeline that would stop a retreat: it may keep a build from devices, and not on them.
func (d *door) mayStop(r *http.Request, verb fleet.RolloutVerb, one fleet.Rollout) error {
	if verb == fleet.RolloutHalt && one.State == fleet.RolloutRetreating && d.isPipeline(r) {
		return forbidden("a pipeline's token stops no retreat: rollout %d of %s takes devices back to %s", one.Number, one.Model, one.Base)
	}
	return nil
}

func (d *door) isPipeline(r *http.Request) bool {
	token, err := d.Access.Caller(r)
	return err == nil && token.Role == auth.Pipeline
}

// fits refuses members that the verb would pass over.
func fits(verb fleet.RolloutVerb, in api.RolloutAct) error {
	switch {
	case verb == fleet.RolloutExcuse && len(in.Devices) == 0:
		return fleet.Refused("excuse: name the devices whose slots are to be free, in devices")
	case verb != fleet.RolloutExcuse && len(in.Devices) > 0:
		return fleet.Refused("devices: they go with excuse, and %s is of the whole rollout", verb)
	case verb != fleet.RolloutResume && len(in.Accept) > 0:
		return fleet.Refused("accept: it goes with resume after a halt, not with %s", verb)
	case verb != fleet.RolloutRetreat && in.Untested:
		return fleet.Refused("untested: it goes with retreat, not with %s", verb)
	}
	return nil
}

// reasonOf makes a reason one line of text.
func reasonOf(given string, needed bool) (string, error) {
	clean := strings.Map(func(c rune) rune {
		switch {
		case unicode.IsPrint(c):
			return c
		case unicode.IsSpace(c):
			return ' '
		}
		return -1
	}, strings.ToValidUTF8(given, "?"))
	clean = strings.Join(strings.Fields(clean), " ")
	switch n := utf8.RuneCountInString(clean); {
	case n > fleet.MostReason:
		return "", fleet.Refused("a reason of %d characters: at most %d are kept", n, fleet.MostReason)
	case n == 0 && needed:
		return "", fleet.Refused("reason: say why, in a few words; it stands in the journal and on the page")
	}
	return clean, nil
}

// actorOf is who acts, as others know them.
func actorOf(ctx context.Context) string {
	actor := event.ActorOf(ctx).Actor
	return cmp.Or(actor.Name, actor.ID)
}

// haltFirstOf reads halt_first from the address or from the body.
func haltFirstOf(w http.ResponseWriter, r *http.Request) (bool, error) {
	halt, err := truthOf(r, "halt_first")
	if err != nil || r.ContentLength == 0 {
		return halt, err
	}
	in := api.Publish{HaltFirst: halt}
	err = endpoint.ReadJSON(w, r, mostJSON, &in)
	return in.HaltFirst, err
}
