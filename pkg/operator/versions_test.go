package operator

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func (d *desk) versions(code string) map[string]ModelVersion {
	d.t.Helper()
	a := d.ask(http.MethodGet, "/api/device-models/"+code+"/versions", "", d.bearer(auth.Viewer)...)
	var got ModelVersions
	if err := json.Unmarshal([]byte(a.body), &got); a.StatusCode != http.StatusOK || err != nil || !got.Since.Equal(noon) {
		d.t.Fatalf("%d %s, %v", a.StatusCode, a.body, err)
	}
	all := map[string]ModelVersion{}
	for _, v := range got.Versions {
		all[v.Version] = v
	}
	return all
}

func TestTheVersionsOfAModelSayWhatRunsAndHowOftenItCrashes(t *testing.T) {
	d := open(t, nil)
	d.models("pump", "fan")
	for _, key := range []fleet.DeviceKey{"aaaaaaaa", "bbbbbbbb", "cccccccc"} {
		if err := d.store.AddDevice(t.Context(), fleet.Device{Key: key, Model: "pump"}, auth.DeviceSecrets{}); err != nil {
			t.Fatal(err)
		}
	}
	hour := noon.Truncate(time.Hour)
	for at, heard := range map[time.Time]int{hour: 23, hour.AddDate(0, 0, -3): 72, hour.AddDate(0, 0, -7): 1000} {
		if err := d.store.SaveHours(t.Context(), []fleet.HourCount{{Model: "pump", Version: "1.0", Hour: at, Heard: heard}}); err != nil {
			t.Fatal(err)
		}
	}
	d.book.Seen(fleet.Seen{Device: "aaaaaaaa", At: noon, By: fleet.HeardVersion, Said: fleet.Said{Version: "1.0"}}) // is not stored yet
	d.book.Refused("aaaaaaaa", "1.1", noon)
	for n, key := range []fleet.DeviceKey{"aaaaaaaa", "aaaaaaaa", "bbbbbbbb"} {
		dump := fleet.Dump{Device: key, Model: "pump", FirmwareVersion: "1.0", UploadedAt: noon.Add(time.Duration(n) * time.Second)}
		if err := d.store.RecordDumps(t.Context(), []fleet.Dump{dump}); err != nil {
			t.Fatal(err)
		}
	}
	all := d.versions("pump")
	v := all["1.0"]
	if v.Devices != 1 || v.Live != 1 || v.Day.Crashes != 3 || v.Day.Devices != 2 || v.Day.DeviceHours != 24 || v.Week.DeviceHours != 96 {
		t.Errorf("1.0: %+v", v)
	}
	if *v.Day.PerDay != 3 || *v.Week.PerDay != 0.75 || *v.Day.Low < 0.81 || *v.Day.Low > 0.82 || *v.Day.High < 7.75 || *v.Day.High > 7.76 {
		t.Errorf("a day %v from %v to %v, a week %v", *v.Day.PerDay, *v.Day.Low, *v.Day.High, *v.Week.PerDay)
	}
	if len(v.Hours) != 1 || len(v.Days) != 3 || v.Hours[0].Heard != 24 || v.Hours[0].Crashes != 3 {
		t.Errorf("hours %+v, days %+v", v.Hours, v.Days)
	}
	if refused := all["1.1"]; refused.Week.Refused != 1 || refused.Devices != 0 || refused.Day.PerDay != nil {
		t.Errorf("1.1: %+v", refused)
	}
	if unknown := all[""]; unknown.Devices != 2 || unknown.Live != 0 {
		t.Errorf("of which nobody knows what they run: %+v", unknown)
	}
	if got := d.versions("fan"); len(got) != 0 {
		t.Errorf("another model has %+v", got)
	}
	a := d.ask(http.MethodGet, "/api/device-models/pumps/versions", "", d.bearer(auth.Viewer)...)
	if a.StatusCode != http.StatusNotFound || !strings.Contains(a.body, "pump") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}
