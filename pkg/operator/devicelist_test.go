package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// counting counts the records that are read of a catalog.
type counting struct {
	records
	devices, models atomic.Int64
}

func (c *counting) Device(key fleet.DeviceKey) (fleet.Device, error) {
	c.devices.Add(1)
	return c.records.Device(key)
}

func (c *counting) Model(code fleet.ModelCode) (fleet.Model, error) {
	c.models.Add(1)
	return c.records.Model(code)
}

func TestAListOfFiftyDevicesReadsFiftyRecords(t *testing.T) {
	var read *counting
	d := open(t, func(o *Options) {
		read = &counting{records: o.Records}
		o.Records = read
	})
	const n = 5000
	devices := make([]auth.NewDevice, n)
	for i := range devices {
		devices[i].Device = fleet.Device{Key: fleet.DeviceKey(fmt.Sprintf("dev%05d", i)), Model: "pump", Name: fmt.Sprintf("Pump %d", i), Line: fmt.Sprintf("line%d", i%5)}
	}
	if err := d.store.AddModel(t.Context(), fleet.Model{Code: "pump"}); err != nil {
		t.Fatal(err)
	}
	if err := d.store.AddDevices(context.Background(), devices); err != nil {
		t.Fatal(err)
	}
	for i := range n / 2 {
		d.book.Seen(fleet.Seen{Device: devices[i].Device.Key, At: noon, By: fleet.HeardConfig, Said: fleet.Said{Version: fmt.Sprintf("1.%d", i%2)}})
	}
	const crashed = 150 // each third of the first 450
	for i := range crashed {
		dump := fleet.Dump{Device: devices[3*i].Device.Key, Model: "pump", FirmwareVersion: "1.0", UploadedAt: noon}
		if err := d.store.RecordDumps(t.Context(), []fleet.Dump{dump}); err != nil {
			t.Fatal(err)
		}
		_, err := d.store.RecordCrash(t.Context(), crash.Crash{
			Device: dump.Device, Model: "pump", Name: dump.Name(), Uploaded: noon, State: crash.Reported, Version: "1.0", Fingerprint: "f0",
		}, 0)
		if err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]int{
		"crash=f0": pageRows, "crash=f0&limit=50": 50, "crash=f0&limit=1000": crashed, "crash=f0&line=line3&version=1.1": crashed / 10, "crash=f0&state=never": 0,
		"crash=f0&limit=1000&after=dev00299": crashed / 3, "crash=f0&q=dev0003": 4,
		"": pageRows, "limit=50": 50, "limit=50&state=live": 50, "limit=50&line=line3&version=1.1": 50, "q=pump+4999": 1, "state=late": 0, "limit=1000": 1000,
	} {
		read.devices.Store(0)
		read.models.Store(0)
		a := d.ask(http.MethodGet, "/api/devices?"+query, "", d.bearer(auth.Viewer)...)
		var answer api.Devices
		if err := json.Unmarshal([]byte(a.body), &answer); err != nil || len(answer.Devices) != want {
			t.Errorf("%s: %d devices, %v, want %d", query, len(answer.Devices), err, want)
		}
		if got := read.devices.Load(); got != int64(want) || read.models.Load() > 1 {
			t.Errorf("%s: %d records of devices and %d of models were read for %d devices", query, got, read.models.Load(), want)
		}
		if more := want == pageRows || want == 50 && !strings.Contains(query, "after=") || want == 1000; (answer.Next != nil) != more {
			t.Errorf("%s: next %v", query, answer.Next)
		}
	}
}

func TestADeviceIsShownWithWhatWasSeenOfIt(t *testing.T) {
	d := open(t, nil)
	d.crashes(0, "", "")
	d.book.Seen(fleet.Seen{Device: "aaaaaaaa", At: noon, By: fleet.HeardConfig, Said: fleet.Said{Version: "1.4.1"}})
	for _, path := range []string{"/api/devices/aaaaaaaa", "/api/devices"} {
		a := d.ask(http.MethodGet, path, "", d.bearer(auth.Viewer)...)
		const want = `"sighting":{"state":"live","heard_at":"2026-05-04T12:00:00Z","heard_by":"config","boots":0,"runs":"1.4.1","runs_by":"said","runs_since":"2026-05-04T12:00:00Z"}`
		if !strings.Contains(a.body, want) {
			t.Errorf("%s: %s", path, a.body)
		}
	}
}

func TestAFilterThatNamesWhatWasNeverSeenIsRefusedWithTheNearest(t *testing.T) {
	d := open(t, nil)
	d.crashes(0, "", "")
	if _, err := d.store.UpdateDevice(t.Context(), "aaaaaaaa", func(one *fleet.Device) error {
		one.Line, one.Labels = "hall3", []string{"night"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	d.book.Seen(fleet.Seen{Device: "aaaaaaaa", At: noon, By: fleet.HeardConfig, Said: fleet.Said{Version: "1.4.1"}})
	for query, want := range map[string]struct {
		status int
		says   string
	}{
		"version=1.4.2": {404, `no device runs the version \"1.4.2\"; the nearest known one is \"1.4.1\"`},
		"line=hall4":    {404, `no device stands on the line \"hall4\"; the nearest known one is \"hall3\"`},
		"label=nights":  {404, `no device has the label \"nights\"; the nearest known one is \"night\"`},
		"state=alive":   {400, `the nearest is \"live\"`},
		"limit=1001":    {400, "want a whole number from 1 to 1000"},
		"linee=hall3":   {400, "the nearest is line"},
		"state=silent":  {200, `"devices":[]`},
	} {
		a := d.ask(http.MethodGet, "/api/devices?"+query, "", d.bearer(auth.Viewer)...)
		if a.StatusCode != want.status || !strings.Contains(a.body, want.says) {
			t.Errorf("%s: %d %s", query, a.StatusCode, a.body)
		}
	}
}
