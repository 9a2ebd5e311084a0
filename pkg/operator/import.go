package operator

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

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

// listing is how a list is to be taken.
type listing struct {
	model     string // of the rows that name none
	dryRun    bool
	skipWrong bool
}

// importDevices takes a CSV of model_code,device_key[,client_secret][,name][,line][,alias], several aliases separated by spaces, or
// the JSON that another system exports. All new devices are added or none. Those that are there keep the secrets that they have,
// which may have been rotated since the list was made; only a new name, line or alias is taken.
func (d *door) importDevices(w http.ResponseWriter, r *http.Request) error {
	how := listing{model: r.URL.Query().Get("model")}
	var err error
	if how.dryRun, err = truthOf(r, "dry_run"); err != nil {
		return err
	}
	if how.skipWrong, err = truthOf(r, "skip_wrong"); err != nil {
		return err
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostCSV))
	if err != nil {
		return err
	}
	done, err := d.take(r.Context(), raw, how)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if done.Added > 0 && !done.DryRun {
		status = http.StatusCreated
	}
	return endpoint.WriteJSON(w, status, done)
}

// take does what a list asks for.
func (d *door) take(ctx context.Context, raw []byte, how listing) (api.Imported, error) {
	read := readRows
	if trimmed := bytes.TrimSpace(bytes.TrimPrefix(raw, []byte(byteOrderMark))); bytes.HasPrefix(trimmed, []byte("{")) || bytes.HasPrefix(trimmed, []byte("[")) {
		raw, read = trimmed, readForeign
	}
	rows, err := read(raw)
	if err != nil {
		return api.Imported{}, err
	}
	if len(rows) == 0 {
		return api.Imported{}, fleet.Refused("the list has no devices")
	}
	p, err := d.planImport(rows, how)
	if err != nil {
		return api.Imported{}, err
	}
	if how.dryRun {
		p.DryRun, p.Made = true, []api.Credentials{}
		return p.Imported, nil
	}
	return p.Imported, d.carryOut(ctx, p)
}

func (d *door) carryOut(ctx context.Context, p plan) error {
	if len(p.add) > 0 {
		if err := d.Records.AddDevices(ctx, p.add); err != nil {
			return err
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
			return err
		}
	}
	return nil
}

// Roster takes in devices as the API does, for whoever has no request to the API.
type Roster struct{ d *door }

// NewRoster is over the same records as a door with these options.
func NewRoster(o Options) Roster { return Roster{&door{o}} }

// Add adds a device.
func (r Roster) Add(ctx context.Context, in api.NewDevice) (api.AddedDevice, error) {
	return r.d.add(ctx, in)
}

// Import takes a list, as POST /api/devices/import does.
func (r Roster) Import(ctx context.Context, list []byte) (api.Imported, error) {
	return r.d.take(ctx, list, listing{})
}

// planImport looks at every row before anything is changed. The first wrong one is the error, unless wrong ones are to be skipped
// or nothing is to be done.
func (d *door) planImport(rows []row, how listing) (p plan, err error) {
	p.Made = []api.Credentials{}
	l := &lister{door: d, how: how, now: d.Now().UTC(), models: map[string]error{}, keys: map[fleet.DeviceKey]string{}, aliases: map[fleet.Alias]string{}}
	var first error
	var said *fleet.Error
	for _, r := range rows {
		err := l.take(r, &p)
		if err != nil && !errors.As(err, &said) {
			return p, err // of the disk: no row is wrong
		}
		if err == nil {
			continue
		}
		kind := said.Kind
		if errors.Is(kind, fleet.ErrUnknown) { // of what the list names, and not of what was asked for
			kind = fleet.ErrRefused
		}
		err = &fleet.Error{Kind: kind, Reason: r.at + ": " + said.Reason}
		if first == nil {
			first = err
		}
		if p.WrongRows++; len(p.Wrong) < mostWrong {
			p.Wrong = append(p.Wrong, err.Error())
		}
	}
	switch {
	case first == nil, how.dryRun:
		return p, nil
	case !how.skipWrong && p.WrongRows > 1:
		errors.As(first, &said)
		return p, &fleet.Error{Kind: said.Kind, Reason: fmt.Sprintf("%s; %d more are wrong, too: dry_run names them", said.Reason, p.WrongRows-1)}
	case !how.skipWrong:
		return p, first
	}
	return p, nil
}

// mostWrong rows are named; the others are counted.
const mostWrong = 100

// lister is where a list is while its rows are looked at.
type lister struct {
	door    *door
	how     listing
	now     time.Time
	models  map[string]error
	keys    map[fleet.DeviceKey]string // where they are in the list
	aliases map[fleet.Alias]string
	short   int
}

