// Package deviceapi is the door that devices come through: token, configuration, provisioning, firmware, core dump.
//
// Names, statuses and members are a contract with firmware in the field that looks at little and forgives less; what it
// needs is said where it is done. The package promises that a device's model and key come only from its token, that no
// check is skipped because another failed first (401, 404, 400, 409, in this order), and that an upload is refused
// before its body is read wherever that is possible.
//
// It trusts nobody: not the token until it is verified, not the length of a body, not what a device says of itself.
package deviceapi

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Options are what the door stands on.
type Options struct {
	Caller       Caller // ByCredentials, or ByWord in test mode
	Guesses      *Guesses
	Issuer       issuer
	Keys         keySet
	TokenPaths   []string // further paths of the token endpoint
	Images       images
	Offers       offers
	Dumps        dumps // nil where dumps are off
	MaxDump      int64 // bytes
	Provisioning Provisioning
	Uploads      Pace
	Sightings    sightings
	Controllers  controllers
	Tenant       string // in the addresses of hawkBit's protocol; "": it is not spoken
	Now          func() time.Time
}

// issuer grants tokens and hands out new secrets.
type issuer interface {
	Grant(ctx context.Context, clientID, secret string) (auth.Token, error)
	RotateSecret(ctx context.Context, key fleet.DeviceKey) (secret string, err error)
}

// keySet is the embedded issuer's public keys.
type keySet interface {
	Public() auth.JWKSet
}

// offers says which build a device is to run, and remembers which image it was sent the first byte of last.
type offers interface {
	Offer(fleet.Device, fleet.Model) (v fleet.Version, ok bool)
	LastSent(fleet.DeviceKey) (s fleet.Sent, found bool, err error)
	NoteSent(context.Context, fleet.DeviceKey, fleet.Sent) error
	// Turn gives a device its turn in a rollout, where it is the one: it is on record when Turn returns. It is called before an
	// answer names the version that Offer says.
	Turn(context.Context, fleet.Device)
	// Strays tells that a device is about to be sent a version that it has asked for by name. After an error it is not to be.
	Strays(context.Context, fleet.Device, fleet.Version) error
	// Taken reports that a version was taken from a device that has begun to fetch it.
	Taken(fleet.Device, fleet.Version) bool
}

// images opens the image that a device of the model gets for a version, or is fleet.ErrUnknown.
type images interface {
	OpenImage(m fleet.Model, v fleet.Version) (fleet.Image, error)
}

// dumps stores a body of size bytes, -1 when unknown, and returns when it is on stable storage. d says device, model, chip
// and version.
type dumps interface {
	Write(ctx context.Context, d fleet.Dump, body io.Reader, size int64) (fleet.Dump, error)
}

// sightings take in what was seen of devices.
type sightings interface {
	Seen(fleet.Seen) // is called for each request
	// Refused counts a dump that was not taken.
	Refused(device fleet.DeviceKey, declared string, at time.Time)
}

// Provisioning is what the settings say that devices are handed out.
type Provisioning struct {
	BaseURL  string            // "" for the address by which the device came
	Extra    map[string]string // mqtt_url and the like; models and devices may say otherwise
	Required []string          // keys without which a device would be off the network for good
}

// Door answers devices.
type Door struct {
	options Options
	uploads *paces
	headed  sync.Map // fleet.DeviceKey to time.Time: when a device asked for the size of what it is offered
	unnoted sync.Map // fleet.DeviceKey to unnoted
	sending sending
	reports *paces
	untold  sync.Map // fleet.DeviceKey to fleet.Reported, which no disk has taken
	words   sync.Map // fleet.DeviceKey to lastWord
}

// New makes the door.
func New(o Options) *Door {
	return &Door{options: o, uploads: newPaces(o.Uploads), reports: newPaces(Pace{reportsPerMinute, reportsPerMinute})}
}

