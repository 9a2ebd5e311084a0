package catalog

import (
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestAModelIsRemovedOnlyWhenNothingIsOfIt(t *testing.T) {
	c := withModel(t, "pump", "fan")
	want(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}), fleet.ErrTaken)
	one := newDevice("pump", 1)
	must(t, c.AddDevice(t.Context(), one.Device, one.Secrets))
	want(t, c.RemoveModel(t.Context(), "pump"), fleet.ErrTaken)
	must(t, c.RemoveDevice(t.Context(), one.Device.Key))
	_, _, err := c.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: "1.0", ELFSHA256: "ab"}, false)
	must(t, err)
	err = c.RemoveModel(t.Context(), "pump")
	want(t, err, fleet.ErrTaken)
	if !strings.Contains(err.Error(), "1 builds") {
		t.Errorf("%q does not say what is in the way", err)
	}
	must(t, c.RemoveBuild(t.Context(), "pump", "1.0"))
	must(t, c.RemoveModel(t.Context(), "pump"))
	want(t, c.RemoveModel(t.Context(), "pump"), fleet.ErrUnknown)
	models, err := c.Models()
	if err != nil || len(models) != 1 || models[0].Code != "fan" {
		t.Errorf("models %+v, %v", models, err)
	}
}

func TestAChangeOfAModelKeepsItsCodeAndMayRefuse(t *testing.T) {
	c := withModel(t, "pump")
	m, err := c.UpdateModel(t.Context(), "pump", func(m *fleet.Model) error {
		m.Code, m.Name = "other", "Pump"
		return nil
	})
	if err != nil || m.Code != "pump" || m.Name != "Pump" || !m.UpdatedAt.Equal(noon) {
		t.Errorf("model %+v, %v", m, err)
	}
	_, err = c.UpdateModel(t.Context(), "pump", func(m *fleet.Model) error {
		m.Name = "never"
		return fleet.Refused("no")
	})
	want(t, err, fleet.ErrRefused)
	if m, err := c.Model("pump"); err != nil || m.Name != "Pump" {
		t.Errorf("model %+v, %v", m, err)
	}
	_, err = c.UpdateModel(t.Context(), "fan", func(*fleet.Model) error { return nil })
	want(t, err, fleet.ErrUnknown)
}

func TestTheNoteOfABuildStaysWhenItsBundleComesAgainAndItsEventIsOfTheSameMoment(t *testing.T) {
	c := withModel(t, "pump")
	b, _, err := c.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: "1.0", ELFSHA256: "ab"}, false)
	must(t, err)
	_, err = c.NoteBuild(t.Context(), "pump", "1.0", "for hall 3\r\nonly\x00")
	must(t, err)
	b.ELFSHA256 = "cd"
	_, _, err = c.RecordBuild(t.Context(), b, false)
	must(t, err)
	if b, err := c.Build("pump", "1.0"); err != nil || b.Note != "for hall 3\nonly" || b.ELFSHA256 != "cd" {
		t.Errorf("build %+v, %v", b, err)
	}
	_, err = c.NoteBuild(t.Context(), "pump", "1.0", strings.Repeat("x", 2049))
	want(t, err, fleet.ErrRefused)
	_, err = c.NoteBuild(t.Context(), "pump", "1.1", "x")
	want(t, err, fleet.ErrUnknown)
	_, err = c.NoteBuild(t.Context(), "pump", "1.0", "for hall 3\nonly") // as it is
	must(t, err)
	page, err := c.Events(event.Filter{Kinds: []string{string(event.BuildNoted)}, Limit: 10})
	must(t, err)
	if len(page.Events) != 1 || string(page.Events[0].Details) != `{"after":"for hall 3\nonly","before":""}` {
		t.Errorf("events %+v", page.Events)
	}
}

