package page

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// dumpView is one dump, of a group or of none: one that waits for its firmware may have frames already.
type dumpView struct {
	crash.Listed
	Stack *stack // nil: there is no report yet
}

func (p *Page) dump(v *visit) (shown, error) {
	key, err := fleet.ParseDeviceKey(v.r.PathValue("key"))
	if err != nil {
		return shown{}, fleet.Unknown("%s", err)
	}
	name, err := fleet.ParseDumpName(strings.TrimSuffix(v.r.PathValue("name"), ".dmp"))
	if err != nil {
		return shown{}, fleet.Unknown("%s", err)
	}
	l, err := p.Crashes.Dump(key, name)
	if err != nil {
		return shown{}, err
	}
	report, err := p.report(l.Dump)
	return shown{cmp.Or(l.Crash.TopFrame, string(name)), dumpView{l, report}}, err
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
