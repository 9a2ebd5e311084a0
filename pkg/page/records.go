package page

import (
	"context"
	"os"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// records is what the page needs of the catalog about models and devices.
type records interface {
	Model(fleet.ModelCode) (fleet.Model, error)
	Models() ([]fleet.Model, error)
	Builds(fleet.ModelCode) ([]fleet.Build, error)
	Device(fleet.DeviceKey) (fleet.Device, error)
}

// sightings are what was seen of devices.
type sightings interface {
	Devices(fleet.DeviceFilter) []fleet.DeviceKey
	Facets(fleet.DeviceFilter) fleet.DeviceFacets
	Sighting(fleet.DeviceKey) (s fleet.Sighting, line string)
	Versions(fleet.ModelCode) []fleet.VersionRuns
	Hours() []fleet.HourCount // counts that the catalog does not have yet
	DarkLines() []string
}

// offers say which build a device is to run.
type offers interface {
	Offer(fleet.Device, fleet.Model) (v fleet.Version, ok bool)
}

// rollouts are what the page needs of them.
type rollouts interface {
	Rollout(code fleet.ModelCode, number int) (fleet.Rollout, error) // 0: the newest
	Members(fleet.ModelCode, int, fleet.MemberFilter) (page []fleet.Member, next fleet.DeviceKey, err error)
	Explain(fleet.ModelCode, int) (fleet.Explanation, error)
}

// members say where a device is in the newest rollout of its model.
type members interface {
	MemberOf(fleet.Device) (fleet.Rollout, fleet.Member, bool)
}

// dumps are the dump directories.
type dumps interface {
	OpenDump(fleet.DeviceKey, fleet.DumpName) (*os.File, error)
	ReadReport(fleet.DeviceKey, fleet.DumpName) ([]byte, error) // gzip of JSON
	Remove(context.Context, fleet.DeviceKey, fleet.DumpName) error
	DecodeAgain(context.Context, fleet.DeviceKey, fleet.DumpName) error // notes it; it is done in its turn
	// DecodeGroupAgain likewise, a piece of a group's dumps: those behind one.
	DecodeGroupAgain(ctx context.Context, address string, after crash.Ref) (crash.AskedAgain, error)
}

// crashes is what the page needs of the catalog about dumps and groups.
type crashes interface {
	Dump(fleet.DeviceKey, fleet.DumpName) (crash.Listed, error)
	Dumps(crash.DumpFilter) (page []crash.Listed, next crash.Ref, err error)
	// UrgentGroups are the first of all groups by what asks for a look, and how many there are.
	UrgentGroups(limit int) (groups []crash.Group, total int, err error)
	Group(address string) (crash.Group, []crash.VersionCount, []crash.Chain, error)
	GroupDumps(address string, limit int) ([]crash.Listed, error)
	Counters(fleet.ModelCode) ([]crash.VersionSeries, error)
	groupChanges
	wants
	// CrashedOn is a group and all the devices that it was seen on, in their order.
	CrashedOn(address string) (crash.Group, []fleet.DeviceKey, error)
	// DeviceCrashes counts on the last days; devices without a crash are not in it.
	DeviceCrashes(code fleet.ModelCode, keys []fleet.DeviceKey, days int64) (map[fleet.DeviceKey]int, error)
}

// events are the stream.
type events interface {
	Events(event.Filter) (event.Page, error)
}

// gateway is the whole.
type gateway interface {
	Status() (api.Status, error)
	Trouble() []string
	BaseURL() string
	Trusted(context.Context) bool
	Settings() []Setting
	NewestBackup() (file string, at time.Time, off bool)
	BackUpNow(context.Context) (api.MadeBackup, error)
	CA() ([]byte, error) // PEM, nil where an operator brought a certificate
	Folders() []Folder
	Decoding() Decoding
	Text(report []byte) (string, error) // a report as people read it
}

// shownRows of each table that has no pages.
const shownRows = 50

// Rates are of the last 24 hours and the last 7 days.
const (
	hoursOfDay = 24
	daysOfWeek = 7
)
