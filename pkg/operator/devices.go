package operator

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func (d *door) registerDevices(rs *endpoint.Routes) {
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/devices", d.listDevices, listed("model", "state", "version", "line", "label", "crash", "q")...)
	d.handle(rs, auth.Operator, http.MethodPost, "/api/devices", d.addDevice)
	d.handle(rs, auth.Operator, http.MethodPost, "/api/devices/import", d.importDevices, "dry_run", "model", "skip_wrong")
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/devices/{key}", d.showDevice)
	d.handle(rs, auth.Operator, http.MethodPatch, "/api/devices/{key}", d.changeDevice)
	d.handle(rs, auth.Operator, http.MethodDelete, "/api/devices/{key}", d.removeDevice)
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/devices/{key}/config", d.showConfig)
	d.handle(rs, auth.Operator, http.MethodPut, "/api/devices/{key}/config", d.setConfig)
	d.handle(rs, auth.Operator, http.MethodDelete, "/api/devices/{key}/config", d.removeConfig)
	d.handle(rs, auth.Operator, http.MethodPost, "/api/devices/{key}/token", d.mintToken)
	d.handle(rs, auth.Operator, http.MethodPost, "/api/devices/{key}/secret", d.replaceSecret)
	d.handle(rs, auth.Operator, http.MethodPost, "/api/devices/{key}/path-secret", d.makePathSecret)
	d.handle(rs, auth.Operator, http.MethodDelete, "/api/devices/{key}/path-secret", d.revokePathSecret)
	d.handle(rs, auth.Operator, http.MethodPost, "/api/devices/{key}/nudge", d.nudge)
}

func (d *door) listDevices(w http.ResponseWriter, r *http.Request) error {
	f, err := d.deviceFilter(r)
	if err != nil {
		return err
	}
	limit := f.Limit
	f.Limit++ // one more tells whether there is another page
	found := d.Sightings.Devices(f)
	if len(found) == 0 && f.After == "" {
		if err := errors.Join(d.knownModel(f.Model), d.knownWords(f)); err != nil {
			return err
		}
	}
	keys, next := cut(found, limit, func(key fleet.DeviceKey) string { return string(key) })
	devices := make([]fleet.Device, 0, len(keys))
	for _, key := range keys {
		device, err := d.Records.Device(key)
		if errors.Is(err, fleet.ErrUnknown) {
			continue // removed in between
		}
		if err != nil {
			return err
		}
		devices = append(devices, device)
	}
	shown, err := d.showAll(devices)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.Devices{Devices: shown, Next: next})
}

// afterDevice reads the cursor of a list that goes by the devices' keys.
func afterDevice(r *http.Request) (fleet.DeviceKey, error) {
	after := r.URL.Query().Get("after")
	if after == "" {
		return "", nil
	}
	key, err := fleet.ParseDeviceKey(after)
	if err != nil {
		return "", noCursor(after)
	}
	return key, nil
}

// showAll adds what follows from devices and what was seen of them. Each model is read once.
func (d *door) showAll(devices []fleet.Device) ([]api.Device, error) {
	models := map[fleet.ModelCode]fleet.Model{}
	shown := make([]api.Device, len(devices))
	for i, device := range devices {
		model, read := models[device.Model]
		if !read {
			var err error
			if model, err = d.Records.Model(device.Model); err != nil {
				return nil, err
			}
			models[device.Model] = model
		}
		seen, line := d.Sightings.Sighting(device.Key)
		offered, _ := d.Offers.Offer(device, model)
		shown[i] = api.ShowDevice(device, seen, line, offered)
		shown[i].Rollout = api.ShowMembership(d.Rollouts.MemberOf(device))
	}
	return shown, nil
}

func (d *door) show(device fleet.Device) (api.Device, error) {
	shown, err := d.showAll([]fleet.Device{device})
	if err != nil {
		return api.Device{}, err
	}
	told, err := d.Records.Reported(device.Key)
	if told.Update != nil || len(told.Attributes) > 0 {
		shown[0].Reported = &told
	}
	return shown[0], err
}