func TestADevicesOwnConfigurationIsKeptByteForByte(t *testing.T) {
	c := withModel(t, "pump")
	one := newDevice("pump", 1)
	one.Device.Config = json.RawMessage("{ \"deviceName\" : \"<press & \\u0037>\",\n\t\"n\": 1.0e0 }")
	must(t, c.AddDevice(t.Context(), one.Device, one.Secrets))
	d, err := c.UpdateDevice(t.Context(), one.Device.Key, func(d *fleet.Device) error { d.Name = "x"; return nil })
	must(t, err)
	listed := everyDevice(t, c)
	for where, got := range map[string]json.RawMessage{"updated": d.Config, "listed": listed[0].Config} {
		if string(got) != string(one.Device.Config) {
			t.Errorf("%s: %s", where, got)
		}
	}
	if d, err = c.UpdateDevice(t.Context(), one.Device.Key, func(d *fleet.Device) error { d.Config = nil; return nil }); err != nil || d.Config != nil {
		t.Errorf("configuration %q, %v", d.Config, err)
	}
	if d, err = c.Device(one.Device.Key); err != nil || d.Config != nil {
		t.Errorf("a configuration that was taken away came back as %q, %v", d.Config, err)
	}
}

func TestADeviceHasAModelAndAKeyOfItsOwn(t *testing.T) {
	c := withModel(t, "pump", "fan")
	one := newDevice("pump", 1)
	must(t, c.AddDevice(t.Context(), one.Device, one.Secrets))
	other := newDevice("fan", 1)
	want(t, c.AddDevice(t.Context(), other.Device, other.Secrets), fleet.ErrTaken) // over all models
	want(t, c.AddDevice(t.Context(), newDevice("lamp", 2).Device, one.Secrets), fleet.ErrUnknown)
	_, err := c.UpdateDevice(t.Context(), one.Device.Key, func(d *fleet.Device) error { d.Model = "lamp"; return nil })
	want(t, err, fleet.ErrUnknown)
	d, err := c.UpdateDevice(t.Context(), one.Device.Key, func(d *fleet.Device) error {
		d.Model, d.Key = "fan", "abcdefgh"
		return nil
	})
	if err != nil || d.Key != one.Device.Key || d.Model != "fan" {
		t.Errorf("device %+v, %v", d, err)
	}
	for code, n := range map[fleet.ModelCode]int{"pump": 0, "fan": 1} {
		if got, err := c.CountDevices(code); got != n || err != nil {
			t.Errorf("model %s has %d devices, %v", code, got, err)
		}
	}
	must(t, c.RemoveDevice(t.Context(), one.Device.Key))
	want(t, c.RemoveDevice(t.Context(), one.Device.Key), fleet.ErrUnknown)
	_, err = c.DeviceSecrets(one.Device.Key)
	want(t, err, fleet.ErrUnknown)
	checkIndexes(t, c)
}

func everyDevice(t *testing.T, c *Catalog) (all []fleet.Device) {
	t.Helper()
	must(t, c.EachDevice(func(d fleet.Device) error {
		all = append(all, d)
		return nil
	}))
	return all
}

func TestAnImportAddsAllOrNothingAndNamesWhatIsWrong(t *testing.T) {
	c := withModel(t, "pump")
	fleetOf := devices("pump", 2500)
	must(t, c.AddDevices(t.Context(), fleetOf[:2000]))
	if n, err := c.CountDevices("pump"); n != 2000 || err != nil {
		t.Fatalf("%d devices, %v", n, err)
	}
	if s, err := c.DeviceSecrets(keyOf(1999)); err != nil || !s.Current.Matches("1999") {
		t.Errorf("secrets %+v, %v", s, err)
	}
	lamp, twice := newDevice("lamp", 3000), newDevice("pump", 2001)
	for name, bad := range map[string]struct {
		last auth.NewDevice
		kind error
	}{"known": {fleetOf[7], fleet.ErrTaken}, "of no model": {lamp, fleet.ErrUnknown}, "twice": {twice, fleet.ErrRefused}} {
		err := c.AddDevices(t.Context(), append(fleetOf[2000:2499:2499], bad.last))
		want(t, err, bad.kind)
		var said *fleet.Error
		if !errors.As(err, &said) || !strings.HasPrefix(said.Reason, "device 500: ") {
			t.Errorf("%s: %v", name, err)
		}
		if n, err := c.CountDevices("pump"); n != 2000 || err != nil {
			t.Errorf("%s: %d devices, %v", name, n, err)
		}
	}
	must(t, c.AddDevices(t.Context(), fleetOf[2000:]))
	checkIndexes(t, c)
}

