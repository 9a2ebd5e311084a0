package fleet

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Configuration is what a device is told: its own where one is set, byte for byte; else its model's default with the
// placeholders {device_key}, {device_name} and {model_code} filled. Firmware in the field aborts, boots and aborts again
// without deviceName and deviceEntityId, so a default always has them and enableOTA.
func Configuration(m Model, d Device) (json.RawMessage, error) {
	if d.Config != nil {
		return d.Config, nil
	}
	fields := map[string]json.RawMessage{}
	if m.Config != nil {
		if err := json.Unmarshal(m.Config, &fields); err != nil {
			return nil, err
		}
	}
	name := d.Name
	if name == "" {
		name = string(m.Code) + "-" + string(d.Key)
	}
	fill := strings.NewReplacer("{device_key}", string(d.Key), "{device_name}", insideJSON(name), "{model_code}", string(m.Code))
	for k, v := range fields {
		fields[k] = json.RawMessage(fill.Replace(string(v)))
	}
	for k, v := range map[string]any{"deviceName": name, "deviceEntityId": string(m.Code) + "_" + string(d.Key), "enableOTA": true} {
		if _, set := fields[k]; !set {
			b, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			fields[k] = b
		}
	}
	return json.Marshal(fields)
}

// ParseConfiguration accepts a JSON object and names what esp-mdm would abort on, as warnings: other firmware may not
// need those members.
func ParseConfiguration(raw []byte) (json.RawMessage, []string, error) {
	const most = 4096 // esp-mdm's own limit for a JSON answer
	if len(raw) >= most {
		return nil, nil, Refused("configuration of %d bytes: devices take less than %d", len(raw), most)
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
		return nil, nil, Refused("configuration: want a JSON object")
	}
	var warnings []string
	for _, k := range []string{"deviceName", "deviceEntityId"} {
		if _, ok := fields[k].(string); !ok {
			warnings = append(warnings, k+" is not a string: esp-mdm firmware aborts without it")
		}
	}
	if v, set := fields["enableOTA"]; set {
		if _, ok := v.(bool); !ok {
			warnings = append(warnings, "enableOTA is not a boolean: esp-mdm firmware aborts on it")
		}
	}
	return bytes.Clone(raw), warnings, nil
}

// insideJSON is s as it stands between the quotes of a JSON string.
func insideJSON(s string) string {
	b, _ := json.Marshal(s) // a string always marshals
	return string(b[1 : len(b)-1])
}
