package operator

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Lists of devices as JSON, as other systems export them: an array of devices, or an object that has it as a member.
//
//	hawkBit, Management API   {"content": [{"controllerId", "securityToken", "name", "targetTypeName", …}]}
//	ThingsBoard               {"data": [{"name", "type", "accessToken" | "credentials": {"credentialsType", "credentialsId"}, …}]}
//
// What a device calls itself there becomes an alias of it. Members that are not named here are passed over; a device tells its
// attributes by itself when it comes.

// foreignDevice is a device of either.
type foreignDevice struct {
	ControllerID  string  `json:"controllerId"`
	SecurityToken string  `json:"securityToken"`
	TargetType    string  `json:"targetTypeName"`
	Name          string  `json:"name"`
	Type          string  `json:"type"`
	AccessToken   string  `json:"accessToken"`
	Kind          *string `json:"credentialsType"`
	ID            string  `json:"credentialsId"`
	Credentials   *struct {
		Kind *string `json:"credentialsType"`
		ID   string  `json:"credentialsId"`
	} `json:"credentials"`
}

// readForeign reads such a list. A device that is none is a wrong row, the others count.
func readForeign(raw []byte) ([]row, error) {
	list := raw
	if bytes.HasPrefix(raw, []byte("{")) {
		var around struct {
			Content json.RawMessage `json:"content"`
			Data    json.RawMessage `json:"data"`
			Devices json.RawMessage `json:"devices"`
		}
		if err := json.Unmarshal(raw, &around); err != nil {
			return nil, fleet.Refused("the JSON cannot be read: %v", err)
		}
		for _, member := range []json.RawMessage{around.Content, around.Data, around.Devices} {
			if member != nil {
				list = member
				break
			}
		}
	}
	var devices []json.RawMessage
	if err := json.Unmarshal(list, &devices); err != nil {
		return nil, fleet.Refused("the JSON has no list of devices: want an array, or one as content (hawkBit) or data (ThingsBoard)")
	}
	if len(devices) > mostDevices {
		return nil, fleet.Refused("more than %d devices at once", mostDevices)
	}
	rows := make([]row, len(devices))
	for i, one := range devices {
		rows[i] = foreignRow(one)
		rows[i].at = fmt.Sprintf("device %d", i+1)
	}
	return rows, nil
}

func foreignRow(raw json.RawMessage) (r row) {
	var d foreignDevice
	if err := json.Unmarshal(raw, &d); err != nil {
		r.wrong = fleet.Refused("it is no device: %v", err)
		return r
	}
	if d.ControllerID != "" { // the cell of a CSV may hold several
		if _, r.wrong = fleet.ParseAlias(d.ControllerID); r.wrong != nil {
			return r
		}
	}
	secret, kind := d.ID, d.Kind
	if d.Credentials != nil {
		secret, kind = d.Credentials.ID, d.Credentials.Kind
	}
	if kind != nil && *kind != "ACCESS_TOKEN" { // a certificate, or MQTT's own: there is nothing to go on with
		secret = ""
	}
	for _, token := range []string{d.AccessToken, d.SecurityToken} {
		if token != "" {
			secret = token
		}
	}
	r.fields[columnAlias], r.fields[columnName], r.fields[columnSecret] = d.ControllerID, d.Name, secret
	r.fields[columnType] = d.Type
	if d.TargetType != "" {
		r.fields[columnType] = d.TargetType
	}
	return r
}
