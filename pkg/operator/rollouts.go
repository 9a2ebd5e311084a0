package operator

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/access"
	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// rollouts bring builds to devices in waves.
type rollouts interface {
	Start(context.Context, fleet.RolloutOrder) (fleet.Rollout, error)
	Forecast(context.Context, fleet.RolloutOrder) (fleet.Forecast, error)
	Act(context.Context, fleet.ModelCode, int, fleet.RolloutAct) (fleet.Rollout, error)
	Rollout(code fleet.ModelCode, number int) (fleet.Rollout, error) // 0: the newest
	List(fleet.RolloutFilter) (page []fleet.Rollout, next string, err error)
	Members(fleet.ModelCode, int, fleet.MemberFilter) (page []fleet.Member, next fleet.DeviceKey, err error)
	Explain(fleet.ModelCode, int) (fleet.Explanation, error)
	Plan(fleet.ModelCode) (fleet.Plan, error)
	SetPlan(context.Context, fleet.ModelCode, fleet.Plan) (fleet.Plan, error)
	MemberOf(fleet.Device) (fleet.Rollout, fleet.Member, bool)                             // in the newest rollout of its model
	ForPublish(ctx context.Context, code fleet.ModelCode, by string, haltFirst bool) error // ErrTaken names the unfinished one
}

const rolloutPath = "/api/device-models/{code}/rollouts/{number}"

func (d *door) registerRollouts(rs *endpoint.Routes) {
	read := func(pattern string, h endpoint.Handler, known ...string) {
		rs.Register(endpoint.Route{Method: http.MethodGet, Pattern: pattern, Query: append(none, known...)}, d.needReader, seen(h))
	}
	act := func(verb fleet.RolloutVerb, guard endpoint.Guard) {
		rs.Register(endpoint.Route{Method: http.MethodPost, Pattern: rolloutPath + "/" + string(verb), Query: none}, guard, seen(d.actOnRollout(verb)))
	}
	read("/api/device-models/{code}/rollout-plan", d.showPlan)
	d.handle(rs, auth.Operator, http.MethodPut, "/api/device-models/{code}/rollout-plan", d.setPlan)
	rs.Register(endpoint.Route{Method: http.MethodPost, Pattern: "/api/device-models/{code}/rollouts", Query: none}, d.needStarter, seen(d.startRollout))
	read("/api/rollouts", d.listRollouts, listed("model", "state")...)
	read(rolloutPath, d.showRollout)
	read(rolloutPath+"/devices", d.listMembers, listed("state", "wave", "crashed", "went_back")...)
	read(rolloutPath+"/explain", d.explainRollout)
	for _, verb := range []fleet.RolloutVerb{
		fleet.RolloutPause, fleet.RolloutResume, fleet.RolloutAdvance, fleet.RolloutExcuse, fleet.RolloutRetreat, fleet.RolloutFinish,
	} {
		act(verb, d.Access.Need(auth.Operator))
	}
	act(fleet.RolloutHalt, d.needPipeline)
}

// needReader lets those pass who may read everything, and a pipeline that waits for what became of its model's builds.
func (d *door) needReader(w http.ResponseWriter, r *http.Request) error {
	token, err := d.Access.Caller(r)
	if err != nil || token.Role != auth.Pipeline {
		return d.Access.Need(auth.Viewer)(w, r)
	}
	code, of := r.PathValue("code"), "of the address"
	if code == "" {
		code, of = r.URL.Query().Get("model"), "that ?model= names"
	}
	if !token.For(fleet.ModelCode(code)) {
		access.Private(w)
		return forbidden("this token is for %s only: the model %s has to be among them", orList(token.Models), of)
	}
	return d.Access.Need(auth.Pipeline)(w, r)
}

