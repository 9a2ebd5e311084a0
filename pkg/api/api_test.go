package api

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// Scripts and other people's programs read these; a member that is renamed, or null where it was a list, breaks them.
func TestAnswersHaveTheMembersThatScriptsRead(t *testing.T) {
	device := fleet.Device{Key: "aaaaaaaa", Model: "pump", CreatedAt: noon, UpdatedAt: noon}
	const shown = `"device_key":"aaaaaaaa","model_code":"pump","created_at":"2026-05-04T12:00:00Z","updated_at":"2026-05-04T12:00:00Z"`
	known := ShowDevice(device, fleet.Sighting{State: fleet.Live, HeardAt: noon, HeardBy: fleet.HeardConfig}, "10.1.2.0/24", "")
	const seen = `,"client_id":"iotdevice-pump-aaaaaaaa","line_effective":"10.1.2.0/24","offered":null,` +
		`"sighting":{"state":"live","heard_at":"2026-05-04T12:00:00Z","heard_by":"config","boots":0}`
	const credentials = `{"device_key":"aaaaaaaa","model_code":"pump","client_id":"iotdevice-pump-aaaaaaaa","client_secret":"s3cret"}`
	const build = `{"model_code":"pump","firmware_version":"1.0","chip":"ESP32","project":"","idf_version":"","bundle_size":0,"image_size":0,"image_sha256":"","elf_sha256":"","elf_size":0,"origin":"api","sequence":0,"accepted_at":"2026-05-04T12:00:00Z"}`
	accepted := fleet.Accepted{Kind: fleet.KindBundle, Published: true, Changed: true, Build: fleet.Build{Model: "pump", Version: "1.0", Chip: "ESP32", Origin: fleet.FromAPI, AcceptedAt: noon}}
	for want, answer := range map[string]any{
		`{"devices":[],"next":null}`:                             Devices{Devices: List[Device](nil)},
		`{"devices":[{` + shown + seen + `}],"next":"aaaaaaaa"}`: Devices{[]Device{known}, Optional("aaaaaaaa")},
		`{` + shown + seen + `}`:                                 known,
		credentials:                                              AddedDevice{Credentials: ShowSecret(device, "s3cret")},
		`{"added":1,"changed":2,"unchanged":3,"made":[` + credentials + `]}`:   Imported{Added: 1, Changed: 2, Unchanged: 3, Made: []Credentials{ShowSecret(device, "s3cret")}},
		`{"device_key":"aaaaaaaa","warnings":[]}`:                              Configured{device.Key, List[string](nil)},
		`{"access_token":"t","expires_at":"2026-05-04T12:00:00Z"}`:             DeviceToken{"t", noon},
		`{"models":[],"next":null}`:                                            Models{Models: List[Model](nil)},
		`{"builds":[],"next":null,"firmware_version":null,"no_symbols":false}`: Builds{Builds: List[fleet.Build](nil), Version: Optional(fleet.Version(""))},
		`{"code":"pump","firmware_version":"1.0"}`:                             ModelVersion{"pump", Optional(fleet.Version("1.0"))},
		`{"firmware_version":null}`:                                            OfferedVersion{},
		`{"code":"pump","firmware_version":"1.0","kind":"bundle","published":true,"changed":true,"warnings":[],"build":` + build + `}`: ShowAccepted(accepted),
		`{"status":"ok","trouble":[]}`: Health{"ok", List[string](nil)},
		`{"token":"t","id":"1","name":"ci","role":"pipeline","models":["pump"],"created_at":"2026-05-04T12:00:00Z"}`: CreatedToken{"t", Token{"1", "ci", "pipeline", []fleet.ModelCode{"pump"}, noon, "", time.Time{}}},
		`{"tokens":[{"id":"1","role":"viewer","created_at":"2026-05-04T12:00:00Z"}],"next":null}`:                    Tokens{Tokens: []Token{{ID: "1", Role: "viewer", CreatedAt: noon}}},
	} {
		got, err := json.Marshal(answer)
		if err != nil || string(got) != want {
			t.Errorf("%T: %v\n%s, want\n%s", answer, err, got, want)
		}
	}
}