// take adds a row to the plan, or says what is wrong with it and leaves the plan as it is.
func (l *lister) take(r row, p *plan) error {
	if r.wrong != nil {
		return r.wrong
	}
	in, err := l.described(r)
	if err != nil {
		return err
	}
	n, secret, err := build(in, l.now)
	if err != nil {
		return err
	}
	device := n.Device
	if err := l.once(device); err != nil {
		return err
	}
	if _, known := l.models[in.Model]; !known {
		l.models[in.Model] = l.door.knownModel(device.Model)
	}
	if err := l.models[in.Model]; err != nil {
		return err
	}
	there, found, err := l.there(device, in.Key != "")
	if err != nil {
		return err
	}
	if found {
		device.Key = there.Key
	} else if warning, err := checkSecret(secret); err != nil {
		return err
	} else if warning != "" {
		l.short++
		p.Warnings = warned(p.Warnings, l.short, r.at+": "+warning)
	}
	l.keys[device.Key] = r.at
	for _, alias := range device.Aliases {
		l.aliases[alias] = r.at
	}
	switch {
	case !found:
		p.add = append(p.add, n)
		p.Added++
		if in.Secret == "" {
			p.Made = append(p.Made, api.ShowSecret(device, secret))
		}
	case in.Name != "" && in.Name != there.Name || in.Line != "" && in.Line != there.Line,
		in.Key != "" && device.Aliases != nil && !slices.Equal(device.Aliases, there.Aliases):
		if in.Key == "" {
			device.Aliases = nil // it was found by one of them, and keeps those that it has
		}
		p.change = append(p.change, device)
		p.Changed++
	default:
		p.Unchanged++
	}
	return nil
}

// described is a row as a device. One without a key and an alias is called by its name.
func (l *lister) described(r row) (in api.NewDevice, err error) {
	f := r.fields
	in = api.NewDevice{
		Model: cmp.Or(f[columnModel], l.how.model, modelOfType(f[columnType])), Key: f[columnKey], Secret: f[columnSecret], Name: f[columnName], Line: f[columnLine],
		Aliases: strings.Fields(f[columnAlias]),
	}
	switch {
	case in.Model == "":
		return in, fleet.Refused("want a model for it: %s", wantedColumns)
	case in.Key == "" && len(in.Aliases) == 0 && in.Name == "":
		return in, fleet.Refused("want a key, or what the device calls itself: %s", wantedColumns)
	case in.Key == "" && len(in.Aliases) == 0:
		in.Aliases = []string{in.Name}
	}
	return in, nil
}

// modelOfType is the code that another system's type of a device would have here.
func modelOfType(name string) string {
	return strings.ToLower(strings.NewReplacer(" ", "_", "-", "_").Replace(name))
}

// once refuses what the list has already.
func (l *lister) once(device fleet.Device) error {
	if before := l.keys[device.Key]; before != "" {
		return fleet.Refused("device %s is on %s already", device.Key, before)
	}
	for _, alias := range device.Aliases {
		if before := l.aliases[alias]; before != "" {
			return fleet.Refused("alias %q is on %s already", alias, before)
		}
	}
	return nil
}

// there finds the device that a row is of, by its key or by what it calls itself. What means another one is refused.
func (l *lister) there(device fleet.Device, named bool) (there fleet.Device, found bool, err error) {
	if named {
		there, err = l.door.Records.Device(device.Key)
		if err != nil && !errors.Is(err, fleet.ErrUnknown) {
			return there, false, err
		}
		found = err == nil
	}
	for _, alias := range device.Aliases {
		other, err := l.door.Records.DeviceByAlias(string(alias))
		switch {
		case errors.Is(err, fleet.ErrUnknown):
		case err != nil:
			return there, false, err
		case !named && (!found || other.Key == there.Key):
			there, found = other, true
		case other.Key != there.Key || !found:
			return there, false, fleet.Taken("alias %q is device %s's already", alias, other.Key)
		}
	}
	if found && there.Model != device.Model {
		return there, false, fleet.Taken("device %s is there already, of model %s; device set --model moves it", there.Key, there.Model)
	}
	if before := l.keys[there.Key]; found && before != "" {
		return there, false, fleet.Refused("device %s is on %s already", there.Key, before)
	}
	return there, found, nil
}

// warned adds the nth warning of a list: the first few in full, then how many there are more.
func warned(warnings []string, n int, warning string) []string {
	const most = 5
	if n <= most {
		return append(warnings, warning)
	}
	return append(warnings[:most:most], fmt.Sprintf("%d more client secrets are as short", n-most))
}
