package operator

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	exampleHash   = "9d4c1f0b2e6a77883f2a9c0d112233445f6e7d8c9b0a11223344556677889900"
	exampleSecret = "7Q3mZkX2vB9sT1nR4wYc8HfL"
)

// exampleValues are what examples say, by "Type", "Type.member" or else by the member. Texts and lists of them have to be
// here, and what may be left out is said where its type and member are.
var exampleValues = map[string]any{
	"access_token": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhMWIyYzNkNCJ9.c2lnbmVk", "adopted": []any{"a1b2c3d4"}, "aliases": []any{"24:6f:28:ab:cd:ef"},
	"assets_bytes": 48_234_496, "base": "1.4.1", "base_url": "https://gateway.plant.example", "build": "1.4.2", "bundle_size": 3_145_728, "by": "Ana",
	"bytes": 1_048_576, "ca": "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n", "chains": []any{"77aa9c0d11223344"}, "chip": "ESP32-C3",
	"ci_lines":  []any{"curl --cacert ca.crt -H \"Authorization: Bearer $SLIPWAY_TOKEN\" --data-binary @pump.zip https://gateway.plant.example/api/pipeline/models/pump/firmware"},
	"client_id": "a1b2c3d4", "client_secret": exampleSecret, "code": "pump", "config": map[string]any{"interval_s": 60}, "coredumps_bytes": 9_437_184,
	"crashes_per_device_day": 0.02, "low": 0.004, "high": 0.07, "cursor": 4711, "dark": []any{}, "decide_within": "14d", "device_key": "a1b2c3d4",
	"devices": 12, "GroupDevices.devices": []any{"a1b2c3d4"}, "device_hours": 288, "elf_sha256": exampleHash, "elf_size": 7_340_032,
	"file": "coredump_20260504T120000_000000Z.dmp", "MadeBackup.file": "backup/slipway-20260504.age", "fingerprint": "3f2a9c0d11223344",
	"firmware_version": "1.4.2", "firmware_versions": map[string]any{"pump": "1.4.2"}, "first_version": "1.4.1", "for": "1h", "Nudge.for": "firmware",
	"Nudged.for": "firmware", "frames": []any{"fail_once at test_core_dump.c:14", "app_main at main.c:31"}, "free_bytes": 1_474_836_480,
	"group": "3f2a9c0d11223344", "hash": exampleHash, "id": "k3j9x2", "Trouble.id": "wanted/pump/9d4c1f0b2e6a7788", "Object.id": "pump/1.4.2", "idf_version": "v5.4.1",
	"image_sha256": exampleHash, "image_size": 1_048_576, "keys": []any{"a1b2c3d4"}, "kind": "abort", "Trouble.kind": "wanted", "Event.kind": "build.published",
	"kinds": []any{"crash", "rollout.halted"}, "labels": []any{"hot"}, "last_version": "1.4.2", "latest_device": "a1b2c3d4",
	"latest_dump": "coredump_20260504T120000_000000Z", "line": "hall3", "lines": []any{"hall3"}, "link": "https://tickets.plant.example/7", "listens": "https://[::]:8443",
	"mend": "add the model, then take it again", "model_code": "pump", "name": "Press 7", "RolloutPlan.name": "standard", "ModelChange.name": "Pump controller",
	"DumpReport.name": "coredump_20260504T120000_000000Z", "Dump.name": "coredump_20260504T120000_000000Z", "Drop.name": "valve-2.0.0.zip", "NewToken.name": "CI",
	"WebhookChange.name": "tickets", "next": nil, "no_symbols": false, "AllBuilds.no_symbols": []any{}, "note": "only for the new valves", "number": 7, "offered": "1.4.2",
	"path": "/d/" + exampleSecret, "pin": "1.4.1", "project": "pump", "provisioning": map[string]any{"mqtt_host": "broker.plant.example"},
	"reason": "abort() was called at fail_once", "Drop.reason": "there is no model \"valve\"", "rest": "1h", "role": "operator", "secret": "whsec_" + exampleSecret, "seen": nil,
	"seq": 4711, "share": 0.1, "sha256": exampleHash, "signature": nil, "RolloutEvidence.signature": 1, "size": 65_536, "started_by": "Ana", "state": "reported",
	"status": "ok", "text": "core dumps wait for the ELF of pump 1.4.2", "token": "slw_k3j9x2_" + exampleSecret, "top_frame": "fail_once at test_core_dump.c:14",
	"trouble": []any{}, "type": "build", "up_within": "15m", "url": "https://tickets.plant.example/hooks/slipway", "version": "1.4.2", "Status.version": "0.2.0",
	"versions": []any{"1.4.2"}, "warnings": []any{}, "what": "no crash at the boot", "why": "",
	"Device.name": "Press 7", "Device.labels": []any{"hot"}, "Sighting.heard_at": exampleTime, "Sighting.runs": "1.4.2", "Event.details": map[string]any{"before": "1.4.1", "after": "1.4.2"},
	"Rollout.started_at": exampleTime, "Member.offered_at": exampleTime, "Build.git_commit": "8c1f607", "Wanted.elf_hash": exampleHash[:16], "Token.name": "CI",
	"NewDevice.name": "Press 7", "NewDevice.line": "hall3", "NewModel.name": "Pump controller", "NewRollout.plan": "standard", "Drop.lacks_model": "valve",
	"Member.state": "up", "NewToken.role": "pipeline", "Publish.halt_first": false, "WebhookChange.from_now": false, "Model.name": "Pump controller",
	"Model.firmware_version": "1.4.2", "GroupDevice.count": 3, "GroupDevice.last_seen": exampleTime, "GroupDevices.total": 1, "of": 12, "ShareCount.devices": 1, "at_most": 20,
	"Wave.devices": 0, "rule_out_boot_crash": 0.05, "rule_out_daily": 0.02, "Forecast.rate": 0.02, "expected_crashes": 0.3, "needs": 60, "crash": 1.2, "loss": 1, "silence": 1,
	"RolloutEvidence.total": 1.2, "RolloutCounts.offered": 2, "off": 0, "lost": 0, "back": 0, "RolloutCounts.crashed": 0, "skipped": 0, "healthy": 11, "failures": 0, "days": 2.5,
	"RolloutCounts.waiting": 40, "created_at": "2026-05-01T06:00:00Z", "until": "2026-05-04T13:00:00Z", "expires_at": "2026-05-04T13:00:00Z", "first_seen": "2026-05-03T22:10:00Z",
	"Rollout.state": "running", "tested": false, "Rollout.target": map[string]any{"keys": []any{}, "labels": []any{}, "lines": []any{"hall3"}}, "Status.healthy": true, "Ignore": map[string]any{"until_version": "1.4.3"}, "GroupDetails.history": []any{}, "count": 40,
	"records": 4120, "sequence": 12, "RolloutPlan.unproven": 10, "wave": 1, "attempts": 1, "milliseconds": 48,
	"NewWebhook.kinds": []any{"crash", "rollout.halted"}, "NewToken.models": []any{"pump"},
}