// deviceFilter reads what a list of devices is asked for.
func (d *door) deviceFilter(r *http.Request) (f fleet.DeviceFilter, err error) {
	q := r.URL.Query()
	page, err := d.listQuery(r)
	if err != nil {
		return f, err
	}
	f = fleet.DeviceFilter{Version: q.Get("version"), Line: q.Get("line"), Label: q.Get("label"), Search: q.Get("q"), Heard: page.span, Limit: page.limit}
	if f.After, err = afterDevice(r); err != nil {
		return f, err
	}
	if given := q.Get("state"); given != "" {
		if f.State, err = fleet.ParseDeviceState(given); err != nil {
			return f, err
		}
	}
	if given := q.Get("crash"); given != "" {
		if _, f.Among, err = d.Crashes.CrashedOn(given); err != nil {
			return f, d.nearCrash(given, err)
		}
	}
	f.Model, err = d.modelFilter(r)
	return f, err
}

// build checks what was given, but for the secret, and fills in the rest.
func build(n api.NewDevice, now time.Time) (auth.NewDevice, string, error) {
	code, err := fleet.ParseModelCode(n.Model)
	if err != nil {
		return auth.NewDevice{}, "", err
	}
	key := fleet.NewDeviceKey()
	if n.Key != "" {
		if key, err = fleet.ParseDeviceKey(n.Key); err != nil {
			return auth.NewDevice{}, "", err
		}
	}
	if err := fleet.CheckLine(n.Line); err != nil {
		return auth.NewDevice{}, "", err
	}
	aliases, err := fleet.ParseAliases(n.Aliases)
	if err != nil {
		return auth.NewDevice{}, "", err
	}
	secret := n.Secret
	if secret == "" {
		secret = auth.NewSecret()
	}
	return auth.NewDevice{
		Device:  fleet.Device{Key: key, Model: code, Name: n.Name, Line: n.Line, Aliases: aliases, CreatedAt: now, UpdatedAt: now},
		Secrets: auth.DeviceSecrets{Current: auth.HashSecret(secret), ChangedAt: now},
	}, secret, nil
}

func (d *door) addDevice(w http.ResponseWriter, r *http.Request) error {
	var in api.NewDevice
	if err := endpoint.ReadJSON(w, r, mostJSON, &in); err != nil {
		return err
	}
	added, err := d.add(r.Context(), in)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusCreated, added)
}

func (d *door) add(ctx context.Context, in api.NewDevice) (api.AddedDevice, error) {
	n, secret, err := build(in, d.Now().UTC())
	if err != nil {
		return api.AddedDevice{}, err
	}
	warning, err := checkSecret(secret)
	if err != nil {
		return api.AddedDevice{}, err
	}
	if err := d.Records.AddDevice(ctx, n.Device, n.Secrets); err != nil {
		return api.AddedDevice{}, err
	}
	added := api.AddedDevice{Credentials: api.ShowSecret(n.Device, secret)}
	if warning != "" {
		added.Warnings = []string{warning}
	}
	return added, nil
}

func (d *door) showDevice(w http.ResponseWriter, r *http.Request) error {
	device, err := d.device(r)
	if err != nil {
		return err
	}
	shown, err := d.show(device)
	if err != nil {
		return err
	}
	has, err := d.Issuer.HasPathSecret(device.Key)
	if err != nil {
		return err
	}
	shown.PathSecret = &has
	return endpoint.WriteJSON(w, http.StatusOK, shown)
}

func (d *door) device(r *http.Request) (fleet.Device, error) {
	key, err := deviceOf(r)
	if err != nil {
		return fleet.Device{}, d.nearDevice(r.PathValue("key"), err)
	}
	device, err := d.Records.Device(key)
	return device, d.nearDevice(string(key), err)
}

