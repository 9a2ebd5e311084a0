// Package operator is the door for people and for CI: the JSON API that the command line, pipelines and programs call.
//
// Every route asks for a role, but for health, metrics, the documentation, the CA and the upload scripts; [access.Access]
// says who calls. The door declares the few methods that it calls and turns the house's six refusals into
// statuses; their sentences are meant for its users.
package operator

import (
	"context"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/slipway-gateway/slipway/pkg/access"
	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Options are what stands behind the door.
type Options struct {
	Records   records
	Sightings sightings
	Offers    offers
	Firmware  firmware
	Rollouts  rollouts
	Dumps     dumps
	Drops     drops
	Noted     noted
	Crashes   crashes
	Adoptions adoptions
	Issuer    issuer
	Operators operators
	Keys      keys
	Gateway   gateway
	Nudges    nudges // nil where there is no broker
	Events    events
	Webhooks  webhooks
	Access    *access.Access
	Docs      endpoint.Handler // the description of the API for browsers; nil: they get what programs get
	Metrics   http.Handler
	Counter   *endpoint.Metrics
	Now       func() time.Time
}

// gateway is what people ask about the whole.
type gateway interface {
	Status() (api.Status, error)
	Ready() bool // recovery is over
	Wrong() []fleet.Wrong
	Trouble() []string // what is wrong, in words for an operator
	BaseURL() string
	CA() ([]byte, error)             // the gateway's own, PEM; nil where an operator brought a certificate
	Trusted(context.Context) bool    // the caller came through the socket and may do everything
	Rebuild(context.Context) error   // reads again what lies on disk
	AcceptClock() (time.Time, error) // what the clock says is noted, back too
	BackUpNow(context.Context) (api.MadeBackup, error)
	Backup(io.Writer) error             // everything that cannot be found again, private keys too
	Text(report []byte) (string, error) // a report as people read it
}

// nudges ask a device to restart and ask for what it is offered, "firmware", or for its configuration, "config".
type nudges interface {
	Nudge(ctx context.Context, d fleet.Device, what string) error
}

// keys are what device tokens are signed with.
type keys interface{ Rotate() error }

// records is what the door needs of the catalog besides dumps and crashes.
type records interface {
	Model(fleet.ModelCode) (fleet.Model, error)
	Models() ([]fleet.Model, error)
	AddModel(context.Context, fleet.Model) error
	UpdateModel(context.Context, fleet.ModelCode, func(*fleet.Model) error) (fleet.Model, error)
	Build(fleet.ModelCode, fleet.Version) (fleet.Build, error)
	Builds(fleet.ModelCode) ([]fleet.Build, error)
	NoteBuild(ctx context.Context, code fleet.ModelCode, v fleet.Version, note string) (fleet.Build, error)
	Device(fleet.DeviceKey) (fleet.Device, error)
	AddDevice(context.Context, fleet.Device, auth.DeviceSecrets) error
	AddDevices(context.Context, []auth.NewDevice) error
	UpdateDevice(context.Context, fleet.DeviceKey, func(*fleet.Device) error) (fleet.Device, error)
	RemoveDevice(context.Context, fleet.DeviceKey) error
	Reported(fleet.DeviceKey) (fleet.Reported, error)
	DeviceByAlias(string) (fleet.Device, error)
}

// sightings are what was seen of devices; they answer every filter.
type sightings interface {
	Devices(fleet.DeviceFilter) []fleet.DeviceKey
	Sighting(fleet.DeviceKey) (s fleet.Sighting, line string)
	Known() (versions, lines, labels []string)
	Versions(fleet.ModelCode) []fleet.VersionRuns
	Hours() []fleet.HourCount // counts that the catalog does not have yet
	Facets(fleet.DeviceFilter) fleet.DeviceFacets
	DarkLines() []string
}

// offers say which build a device is to run.
type offers interface {
	Offer(fleet.Device, fleet.Model) (v fleet.Version, ok bool)
}

// firmware is what the door needs of the depot.
type firmware interface {
	Accept(context.Context, fleet.Submission) (fleet.Accepted, error)
	Publish(context.Context, fleet.ModelCode, fleet.Version) (fleet.Model, error)
	Remove(context.Context, fleet.ModelCode, fleet.Version) error
	RemoveModel(context.Context, fleet.ModelCode) error
	OpenImage(fleet.Model, fleet.Version) (fleet.Image, error)
	OpenBundle(fleet.ModelCode, fleet.Version) (*os.File, error)
	OpenELF(context.Context, fleet.Build) (*os.File, error)
}

// issuer mints and changes what devices show.
type issuer interface {
	Mint(fleet.Device) (auth.Token, error)
	ReplaceSecret(context.Context, fleet.DeviceKey) (string, error)
	MakePathSecret(context.Context, fleet.DeviceKey) (string, error)
	RevokePathSecret(context.Context, fleet.DeviceKey) error
	HasPathSecret(fleet.DeviceKey) (bool, error)
}

// operators are people's own tokens.
type operators interface {
	Authenticate(token string) (auth.OperatorToken, error)
	Create(ctx context.Context, name string, role auth.Role, models ...fleet.ModelCode) (string, auth.OperatorToken, error)
	List() ([]auth.OperatorToken, error)
	Revoke(ctx context.Context, id string) error
}

// door has the handlers.
type door struct{ Options }

// Register adds the door's routes.
func Register(rs *endpoint.Routes, o Options) {
	d := &door{o}
	d.registerPipeline(rs)
	d.registerModels(rs)
	d.registerVersions(rs)
	d.registerRollouts(rs)
	d.registerDevices(rs)
	d.registerAdoptions(rs)
	d.registerDumps(rs)
	d.registerCrashes(rs)
	d.registerGateway(rs)
	d.registerEvents(rs)
	d.registerWebhooks(rs)
	d.registerTrouble(rs)
}

// none is the query of a route that takes no parameters.
var none = endpoint.Query{}

// handle adds a route for callers of a role, and the query parameters that it knows.
func (d *door) handle(rs *endpoint.Routes, need auth.Role, method, pattern string, h endpoint.Handler, known ...string) {
	rs.Register(endpoint.Route{Method: method, Pattern: pattern, Query: append(none, known...)}, d.Access.Need(need), seen(h))
}

// anyone is the guard of what asks for no token.
func anyone(w http.ResponseWriter, _ *http.Request) error {
	access.Private(w)
	return nil
}

// seen has the house's refusals answered as what they are.
func seen(h endpoint.Handler) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error { return access.Visible(h(w, r)) }
}

// The parts of an address.

func modelOf(r *http.Request) (fleet.ModelCode, error) {
	code, err := fleet.ParseModelCode(r.PathValue("code"))
	if err != nil {
		return "", fleet.Unknown("%s", err)
	}
	return code, nil
}

func deviceOf(r *http.Request) (fleet.DeviceKey, error) {
	key, err := fleet.ParseDeviceKey(r.PathValue("key"))
	if err != nil {
		return "", fleet.Unknown("%s", err)
	}
	return key, nil
}

func versionOf(r *http.Request) (fleet.Version, error) {
	v, err := fleet.ParseVersion(r.PathValue("version"))
	if err != nil {
		return "", fleet.Unknown("%s", err)
	}
	return v, nil
}

const mostJSON = 64 << 10 // bytes of a request's JSON; a configuration has 4 KiB at most
