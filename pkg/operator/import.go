package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

const (
	mostCSV     = 16 << 20 // bytes
	mostDevices = 100_000

	byteOrderMark = "\xef\xbb\xbf" // spreadsheets put one before the first line
)

// plan is what an import is going to do.
type plan struct {
	add    []auth.NewDevice
	change []fleet.Device // a new name, line or aliases
	api.Imported
}

// importDevices takes a CSV of model_code,device_key[,client_secret][,name][,line][,alias], several aliases separated by spaces. All new devices are added or none. Those that
// are there keep the secrets that they have, which may have been rotated since the list was made; only a new name, line or alias is taken.
func (d *door) importDevices(w http.ResponseWriter, r *http.Request) error {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostCSV))
	if err != nil {
		return err
	}
	done, err := d.take(r.Context(), raw)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if done.Added > 0 {
		status = http.StatusCreated
	}
	return endpoint.WriteJSON(w, status, done)
}

// take does what a CSV asks for.
func (d *door) take(ctx context.Context, raw []byte) (api.Imported, error) {
	rows, err := readRows(raw)
	if err != nil {
		return api.Imported{}, err
	}
	if len(rows) == 0 {
		return api.Imported{}, fleet.Refused("the CSV has no devices")
	}
	p, err := d.planImport(rows)
	if err != nil {
		return api.Imported{}, err
	}
	if len(p.add) > 0 {
		if err := d.Records.AddDevices(ctx, p.add); err != nil {
			return api.Imported{}, err
		}
	}
	for _, listed := range p.change {
		_, err := d.Records.UpdateDevice(ctx, listed.Key, func(device *fleet.Device) error {
			device.Name = cmp.Or(listed.Name, device.Name)
			device.Line = cmp.Or(listed.Line, device.Line)
			if listed.Aliases != nil {
				device.Aliases = listed.Aliases
			}
			return nil
		})
		if err != nil {
			return api.Imported{}, err
		}
	}
	return p.Imported, nil
}

// Roster takes in devices as the API does, for whoever has no request to the API.
type Roster struct{ d *door }

// NewRoster is over the same records as a door with these options.
func NewRoster(o Options) Roster { return Roster{&door{o}} }

// Add adds a device.
func (r Roster) Add(ctx context.Context, in api.NewDevice) (api.AddedDevice, error) {
	return r.d.add(ctx, in)
}

// Import takes a CSV, as POST /api/devices/import does.
func (r Roster) Import(ctx context.Context, csv []byte) (api.Imported, error) {
	return r.d.take(ctx, csv)
}

// planImport looks at every row before anything is changed.
func (d *door) planImport(rows []row) (p plan, err error) {
	p.Made = []api.Credentials{}
	now := d.Now().UTC()
	models := map[string]error{}
	seen := map[fleet.DeviceKey]int{}
	short := 0
	for _, r := range rows {
		in := api.NewDevice{Model: r.fields[columnModel], Key: r.fields[columnKey], Secret: r.fields[columnSecret], Name: r.fields[columnName], Line: r.fields[columnLine], Aliases: strings.Fields(r.fields[columnAlias])}
		n, secret, err := build(in, now)
		if err != nil {
			return p, fleet.Refused("line %d: %v", r.line, err)
		}
		device := n.Device
		if before := seen[device.Key]; before != 0 {
			return p, fleet.Refused("line %d: device %s is on line %d already", r.line, device.Key, before)
		}
		seen[device.Key] = r.line
		if _, known := models[in.Model]; !known {
			models[in.Model] = d.knownModel(device.Model)
		}
		if err := models[in.Model]; err != nil {
			return p, atLine(r.line, err)
		}
		there, err := d.Records.Device(device.Key)
		switch {
		case errors.Is(err, fleet.ErrUnknown):
			warning, err := checkSecret(secret)
			if err != nil {
				return p, atLine(r.line, err)
			}
			if warning != "" {
				short++
				p.Warnings = warned(p.Warnings, short, fmt.Sprintf("line %d: %s", r.line, warning))
			}
			p.add = append(p.add, n)
			p.Added++
			if in.Secret == "" {
				p.Made = append(p.Made, api.ShowSecret(device, secret))
			}
		case err != nil:
			return p, err
		case there.Model != device.Model:
			return p, fleet.Taken("line %d: device %s is there already, of model %s; device set --model moves it", r.line, device.Key, there.Model)
		case in.Name != "" && in.Name != there.Name || in.Line != "" && in.Line != there.Line,
			device.Aliases != nil && !slices.Equal(device.Aliases, there.Aliases):
			p.change = append(p.change, device)
			p.Changed++
		default:
			p.Unchanged++
		}
	}
	return p, nil
}

// warned adds the nth warning of a list: the first few in full, then how many there are more.
func warned(warnings []string, n int, warning string) []string {
	const most = 5
	if n <= most {
		return append(warnings, warning)
	}
	return append(warnings[:most:most], fmt.Sprintf("%d more client secrets are as short", n-most))
}

// atLine says where in the list a refusal is at home.
func atLine(line int, err error) error {
	var e *fleet.Error
	if !errors.As(err, &e) {
		return err
	}
	return fleet.Refused("line %d: %s", line, e.Reason)
}