// changeDevice changes a device. Revoking it refuses its tokens at once, and those that it already has stay refused when
// it is welcome again.
func (d *door) changeDevice(w http.ResponseWriter, r *http.Request) error {
	key, err := deviceOf(r)
	if err != nil {
		return err
	}
	var in api.DeviceChange
	if err := endpoint.ReadJSON(w, r, mostJSON, &in); err != nil {
		return err
	}
	var warnings []string
	device, err := d.Records.UpdateDevice(r.Context(), key, func(device *fleet.Device) (err error) {
		warnings, err = in.Apply(device, d.Now())
		return err
	})
	if err != nil {
		return err
	}
	shown, err := d.show(device)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.ChangedDevice{Device: shown, Warnings: warnings})
}

func (d *door) removeDevice(w http.ResponseWriter, r *http.Request) error {
	key, err := deviceOf(r)
	if err != nil {
		return err
	}
	if err := d.Records.RemoveDevice(r.Context(), key); err != nil {
		return err
	}
	return noContent(w)
}

// showConfig is what the device is told, its own or its model's.
func (d *door) showConfig(w http.ResponseWriter, r *http.Request) error {
	device, err := d.device(r)
	if err != nil {
		return err
	}
	m, err := d.Records.Model(device.Model)
	if err != nil {
		return err
	}
	config, err := fleet.Configuration(m, device)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return endpoint.Write(w, http.StatusOK, config)
}

func (d *door) setConfig(w http.ResponseWriter, r *http.Request) error {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostJSON))
	if err != nil {
		return err
	}
	config, warnings, err := fleet.ParseConfiguration(raw)
	if err != nil {
		return err
	}
	return d.changeConfig(w, r, config, warnings)
}

func (d *door) removeConfig(w http.ResponseWriter, r *http.Request) error {
	return d.changeConfig(w, r, nil, nil)
}

func (d *door) changeConfig(w http.ResponseWriter, r *http.Request, config []byte, warnings []string) error {
	key, err := deviceOf(r)
	if err != nil {
		return err
	}
	_, err = d.Records.UpdateDevice(r.Context(), key, func(device *fleet.Device) error {
		device.Config = config
		return nil
	})
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.Configured{Key: key, Warnings: api.List(warnings)})
}

func (d *door) mintToken(w http.ResponseWriter, r *http.Request) error {
	device, err := d.device(r)
	if err != nil {
		return err
	}
	if device.Revoked {
		return fleet.Taken("device %s is revoked", device.Key)
	}
	token, err := d.Issuer.Mint(device)
	if errors.Is(err, auth.ErrClock) {
		return endpoint.Errorf(http.StatusServiceUnavailable, "clock", "%s", err.Error())
	}
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.DeviceToken{AccessToken: token.AccessToken, ExpiresAt: token.ExpiresAt})
}

func (d *door) replaceSecret(w http.ResponseWriter, r *http.Request) error {
	device, err := d.device(r)
	if err != nil {
		return err
	}
	secret, err := d.Issuer.ReplaceSecret(r.Context(), device.Key)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.ShowSecret(device, secret))
}

func (d *door) makePathSecret(w http.ResponseWriter, r *http.Request) error {
	device, err := d.device(r)
	if err != nil {
		return err
	}
	secret, err := d.Issuer.MakePathSecret(r.Context(), device.Key)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.ShowPathSecret(device, secret))
}

func (d *door) revokePathSecret(w http.ResponseWriter, r *http.Request) error {
	device, err := d.device(r)
	if err != nil {
		return err
	}
	if err := d.Issuer.RevokePathSecret(r.Context(), device.Key); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// nudge asks a device by the plant's broker to restart and ask. Whether it has heard that shows when it asks.
func (d *door) nudge(w http.ResponseWriter, r *http.Request) error {
	device, err := d.device(r)
	if err != nil {
		return err
	}
	in := api.Nudge{For: "firmware"}
	if err := endpoint.ReadJSON(w, r, mostJSON, &in); err != nil {
		return err
	}
	if in.For != "firmware" && in.For != "config" {
		return fleet.Refused("nudge for %q: want firmware or config", in.For)
	}
	if d.Nudges == nil {
		return fleet.Taken("there is no broker to nudge through: mqtt.url is off")
	}
	if err := d.Nudges.Nudge(r.Context(), device, in.For); err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusAccepted, api.Nudged{Key: device.Key, For: in.For})
}