// needStarter refuses a pipeline: what it pushes, a person or a setting brings to devices.
func (d *door) needStarter(w http.ResponseWriter, r *http.Request) error {
	if d.isPipeline(r) {
		access.Private(w)
		return forbidden("a pipeline's token starts no rollout: push the build, and start it with an operator's token, or with slipway rollout start on the gateway, "+
			"or set firmware.publish: rollout for %s and all other models", r.PathValue("code"))
	}
	return d.Access.Need(auth.Operator)(w, r)
}

func (d *door) showPlan(w http.ResponseWriter, r *http.Request) error {
	m, err := d.model(r)
	if err != nil {
		return err
	}
	p, err := d.Rollouts.Plan(m.Code)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.ShowPlan(p))
}

func (d *door) setPlan(w http.ResponseWriter, r *http.Request) error {
	m, err := d.model(r)
	if err != nil {
		return err
	}
	var in fleet.Plan
	if err := endpoint.ReadJSON(w, r, mostJSON, &in); err != nil {
		return err
	}
	if in.Name == "" && len(in.Waves) == 0 {
		return fleet.Refused("name a plan, such as \"standard\", or its waves")
	}
	p, err := d.Rollouts.SetPlan(r.Context(), m.Code, in)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.ShowPlan(p))
}

// startRollout starts one, or with dry_run says what its plan would do.
func (d *door) startRollout(w http.ResponseWriter, r *http.Request) error {
	m, err := d.model(r)
	if err != nil {
		return err
	}
	var in api.NewRollout
	if err := endpoint.ReadJSON(w, r, mostJSON, &in); err != nil {
		return err
	}
	if in.DryRun {
		f, err := Rolling{d}.Forecast(r.Context(), m.Code, in)
		if err != nil {
			return err
		}
		return endpoint.WriteJSON(w, http.StatusOK, api.ShowForecast(f))
	}
	started, err := Rolling{d}.Start(r.Context(), m.Code, in)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusCreated, api.ShowRollout(started))
}

// order checks what was asked for against what is known: a mistyped line would be a rollout to nobody.
func (d *door) order(code fleet.ModelCode, in api.NewRollout) (o fleet.RolloutOrder, err error) {
	o = fleet.RolloutOrder{
		Model: code, Target: in.Target, First: (*fleet.First)(in.First), Window: in.Window, Retreat: in.Retreat, StartAt: in.StartAt, Draft: in.Draft,
		Again: in.Again, Untested: in.Untested, HaltFirst: in.HaltFirst,
	}
	if o.Version, err = d.buildOf(code, in.Version); err != nil {
		return o, err
	}
	if in.Plan != nil {
		o.Plan = *in.Plan
	}
	if o.First != nil {
		if o.First.Line == "" && len(o.First.Keys) == 0 {
			return o, fleet.Refused("first: want a line, or at least one device")
		}
		err = errors.Join(d.knownWords(fleet.DeviceFilter{Line: o.First.Line}), d.knownDevices(o.First.Keys))
	}
	for _, line := range o.Target.Lines {
		err = errors.Join(err, d.knownWords(fleet.DeviceFilter{Line: line}))
	}
	for _, label := range o.Target.Labels {
		err = errors.Join(err, d.knownWords(fleet.DeviceFilter{Label: label}))
	}
	return o, errors.Join(err, d.knownDevices(o.Target.Keys))
}

// buildOf reads a version that has to be a build of the model.
func (d *door) buildOf(code fleet.ModelCode, given string) (fleet.Version, error) {
	v, err := fleet.ParseVersion(given)
	if err != nil {
		return "", err
	}
	builds, err := d.Records.Builds(code)
	if err != nil {
		return "", err
	}
	versions := make([]fleet.Version, len(builds))
	for i, b := range builds {
		if versions[i] = b.Version; b.Version == v {
			return v, nil
		}
	}
	return "", near(fleet.Unknown("model %s has no build %q", code, string(v)), string(v), versions)
}

