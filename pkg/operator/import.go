package operator

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"net/http"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

const (
	mostCSV     = 16 << 20 // bytes
	mostDevices = 100_000

	byteOrderMark = "\xef\xbb\xbf" // spreadsheets put one before the first line
)

// importDevices takes a CSV of model_code,device_key,client_secret[,name], with or without that header line. All are
// added or none; devices keep the secrets that they have.
func (d *door) importDevices(w http.ResponseWriter, r *http.Request) error {
	body := bufio.NewReader(http.MaxBytesReader(w, r.Body, mostCSV))
	if start, err := body.Peek(len(byteOrderMark)); err == nil && string(start) == byteOrderMark {
		_, _ = body.Discard(len(byteOrderMark)) // it was just seen
	}
	lines := csv.NewReader(body)
	lines.FieldsPerRecord = -1
	lines.TrimLeadingSpace = true
	now := d.Now().UTC()
	var devices []auth.NewDevice
	seen := map[fleet.DeviceKey]int{}
	for first := true; ; first = false {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fleet.Refused("the CSV cannot be read: %v", err)
		}
		if first && fields[0] == "model_code" {
			continue
		}
		n, _ := lines.FieldPos(0)
		if len(fields) < 3 || len(fields) > 4 || fields[1] == "" || fields[2] == "" {
			return fleet.Refused("line %d: want model_code,device_key,client_secret[,name]", n)
		}
		in := newDevice{Model: fields[0], Key: fields[1], Secret: fields[2]}
		if len(fields) == 4 {
			in.Name = fields[3]
		}
		device, _, err := in.build(now)
		if err != nil {
			return fleet.Refused("line %d: %v", n, err)
		}
		if before := seen[device.Device.Key]; before != 0 {
			return fleet.Refused("line %d: device %s is on line %d already", n, device.Device.Key, before)
		}
		seen[device.Device.Key] = n
		if devices = append(devices, device); len(devices) > mostDevices {
			return fleet.Refused("more than %d devices at once", mostDevices)
		}
	}
	if len(devices) == 0 {
		return fleet.Refused("the CSV has no devices")
	}
	if err := d.Records.AddDevices(r.Context(), devices); err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusCreated, map[string]any{"devices": len(devices)})
}