func TestAnImportThatAPowerCutEndsIsTakenBack(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	old := newDevice("pump", 99_999)
	must(t, c.AddDevice(t.Context(), old.Device, old.Secrets))
	fleetOf := devices("pump", 1000)
	must(t, c.inPieces(t.Context(), 750, false, func(tx *tx, i int) error { // and here the power goes
		return errors.Join(tx.addDevice(fleetOf[i].Device, fleetOf[i].Secrets), tx.noteImport(i, fleetOf[i].Device.Key))
	}))
	must(t, c.Close())

	c = open(t, dir)
	if n, err := c.CountDevices(""); n != 1 || err != nil {
		t.Errorf("%d devices, %v", n, err)
	}
	checkIndexes(t, c)
	must(t, c.AddDevices(t.Context(), fleetOf))
	must(t, c.Close())
	if n, err := open(t, dir).CountDevices(""); n != 1001 || err != nil {
		t.Errorf("%d devices, %v", n, err)
	}
}

func TestAnImportThatTheDiskCannotHoldIsTakenBack(t *testing.T) {
	o := settled(t, t.TempDir())
	var opened atomic.Pointer[Catalog]
	var filled atomic.Bool
	o.Space = func() (int64, int64, error) { // the disk is full once a piece of the import is stored
		if c := opened.Load(); c != nil {
			if n, err := c.CountDevices(""); err != nil || n > 0 {
				filled.Store(true)
				return o.Reserve - 1, 1 << 30, err
			}
		}
		return 1 << 30, 1 << 30, nil
	}
	c, err := Open(o)
	must(t, err)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	opened.Store(c)
	err = c.AddDevices(t.Context(), devices("pump", 1000))
	want(t, err, fleet.ErrFull)
	if n, err := c.CountDevices(""); n != 0 || err != nil {
		t.Errorf("%d devices, %v", n, err)
	}
	checkIndexes(t, c)
	if !filled.Load() {
		t.Error("there was nothing to take back: this test looked at nothing")
	}
	opened.Store(nil) // whoever looks for room while it closes asks nothing of it
	must(t, c.Close())
}

func TestRecordingABuildIsOneStep(t *testing.T) {
	c := withModel(t, "pump", "fan")
	b, m, err := c.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: "1.0", Chip: "ESP32", Project: "app", ELFSHA256: "aa11"}, false)
	if err != nil || b.Sequence != 1 || m.Chip != "ESP32" || m.Project != "app" || m.FirmwareVersion != "" {
		t.Errorf("build %+v, model %+v, %v", b, m, err)
	}
	b, m, err = c.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: "0.9", Chip: "ESP32-C3", Project: "other", ELFSHA256: "aa22"}, true)
	if err != nil || b.Sequence != 2 || m.Chip != "ESP32" || m.Project != "app" || m.FirmwareVersion != "0.9" {
		t.Errorf("build %+v, model %+v, %v", b, m, err)
	}
	_, _, err = c.RecordBuild(t.Context(), fleet.Build{Model: "fan", Version: "1.0", ELFSHA256: "aa11"}, true)
	must(t, err)
	_, _, err = c.RecordBuild(t.Context(), fleet.Build{Model: "lamp", Version: "1.0"}, true)
	want(t, err, fleet.ErrUnknown)

	builds, err := c.Builds("pump")
	if err != nil || len(builds) != 2 || builds[0].Version != "1.0" || builds[1].Version != "0.9" {
		t.Errorf("builds %+v, %v", builds, err)
	}
	for prefix, n := range map[string]int{"aa": 3, "aa11": 2, "aa22": 1, "bb": 0} {
		if found, err := c.BuildsByELF(prefix); len(found) != n || err != nil {
			t.Errorf("%q: %d builds, %v", prefix, len(found), err)
		}
	}
	// Replaced, it is found only by its new ELF and is the latest.
	b, _, err = c.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: "1.0", ELFSHA256: "cc33"}, false)
	if err != nil || b.Sequence != 4 {
		t.Errorf("build %+v, %v", b, err)
	}
	if found, err := c.BuildsByELF("aa11"); len(found) != 1 || err != nil {
		t.Errorf("%d builds, %v", len(found), err)
	}
	checkIndexes(t, c)
	must(t, c.RemoveBuild(t.Context(), "pump", "1.0"))
	want(t, c.RemoveBuild(t.Context(), "pump", "1.0"), fleet.ErrUnknown)
	checkIndexes(t, c)
}

