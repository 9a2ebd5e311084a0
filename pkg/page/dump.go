package page

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// dumpView is one dump, of a group or of none: one that waits for its firmware may have frames already.
type dumpView struct {
	crash.Listed
	Stack   *stack // nil: there is no report yet
	Address string
	Upload  *uploadPart // of the bundle that it waits for; nil: it waits for none
}

// dumpOf is the one that the address names.
func (p *Page) dumpOf(v *visit) (crash.Listed, error) {
	key, err := fleet.ParseDeviceKey(v.r.PathValue("key"))
	if err != nil {
		return crash.Listed{}, fleet.Unknown("%s", err)
	}
	name, err := fleet.ParseDumpName(strings.TrimSuffix(v.r.PathValue("name"), ".dmp"))
	if err != nil {
		return crash.Listed{}, fleet.Unknown("%s", err)
	}
	return p.Crashes.Dump(key, name)
}

func (p *Page) dump(v *visit) (shown, error) {
	l, err := p.dumpOf(v)
	if err != nil {
		return shown{}, err
	}
	report, err := p.report(l.Dump)
	view := dumpView{Listed: l, Stack: report, Address: dumpAddress(l.Dump)}
	if l.Crash.State == crash.Missing {
		view.Upload = &uploadPart{Code: l.Dump.Model, To: view.Address, Wants: l.Crash.ELFHash}
	}
	return shown{cmp.Or(l.Crash.TopFrame, string(l.Dump.Name())), view}, err
}

// decodeDump has a dump decoded anew.
func (p *Page) decodeDump(v *visit) (done, error) {
	l, err := p.dumpOf(v)
	if err != nil {
		return done{}, err
	}
	return done{To: dumpAddress(l.Dump), Said: said{
		"It is decoded again: below stands what comes of it.", "", fmt.Sprintf("slipway dump decode %s %s", l.Dump.Device, l.Dump.Name()),
	}}, p.Dumps.DecodeAgain(v.r.Context(), l.Dump.Device, l.Dump.Name())
}

// removeDump removes a dump once the person has typed what it is.
func (p *Page) removeDump(v *visit) (done, error) {
	l, err := p.dumpOf(v)
	if err != nil {
		return done{}, err
	}
	if strings.TrimSpace(v.r.PostForm.Get("typed")) != string(l.Dump.Device) {
		return done{}, fleet.Refused("this cannot be undone: type the key of its device, %s, to confirm it", l.Dump.Device)
	}
	return done{
		To: deviceAddress(l.Dump.Device), Said: said{"The dump " + string(l.Dump.Name()) + " is removed, with its report. Its crash stays counted.", "", fmt.Sprintf("slipway dump rm %s %s", l.Dump.Device, l.Dump.Name())},
	}, p.Dumps.Remove(v.r.Context(), l.Dump.Device, l.Dump.Name())
}

const mostReport = 4 << 20 // bytes of an inflated report; the worker's answer has 1 MiB at most

// report is a dump's, nil for none. One that a power cut has damaged is none: the next start makes it again, and what is in
// the catalog can be shown without it.
func (p *Page) report(d fleet.Dump) (*stack, error) {
	packed, err := p.Dumps.ReadReport(d.Device, d.Name())
	if errors.Is(err, fleet.ErrUnknown) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, nil //nolint:nilerr // damaged, see above
	}
	report, err := io.ReadAll(io.LimitReader(z, mostReport))
	if err != nil {
		return nil, nil //nolint:nilerr // likewise
	}
	text, err := p.Gateway.Text(report)
	if err != nil {
		return nil, err
	}
	made, ok := stackOf(report, text)
	if !ok {
		return nil, nil
	}
	return &made, nil
}
