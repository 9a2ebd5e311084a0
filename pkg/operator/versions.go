package operator

import (
	"net/http"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func (d *door) registerVersions(rs *endpoint.Routes) {
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/device-models/{code}/versions", d.modelVersions)
}

// ModelVersions are the versions of a model that devices run or ran, and how often they crash.
type ModelVersions struct {
	Since    time.Time      `json:"counted_since"` // nothing that came before is counted
	Versions []ModelVersion `json:"versions"`
}

// ModelVersion is one of them; a version "" is what nobody knows.
type ModelVersion struct {
	fleet.VersionRuns
	Day   crash.Rate     `json:"last_24h"` // the hour that goes on and the 23 before
	Week  crash.Rate     `json:"last_7d"`  // the day that goes on, of UTC, and the six before
	Hours []crash.Bucket `json:"hours"`    // of the last 48, those in which something was counted
	Days  []crash.Bucket `json:"days"`     // of the last 90, likewise
}

const (
	hoursOfNow = 24
	daysOfWeek = 7
)

// modelVersions puts together what the catalog has counted, what the sightings have counted since, and what runs now.
func (d *door) modelVersions(w http.ResponseWriter, r *http.Request) error {
	m, err := d.model(r)
	if err != nil {
		return err
	}
	answer := ModelVersions{Versions: []ModelVersion{}}
	if answer.Since, err = d.Crashes.CountedSince(); err != nil {
		return err
	}
	now := d.Now()
	counted, err := d.counted(m.Code, now)
	if err != nil {
		return err
	}
	runs := map[string]fleet.VersionRuns{}
	for _, v := range d.Sightings.Versions(m.Code) {
		runs[v.Version] = v
		if _, known := counted[v.Version]; !known {
			counted[v.Version] = crash.Series{}
		}
	}
	for _, v := range crash.ByVersion(counted) {
		kept := v.Kept(now)
		run, runsNow := runs[v.Version]
		if len(kept.Hours) == 0 && len(kept.Days) == 0 && !runsNow {
			continue
		}
		run.Version = v.Version
		ofDay, ofWeek, err := d.Crashes.CrashedDevices(m.Code, v.Version, hoursOfNow, daysOfWeek)
		if err != nil {
			return err
		}
		answer.Versions = append(answer.Versions, ModelVersion{
			run, crash.RateOf(kept.LastHours(hoursOfNow, now), ofDay), crash.RateOf(kept.LastDays(daysOfWeek, now), ofWeek),
			kept.HourBuckets(), kept.DayBuckets(),
		})
	}
	return endpoint.WriteJSON(w, http.StatusOK, answer)
}

// counted are the counters of a model, with what waits to be added to them.
func (d *door) counted(code fleet.ModelCode, now time.Time) (map[string]crash.Series, error) {
	waiting := d.Sightings.Hours()
	stored, err := d.Crashes.Counters(code)
	return crash.Counted(stored, waiting, code, now), err
}