func TestOnlyAStoredBuildIsPublishedAndAnyImage(t *testing.T) {
	c := withModel(t, "pump")
	_, _, err := c.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: "1.0", ELFSHA256: "aa"}, false)
	must(t, err)
	m, err := c.PublishVersion(t.Context(), "pump", "1.0")
	if err != nil || m.FirmwareVersion != "1.0" {
		t.Errorf("model %+v, %v", m, err)
	}
	_, err = c.PublishVersion(t.Context(), "pump", "2.0")
	want(t, err, fleet.ErrUnknown)
	if m, err := c.Model("pump"); err != nil || m.FirmwareVersion != "1.0" {
		t.Errorf("model %+v, %v", m, err)
	}
	m, err = c.PublishImage(t.Context(), fleet.Build{Model: "pump", Version: "3.0", Chip: "ESP32", Project: "app"})
	if err != nil || m.FirmwareVersion != "3.0" || m.Chip != "ESP32" || m.Project != "app" {
		t.Errorf("model %+v, %v", m, err)
	}
}

func TestOperatorTokensComeAndGo(t *testing.T) {
	c := open(t, t.TempDir())
	for _, id := range []string{"b2", "a1"} {
		must(t, c.AddOperatorToken(t.Context(), auth.OperatorToken{ID: id, Role: auth.Admin}))
	}
	want(t, c.AddOperatorToken(t.Context(), auth.OperatorToken{ID: "a1"}), fleet.ErrTaken)
	must(t, c.RemoveOperatorToken(t.Context(), "a1"))
	want(t, c.RemoveOperatorToken(t.Context(), "a1"), fleet.ErrUnknown)
	_, err := c.OperatorToken("a1")
	want(t, err, fleet.ErrUnknown)
	tokens, err := c.OperatorTokens()
	if err != nil || len(tokens) != 1 || tokens[0].ID != "b2" {
		t.Errorf("tokens %+v, %v", tokens, err)
	}
}

func TestSecretsAreChangedOrLeft(t *testing.T) {
	c := withModel(t, "pump")
	one := newDevice("pump", 1)
	must(t, c.AddDevice(t.Context(), one.Device, one.Secrets))
	must(t, c.UpdateDeviceSecrets(t.Context(), one.Device.Key, func(s *auth.DeviceSecrets) error {
		s.Next = auth.HashSecret("next")
		return nil
	}))
	no := errors.New("no")
	want(t, c.UpdateDeviceSecrets(t.Context(), one.Device.Key, func(s *auth.DeviceSecrets) error {
		s.Next = ""
		return no
	}), no)
	if s, err := c.DeviceSecrets(one.Device.Key); err != nil || !s.Next.Matches("next") || s.Current != one.Secrets.Current {
		t.Errorf("secrets %+v, %v", s, err)
	}
	want(t, c.UpdateDeviceSecrets(t.Context(), "unknown0", func(*auth.DeviceSecrets) error { return nil }), fleet.ErrUnknown)
}