// knownDevices says which of the keys is no device's.
func (d *door) knownDevices(keys []fleet.DeviceKey) error {
	for _, key := range keys {
		if _, err := fleet.ParseDeviceKey(string(key)); err != nil {
			return d.nearDevice(string(key), err)
		}
		if err := d.knownDevice(key); err != nil {
			return err
		}
	}
	return nil
}

func (d *door) listRollouts(w http.ResponseWriter, r *http.Request) error {
	q, err := d.listQuery(r)
	if err != nil {
		return err
	}
	f := fleet.RolloutFilter{Started: q.span, After: q.after, Limit: q.limit}
	if code, number, _ := strings.Cut(f.After, "/"); f.After != "" && !cursorOfRollouts(code, number) {
		return noCursor(f.After)
	}
	if f.Model, err = d.modelFilter(r); err != nil {
		return err
	}
	if given := r.URL.Query().Get("state"); given != "" {
		if f.State, err = fleet.ParseRolloutState(given); err != nil {
			return err
		}
	}
	page, next, err := d.Rollouts.List(f)
	if err != nil {
		return err
	}
	if len(page) == 0 && f.After == "" {
		if err := d.knownModel(f.Model); err != nil {
			return err
		}
	}
	shown := make([]api.Rollout, len(page))
	for i, one := range page {
		shown[i] = api.ShowRollout(one)
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.Rollouts{Rollouts: shown, Next: api.Optional(next)})
}

func cursorOfRollouts(code, number string) bool {
	_, err := fleet.ParseModelCode(code)
	n, bad := strconv.Atoi(number)
	return err == nil && bad == nil && n > 0
}

// newest stands for the number of the newest rollout.
const newest = "newest"

// rollout is the one that the address names.
func (d *door) rollout(r *http.Request) (fleet.Rollout, error) {
	m, err := d.model(r)
	if err != nil {
		return fleet.Rollout{}, err
	}
	given, number := r.PathValue("number"), 0
	if given != newest {
		if number, err = strconv.Atoi(given); err != nil || number < 1 {
			return fleet.Rollout{}, fleet.Unknown("rollout %q of %s: want its number, or %s", given, m.Code, newest)
		}
	}
	return d.Rollouts.Rollout(m.Code, number)
}

func (d *door) showRollout(w http.ResponseWriter, r *http.Request) error {
	one, err := d.rollout(r)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.ShowRollout(one))
}

func (d *door) listMembers(w http.ResponseWriter, r *http.Request) error {
	one, err := d.rollout(r)
	if err != nil {
		return err
	}
	f, err := d.memberFilter(r)
	if err != nil {
		return err
	}
	page, next, err := d.Rollouts.Members(one.Model, one.Number, f)
	if err != nil {
		return err
	}
	shown := make([]api.Member, len(page))
	for i, m := range page {
		shown[i] = api.ShowMember(m)
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.Members{Devices: shown, Next: api.Optional(string(next))})
}

func (d *door) memberFilter(r *http.Request) (f fleet.MemberFilter, err error) {
	q := r.URL.Query()
	page, err := d.listQuery(r)
	if err != nil {
		return f, err
	}
	f.Seen, f.Limit = page.span, page.limit
	if f.After, err = afterDevice(r); err != nil {
		return f, err
	}
	if given := q.Get("state"); given != "" {
		if f.State, err = fleet.ParseMemberState(given); err != nil {
			return f, err
		}
	}
	if given := q.Get("wave"); given != "" {
		if f.Wave, err = strconv.Atoi(given); err != nil || f.Wave < 1 {
			return f, fleet.Refused("wave %q: want its number, from 1", given)
		}
	}
	if f.Crashed, err = truthOf(r, "crashed"); err != nil {
		return f, err
	}
	f.Back, err = truthOf(r, "went_back")
	return f, err
}

func (d *door) explainRollout(w http.ResponseWriter, r *http.Request) error {
	one, err := d.rollout(r)
	if err != nil {
		return err
	}
	e, err := d.Rollouts.Explain(one.Model, one.Number)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.ShowExplanation(e))
}
