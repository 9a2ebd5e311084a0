package operator

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// crashes is what the door needs of the catalog about dumps and groups.
type crashes interface {
	Dump(fleet.DeviceKey, fleet.DumpName) (crash.Listed, error)
	Dumps(crash.DumpFilter) (page []crash.Listed, next crash.Ref, err error)
	ListGroups(crash.GroupQuery) (crash.GroupPage, error)
	CrashVersions() ([]fleet.Version, error) // in which something crashed
	Wanted() ([]crash.Wanted, error)         // firmware that dumps wait for, by [crash.Wanted.ID]
	// UrgentGroups are the first of all groups by what asks for a look, and how many there are.
	UrgentGroups(limit int) (groups []crash.Group, total int, err error)
	// Group finds a group by its fingerprint, by that of one of its chains, or by one that it had before.
	Group(address string) (crash.Group, []crash.VersionCount, []crash.Chain, error)
	GroupDumps(address string, limit int) ([]crash.Listed, error)
	GroupDevices(address string, after fleet.DeviceKey, limit int) (page []crash.DeviceCount, total int, err error)
	// CrashedOn is a group and all the devices that it was seen on, in their order.
	CrashedOn(address string) (crash.Group, []fleet.DeviceKey, error)
	CrashAddresses() ([]string, error) // of all groups
	GroupCounters(address string) ([]crash.VersionSeries, error)
	// Counters are what was counted of a model's versions since CountedSince.
	Counters(fleet.ModelCode) ([]crash.VersionSeries, error)
	CrashedDevices(code fleet.ModelCode, version string, hours, days int64) (ofHours, ofDays int, err error)
	CountedSince() (time.Time, error)
	UpdateGroup(ctx context.Context, address string, change func(*crash.Group) error) (crash.Group, error)
	MergeGroups(ctx context.Context, one, other string) (crash.Group, error)
	SplitGroup(ctx context.Context, address string, fingerprints []string) (left, split crash.Group, err error)
}

func (d *door) registerCrashes(rs *endpoint.Routes) {
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/crashes", d.listGroups, listed("model", "version", "state", "text", "sort")...)
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/crashes/{fingerprint}", d.showGroup)
	d.registerGroups(rs)
	d.registerInbox(rs)
}

// Group is a group with its versions, its chains and the dumps that are left of it.
type Group struct {
	crash.Group
	Versions []crash.VersionCount `json:"versions"`
	Members  []crash.Chain        `json:"members"` // the chains, most often seen first
	Counters []GroupVersion       `json:"counters"`
	History  []json.RawMessage    `json:"history"` // events of what became of it, newest first
	Dumps    []api.Dump           `json:"coredumps"`
}

// GroupVersion is when a group crashed in a version, and on how many devices: by the hour for 48 hours, by the day for 90
// days.
type GroupVersion struct {
	Version string         `json:"firmware_version"`
	Hours   []crash.Bucket `json:"hours"`
	Days    []crash.Bucket `json:"days"`
}

const mostGroupDumps = 100 // in one answer; the list of dumps has them all

func (d *door) showGroup(w http.ResponseWriter, r *http.Request) error {
	g, versions, chains, err := d.Crashes.Group(r.PathValue("fingerprint"))
	if err != nil {
		return err
	}
	listed, err := d.Crashes.GroupDumps(g.Fingerprint, mostGroupDumps)
	if err != nil {
		return err
	}
	counted, err := d.Crashes.GroupCounters(g.Fingerprint)
	if err != nil {
		return err
	}
	history, err := d.history(g)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK,
		Group{g, api.List(versions), api.List(chains), groupVersions(counted, d.Now()), history, showAll(listed)})
}

const mostHistory = 50 // in one answer; /api/events?object=crash/FINGERPRINT has them all

// history is what the events tell of a group under its present name.
func (d *door) history(g crash.Group) ([]json.RawMessage, error) {
	const newest = 1<<53 - 1
	page, err := d.Events.Events(event.Filter{Object: fleet.Object{Type: "crash", ID: g.Fingerprint}, Before: newest, Limit: mostHistory})
	all := make([]json.RawMessage, len(page.Events))
	for i, s := range page.Events {
		all[i] = s.Raw
	}
	return all, err
}

// groupVersions leaves out the versions in which nothing was counted of late.
func groupVersions(counted []crash.VersionSeries, now time.Time) []GroupVersion {
	all := []GroupVersion{}
	for _, v := range counted {
		if kept := v.Kept(now); len(kept.Hours) > 0 || len(kept.Days) > 0 {
			all = append(all, GroupVersion{v.Version, kept.HourBuckets(), kept.DayBuckets()})
		}
	}
	return all
}

// showDump is one dump with its report, once it has one.
func (d *door) showDump(w http.ResponseWriter, r *http.Request) error {
	l, err := d.dump(r)
	if err != nil {
		return err
	}
	report, err := d.report(l.Dump)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.DumpReport{Dump: show(l), Report: report})
}

const mostReport = 4 << 20 // bytes of an inflated report; the worker's answer has 1 MiB at most

// report is nil where there is none. One that a power cut has damaged is none: the next start makes it again, and what
// is in the catalog can be shown without it.
func (d *door) report(dump fleet.Dump) (json.RawMessage, error) {
	packed, err := d.Dumps.ReadReport(dump.Device, dump.Name())
	if errors.Is(err, fleet.ErrUnknown) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return unpack(packed), nil
}

func unpack(packed []byte) json.RawMessage {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil
	}
	report, err := io.ReadAll(io.LimitReader(z, mostReport))
	if err != nil {
		return nil
	}
	return report
}
