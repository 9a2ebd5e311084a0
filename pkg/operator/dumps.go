package operator

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// dumps is what the door needs of the dump directories.
type dumps interface {
	OpenDump(fleet.DeviceKey, fleet.DumpName) (*os.File, error)
	ReadReport(fleet.DeviceKey, fleet.DumpName) ([]byte, error) // gzip of JSON
	Remove(context.Context, fleet.DeviceKey, fleet.DumpName) error
	DecodeAgain(context.Context, fleet.DeviceKey, fleet.DumpName) error // notes it; it is done in its turn
	// DecodeGroupAgain likewise, a piece of a group's dumps: those behind one.
	DecodeGroupAgain(ctx context.Context, address string, after crash.Ref) (crash.AskedAgain, error)
}

func (d *door) registerDumps(rs *endpoint.Routes) {
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/coredumps", d.listDumps, listed("device", "model", "state")...)
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/devices/{key}/coredumps", d.listDumps, listed("model", "state")...)
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/coredumps/{key}/{name}", d.showDump)
	d.handle(rs, auth.Operator, http.MethodDelete, "/api/coredumps/{key}/{name}", d.removeDump)
	d.handle(rs, auth.Operator, http.MethodPost, "/api/coredumps/{key}/{name}/decode", d.decodeDump)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		d.handle(rs, auth.Viewer, method, "/api/coredumps/{key}/{name}/file", d.dumpFile)
	}
}

func show(l crash.Listed) api.Dump {
	c := l.Crash
	return api.Dump{
		Name: l.Dump.Name(), File: string(l.Dump.Name()) + ".dmp", Dump: l.Read(), State: string(c.State), Why: c.Why, Wants: c.Wants(), ELFHash: c.ELFHash, Grade: string(c.Grade),
		Build: c.Version, Reason: c.Reason, TopFrame: c.TopFrame, Fingerprint: c.Fingerprint, Group: l.Group, News: string(c.News), Disagree: c.Disagreements, Again: c.Again != nil,
	}
}

func showAll(listed []crash.Listed) []api.Dump {
	shown := make([]api.Dump, len(listed))
	for i, l := range listed {
		shown[i] = show(l)
	}
	return shown
}

// listDumps lists dumps, newest first: all, or those of one device.
func (d *door) listDumps(w http.ResponseWriter, r *http.Request) error {
	f, err := d.dumpFilter(r)
	if err != nil {
		return err
	}
	listed, next, err := d.Crashes.Dumps(f)
	if err == nil && len(listed) == 0 && f.After.Name == "" {
		err = errors.Join(d.knownModel(f.Model), d.knownDevice(f.Device))
	}
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.Dumps{Dumps: showAll(listed), Next: api.Optional(next.String())})
}

func (d *door) dumpFilter(r *http.Request) (crash.DumpFilter, error) {
	q := r.URL.Query()
	page, err := d.listQuery(r)
	f := crash.DumpFilter{Uploaded: page.span, Limit: page.limit}
	if err != nil {
		return f, err
	}
	if state := q.Get("state"); state != "" {
		if f.State, err = crash.ParseState(state); err != nil {
			return f, err
		}
	}
	device := q.Get("device")
	if key := r.PathValue("key"); key != "" {
		device = key
	}
	if device != "" {
		if f.Device, err = fleet.ParseDeviceKey(device); err != nil {
			return f, d.nearDevice(device, err)
		}
	}
	if f.Model, err = d.modelFilter(r); err != nil {
		return f, err
	}
	if f.After, err = crash.ParseRef(page.after); err != nil {
		return f, noCursor(page.after)
	}
	return f, nil
}

func (d *door) dump(r *http.Request) (crash.Listed, error) {
	key, err := deviceOf(r)
	if err != nil {
		return crash.Listed{}, err
	}
	name, err := fleet.ParseDumpName(strings.TrimSuffix(r.PathValue("name"), ".dmp"))
	if err != nil {
		return crash.Listed{}, fleet.Unknown("%s", err)
	}
	return d.Crashes.Dump(key, name)
}

func (d *door) removeDump(w http.ResponseWriter, r *http.Request) error {
	l, err := d.dump(r)
	if err != nil {
		return err
	}
	if err := d.Dumps.Remove(r.Context(), l.Dump.Device, l.Dump.Name()); err != nil {
		return err
	}
	return noContent(w)
}

// decodeDump has a dump decoded anew; once it was, the dump says no more that it will be, and an event tells of it.
func (d *door) decodeDump(w http.ResponseWriter, r *http.Request) error {
	l, err := d.dump(r)
	if err != nil {
		return err
	}
	if err := d.Dumps.DecodeAgain(r.Context(), l.Dump.Device, l.Dump.Name()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (d *door) dumpFile(w http.ResponseWriter, r *http.Request) error {
	l, err := d.dump(r)
	if err != nil {
		return err
	}
	f, err := d.Dumps.OpenDump(l.Dump.Device, l.Dump.Name())
	if err != nil {
		return err
	}
	return sendFile(w, r, f, "application/octet-stream", string(l.Dump.Device)+"-"+string(l.Dump.Name())+".dmp")
}

// sendFile sends a file as an attachment and closes it.
func sendFile(w http.ResponseWriter, r *http.Request, f *os.File, kind, name string) error {
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`) // names are made of parsed parts
	return endpoint.ServeContent(w, r, info.ModTime(), info.Size(), f)
}
