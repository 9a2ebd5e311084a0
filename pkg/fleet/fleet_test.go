package fleet

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestVersionsSortAsTheDesignSays(t *testing.T) {
	ascending := []Version{
		"v0.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "v1.0", "v1.0-dirty",
		"v1.0-2-gabcdef1", "v1.0-56-g30082bf", "v1.0-56-g30082bf-dirty", "1.0.1", "1.2", "1.10", "2", "2.0.0.1", "99999999999999999999999",
	}
	for i, a := range ascending {
		for j, b := range ascending {
			sign, decided := CompareVersions(a, b)
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if sign != want || !decided {
				t.Errorf("CompareVersions(%q, %q) = %d, %v; want %d", a, b, sign, decided, want)
			}
		}
	}
}

func TestAVersionThatDoesNotDecideLeavesTheOrderToAcceptance(t *testing.T) {
	for _, pair := range [][2]Version{{"nightly", "1.0"}, {"1.0", "v1.0.0"}, {"v1.0-2-gabcdef1", "v1.0-2-gabcdef2"}} {
		if sign, decided := CompareVersions(pair[0], pair[1]); decided {
			t.Errorf("CompareVersions(%q, %q) = %d, decided", pair[0], pair[1], sign)
		}
		older, newer := Build{Version: pair[0], Sequence: 1}, Build{Version: pair[1], Sequence: 2}
		if !newer.Newer(older) || older.Newer(newer) {
			t.Errorf("%q accepted after %q is not newer", pair[1], pair[0])
		}
	}
}

func TestAVersionThatWouldLeaveItsDirectoryIsRefused(t *testing.T) {
	for _, s := range []string{"", "../x", "..", ".hidden", "a/b", "a\\b", "-x", "a b", "a\x00", "123456789012345678901234567890123", "ä"} {
		if v, err := ParseVersion(s); !errors.Is(err, ErrRefused) || v != "" {
			t.Errorf("ParseVersion(%q) = %q, %v", s, v, err)
		}
	}
	for _, s := range []string{"1", "v1.0-56-g30082bf-dirty", "1.0+b~1", "12345678901234567890123456789012"} {
		if v, err := ParseVersion(s); err != nil || string(v) != s {
			t.Errorf("ParseVersion(%q) = %q, %v", s, v, err)
		}
	}
}

func TestClientIDsRoundTripAndNothingElseParses(t *testing.T) {
	model, key, err := ParseClientID(ClientID("pump_3", "a1b2c3d4"))
	if model != "pump_3" || key != "a1b2c3d4" || err != nil {
		t.Errorf("round trip: %q %q %v", model, key, err)
	}
	for _, s := range []string{"", "iotdevice-", "iotdevice-pump", "iotdevice-pump-short", "iotdevice-pump-a1b2c3d45", "iotdevice--a1b2c3d4",
		"iotdevice-PUMP-a1b2c3d4", "iotdevice-pump-../../..", "other-pump-a1b2c3d4", "iotdevice-pump-x-a1b2c3d4", "iotdevice-pump-a1b2c3d4\n"} {
		if _, _, err := ParseClientID(s); !errors.Is(err, ErrRefused) {
			t.Errorf("ParseClientID(%q): %v", s, err)
		}
	}
	for range 100 {
		if _, err := ParseDeviceKey(string(NewDeviceKey())); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnAliasIsOneWordOfAnAddress(t *testing.T) {
	for s, fine := range map[string]bool{
		"24:6f:28:aa:bb:cc": true, "esp32_devkitc-246f28aabbcc": true, strings.Repeat("x", 128): true, "~!@#$%&*()=+": true,
		"": false, strings.Repeat("x", 129): false, "a b": false, "a/b": false, ".": false, "..": false, "a\n": false, "é": false,
	} {
		if _, err := ParseAlias(s); errors.Is(err, ErrRefused) == fine || err == nil != fine {
			t.Errorf("ParseAlias(%q): %v", s, err)
		}
	}
	if all, err := ParseAliases([]string{"b", "a", "b"}); err != nil || len(all) != 2 || all[0] != "a" {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := ParseAliases([]string{"a", "b", "c", "d", "e"}); !errors.Is(err, ErrRefused) {
		t.Errorf("five aliases: %v", err)
	}
}

func TestDumpNamesCarrySixDigitsOfMicroseconds(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6789, time.UTC)
	name := NewDumpName(at)
	if name != "coredump_20260102T030405_000006Z" {
		t.Fatalf("name %s", name)
	}
	back, err := name.Time()
	if err != nil || !back.Equal(at.Truncate(time.Microsecond)) {
		t.Errorf("time %v, %v", back, err)
	}
	for _, s := range []string{"", "coredump_20260102T030405_000006Z.dmp", "../coredump_20260102T030405_000006Z", "coredump_20261302T030405_000006Z"} {
		if _, err := ParseDumpName(s); !errors.Is(err, ErrRefused) {
			t.Errorf("ParseDumpName(%q): %v", s, err)
		}
	}
}

func TestADefaultConfigurationNeverLacksWhatADeviceAbortsOn(t *testing.T) {
	for name, model := range map[string]Model{
		"no default":   {Code: "pump"},
		"with a quote": {Code: "pump", Config: json.RawMessage(`{"topic":"line/{device_key}/{device_name}","enableOTA":false}`)},
	} {
		raw, err := Configuration(model, Device{Key: "a1b2c3d4", Model: "pump", Name: `press "7"`})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			DeviceName, DeviceEntityID, Topic string
			EnableOTA                         *bool
		}
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatalf("%s: %s: %v", name, raw, err)
		}
		if got.DeviceName != `press "7"` || got.DeviceEntityID != "pump_a1b2c3d4" || got.EnableOTA == nil {
			t.Errorf("%s: %s", name, raw)
		}
		if model.Config != nil && (got.Topic != `line/a1b2c3d4/press "7"` || *got.EnableOTA) {
			t.Errorf("%s: %s", name, raw)
		}
	}
	own := json.RawMessage(`{ "deviceName" : "x" }`)
	if raw, err := Configuration(Model{Code: "pump"}, Device{Config: own}); err != nil || string(raw) != string(own) {
		t.Errorf("own configuration came back as %s, %v", raw, err)
	}
}

func TestTheClosestProvisioningValueWins(t *testing.T) {
	got := ProvisioningValues(map[string]string{"a": "gateway", "b": "gateway", "c": "gateway"},
		Model{Provisioning: map[string]string{"b": "model", "c": "model"}}, Device{Provisioning: map[string]string{"c": "device"}})
	if got["a"] != "gateway" || got["b"] != "model" || got["c"] != "device" {
		t.Errorf("values %v", got)
	}
}

func TestAProvisioningValueThatNoDeviceCanStoreIsRefused(t *testing.T) {
	for name, fine := range map[string]bool{"wifi_password": true, "fifteen_letters": true, "sixteen_letters_": false, "": false} {
		if err := CheckProvisioning(map[string]string{name: "x"}); errors.Is(err, ErrRefused) == fine {
			t.Errorf("%q: %v", name, err)
		}
	}
}
