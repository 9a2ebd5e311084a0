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

// crashesView are the groups that ask for a look first, and the newest dumps.
type crashesView struct {
	Groups []crash.Group
	More   int
	Dumps  []crash.Listed
}

func (p *Page) crashes(*visit) (shown, error) {
	groups, total, err := p.Crashes.UrgentGroups(shownRows)
	if err != nil {
		return shown{}, err
	}
	dumps, _, err := p.Crashes.Dumps(crash.DumpFilter{Limit: shownRows})
	return shown{"Crashes", crashesView{groups, total - len(groups), dumps}}, err
}

// crashView is one group.
type crashView struct {
	Group    crash.Group
	Versions []crash.VersionCount
	Dumps    []crash.Listed
	Report   string // of the newest dump
}

func (p *Page) crash(v *visit) (shown, error) {
	g, versions, _, err := p.Crashes.Group(v.r.PathValue("fingerprint"))
	if err != nil {
		return shown{}, err
	}
	dumps, err := p.Crashes.GroupDumps(g.Fingerprint, shownRows)
	if err != nil {
		return shown{}, err
	}
	view := crashView{Group: g, Versions: versions, Dumps: dumps}
	if len(dumps) > 0 {
		if view.Report, err = p.report(dumps[0].Dump); err != nil {
			return shown{}, err
		}
	}
	return shown{cmp.Or(g.TopFrame, g.Fingerprint), view}, nil
}

// dumpView is one dump, of a group or of none: one that waits for its firmware may have frames already.
type dumpView struct {
	crash.Listed
	Report string
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

// report is a dump's as people read it, "" for none. One that a power cut has damaged is none: the next start makes it
// again, and what is in the catalog can be shown without it.
func (p *Page) report(d fleet.Dump) (string, error) {
	packed, err := p.Dumps.ReadReport(d.Device, d.Name())
	if errors.Is(err, fleet.ErrUnknown) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", nil //nolint:nilerr // damaged, see above
	}
	report, err := io.ReadAll(io.LimitReader(z, mostReport))
	if err != nil {
		return "", nil //nolint:nilerr // likewise
	}
	return p.Gateway.Text(report)
}