func TestAnEmptyRequestChangesNothing(t *testing.T) {
	for _, request := range []any{DeviceChange{}, ModelChange{}} {
		if got, err := json.Marshal(request); err != nil || string(got) != "{}" {
			t.Errorf("%T: %s, %v", request, got, err)
		}
	}
}

func TestAnswersAboutDumpsAndCrashesHaveTheMembersThatScriptsRead(t *testing.T) {
	dump := Dump{Name: "coredump_20260504T120000_000000Z", File: "coredump_20260504T120000_000000Z.dmp", Dump: fleet.Dump{Device: "aaaaaaaa", Model: "pump", UploadedAt: noon}, State: "waiting"}
	const shown = `"name":"coredump_20260504T120000_000000Z","file":"coredump_20260504T120000_000000Z.dmp","chip":"","firmware_version":"","device_key":"aaaaaaaa","model_code":"pump","uploaded_at":"2026-05-04T12:00:00Z","size":0,"sha256":"","state":"waiting"`
	for want, answer := range map[string]any{
		`{"coredumps":[{` + shown + `}],"next":null}`: Dumps{Dumps: []Dump{dump}},
		`{"coredumps":[],"next":"a/b"}`:               Dumps{Dumps: List[Dump](nil), Next: Optional("a/b")},
		`{` + shown + `,"report":{}}`:                 DumpReport{dump, json.RawMessage("{}")},
		`{"crashes":["one"],"next":"one","total":2}`:  Groups[string]{[]string{"one"}, Optional("one"), 2},
		`{"crashes":["one","two"]}`:                   SplitGroups[string]{[]string{"one", "two"}},
		`{"devices":["aaaaaaaa"],"counts":[{"device_key":"aaaaaaaa","count":2}],"next":null,"total":1}`: GroupDevices{
			[]fleet.DeviceKey{"aaaaaaaa"}, []GroupDevice{{Device: "aaaaaaaa", Count: 2}}, nil, 1},
		`{"builds":[],"next":null,"firmware_versions":{"pump":"1.0"},"no_symbols":["pump"]}`: AllBuilds{
			List[fleet.Build](nil), nil, map[fleet.ModelCode]fleet.Version{"pump": "1.0"}, []fleet.ModelCode{"pump"}},
		`{"firmware_version":"1.0"}`:              Resolve{Version: "1.0"},
		`{"firmware_version":"1.0","force":true}`: Resolve{"1.0", true},
		`{"note":""}`:          Note{Note: new(string)},
		`{"link":""}`:          Note{Link: new(string)},
		`{"fingerprint":"ab"}`: Merge{"ab"},
		`{"chains":["ab"]}`:    Split{[]string{"ab"}},
	} {
		got, err := json.Marshal(answer)
		if err != nil || string(got) != want {
			t.Errorf("%T: %v\n%s, want\n%s", answer, err, got, want)
		}
	}
}

func TestATimeAheadIsASpanADayOrAMomentThatIsToCome(t *testing.T) {
	for given, want := range map[string]time.Time{
		"": {}, "2h": noon.Add(2 * time.Hour), "7d": noon.AddDate(0, 0, 7), "2026-05-05": time.Date(2026, 5, 5, 0, 0, 0, 0, time.UTC),
		"2026-05-04T14:00:01.9+02:00": noon.Add(time.Second),
	} {
		if at, err := ParseAhead("until", given, noon); err != nil || at != want {
			t.Errorf("%q: %s, %v", given, at, err)
		}
	}
	for _, given := range []string{"0s", "0d", "-2h", "2026-05-04", "2026-05-04T12:00:00Z", "2026-05-04T12:00:00.9Z", "1970-01-01", "99999d", "soon", "2026-5-5"} {
		if at, err := ParseAhead("until", given, noon); !errors.Is(err, fleet.ErrRefused) || !at.IsZero() {
			t.Errorf("%q: %s, %v", given, at, err)
		}
	}
}