// Register adds the door's routes.
func (d *Door) Register(rs *endpoint.Routes) {
	rs.Handle(http.MethodPost, "/api/iot/coredump", "iot_upload_coredump", d.known(fleet.HeardDump, d.uploadDump))
	rs.Handle(http.MethodPost, "/api/iot/coredump/raw", "iot_upload_coredump", keptBySender(d.known(fleet.HeardDump, d.uploadRawDump)))
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		rs.Handle(method, "/api/iot/firmware", "iot_get_firmware", d.known(fleet.HeardFirmware, onlySketches(d.offeredFirmware)))
		rs.Handle(method, "/api/iot/firmware/{version}", "iot_get_firmware", d.known(fleet.HeardFirmware, onlySketches(d.oneFirmware)))
	}
	rs.Handle(http.MethodGet, "/api/iot/firmware-version", "iot_get_firmware_version", d.known(fleet.HeardVersion, d.firmwareVersion))
	rs.Handle(http.MethodGet, "/api/iot/manifest.json", "iot_get_manifest", d.known(fleet.HeardManifest, d.manifest))
	rs.Handle(http.MethodGet, catalogPath, "iot_get_catalog", d.known(fleet.HeardManifest, d.catalog))
	rs.Handle(http.MethodGet, filePath, "iot_get_firmware", d.known(fleet.HeardFirmware, onlySketches(d.file)))
	rs.Handle(http.MethodGet, "/api/iot/config", "iot_get_config", d.known(fleet.HeardConfig, d.configuration))
	rs.Handle(http.MethodGet, "/api/iot/provisioning", "iot_get_provisioning", d.known(fleet.HeardProvisioning, d.provision))
	rs.Handle(http.MethodGet, "/.well-known/jwks.json", "", d.keys)
	rs.Handle(http.MethodPost, tokenPath, "oauth_token", d.token)
	d.registerHawkbit(rs)
	for _, path := range d.options.TokenPaths {
		if path != tokenPath {
			rs.Handle(http.MethodPost, path, "oauth_token", d.token)
		}
	}
}

// handler answers a device that is known.
type handler func(http.ResponseWriter, *http.Request, fleet.Device, fleet.Model) error

// known finds out who asks before anything else.
func (d *Door) known(by fleet.HeardBy, h handler) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		device, model, err := d.options.Caller(w, r)
		if err != nil {
			return refusal(err)
		}
		endpoint.ShowedCredentials(w)
		note(w, device)
		d.options.Sightings.Seen(d.seen(r, device.Key, by))
		r = r.WithContext(actAs(r, device.Key, device.Name))
		if err := h(w, r, device, model); err != nil {
			return refusal(err)
		}
		return nil
	}
}

// actAs has what is done told as the device's.
func actAs(r *http.Request, key fleet.DeviceKey, name string) context.Context {
	by := event.By{Actor: fleet.Actor{Type: fleet.DeviceActor, ID: string(key), Name: name}}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		by.From = host
	}
	return event.WithActor(r.Context(), by)
}

// asClient is actAs for who is about to show the secret of a client id: what is done with it is done by nobody else.
func asClient(r *http.Request, clientID string) context.Context {
	_, key, err := fleet.ParseClientID(clientID)
	if err != nil {
		return r.Context()
	}
	return actAs(r, key, "")
}

// refusal turns the house's errors into what a device sees. Their sentences are for operators and go only to the log,
// but for a bad request's, which somebody who writes firmware needs.
func refusal(err error) error {
	err = fleet.OfDisk(err)
	var said *endpoint.Error
	switch {
	case errors.As(err, &said):
		return said
	case errors.Is(err, fs.ErrPermission):
		return endpoint.Errorf(http.StatusInternalServerError, "not_permitted", "the gateway may not use its own files").Because(err)
	case errors.Is(err, auth.ErrNoToken):
		return unauthorized("token_missing", "no token", askForCredentials, err)
	case errors.Is(err, auth.ErrToken):
		return unauthorized("token_invalid", "the token does not verify", refusedCredentials, err)
	case errors.Is(err, auth.ErrInvalidClient):
		return unauthorized("invalid_client", "client id and secret do not match", refusedCredentials, err)
	case errors.Is(err, fleet.ErrUnknown):
		return endpoint.Errorf(http.StatusNotFound, "unknown", "unknown device, model or firmware").Because(err)
	case errors.Is(err, fleet.ErrRefused):
		return endpoint.Errorf(http.StatusBadRequest, "refused", "%v", err)
	case errors.Is(err, fleet.ErrTaken):
		return endpoint.Errorf(http.StatusConflict, "conflict", "this conflicts with what is there").Because(err)
	case errors.Is(err, fleet.ErrDamaged):
		e := endpoint.Errorf(http.StatusServiceUnavailable, "damaged", "the firmware is damaged on the gateway: try again later").Because(err)
		e.Header = http.Header{"Retry-After": {"60"}}
		return e
	case errors.Is(err, fleet.ErrFull):
		return endpoint.Errorf(http.StatusInsufficientStorage, "full", "no room on the disk").Because(err)
	case errors.Is(err, fleet.ErrAway):
		return later(http.StatusServiceUnavailable, "away", "the gateway cannot read its records: try again", 2*time.Second).Because(err)
	}
	return err
}

// The challenges. esp_http_client repeats what was refused up to ten times where it is asked for Basic, so that only who
// has shown nothing is asked for it.
const (
	askForCredentials  = `Basic realm="slipway"`
	refusedCredentials = "Bearer"
)

func challenge(with string) http.Header { return http.Header{"Www-Authenticate": {with}} }

func unauthorized(code, message, with string, cause error) error {
	e := endpoint.Errorf(http.StatusUnauthorized, code, "%s", message).Because(cause)
	e.Header = challenge(with)
	return e
}