const exampleTime = "2026-05-04T12:00:00Z"

// examples makes a value of a schema; lacks are the members that nobody has said a text for.
type examples struct {
	named map[string]schema
	lacks []string
}

func (e *examples) said(of, member string) (v any, ofType, ok bool) {
	if v, ok = exampleValues[of+"."+member]; ok {
		return v, true, true
	}
	v, ok = exampleValues[member]
	return v, false, ok
}

// member is the value of a member of a type; within are the types that it lies in.
func (e *examples) member(of, member string, s schema, within []string) any {
	kind := s["type"]
	if kinds, several := kind.([]any); several {
		kind = kinds[0]
	}
	said, ofType, ok := e.said(of, member)
	_, isList := said.([]any)
	items, _ := s["items"].(schema)
	switch {
	case ofType:
		return said
	case s["$ref"] != nil:
		return e.whole(s, within)
	case s["enum"] != nil:
		return s["enum"].([]string)[0]
	case s["format"] == "date-time" && !ok:
		return exampleTime
	case kind == "array" && items["type"] == "string" && items["enum"] != nil:
		return []any{e.member(of, member, items, within)}
	case kind == "array" && items["type"] != "string":
		if slices.Contains(within, refIn(items)) {
			return []any{}
		}
		return []any{e.member(of, member, items, within)}
	case kind == "array" && !isList:
		e.lacks = append(e.lacks, of+"."+member)
		return []any{}
	case kind == "object" && s["properties"] != nil:
		return e.object(of, s, within)
	case kind == "boolean" && !ok:
		return true
	case ok && (kind == "array") == isList:
		return said
	case kind == "integer" || kind == "number":
		return 3
	}
	e.lacks = append(e.lacks, of+"."+member)
	return nil
}

func refIn(s schema) string {
	ref, _ := s["$ref"].(string)
	return strings.TrimPrefix(ref, "#/components/schemas/")
}

func (e *examples) whole(s schema, within []string) any {
	name := refIn(s)
	if v, ok := exampleValues[name]; ok {
		return v
	}
	if e.named[name]["properties"] == nil {
		return e.member(name, "", e.named[name], within)
	}
	return e.object(name, e.named[name], append(slices.Clone(within), name))
}

// object has what is always there and what is said of its type; where nothing is always there, everything.
func (e *examples) object(name string, s schema, within []string) map[string]any {
	made := map[string]any{}
	required, _ := s["required"].([]string)
	for member, of := range s["properties"].(schema) {
		if _, ofType, _ := e.said(name, member); ofType || len(required) == 0 || slices.Contains(required, member) {
			made[member] = e.member(name, member, of.(schema), within)
		}
	}
	return made
}

// inOneLine is how a value stands in schemas.yaml.
func inOneLine(v any) (*yaml.Node, error) {
	var n yaml.Node
	err := n.Encode(v)
	n.Style = yaml.FlowStyle
	return &n, err
}
