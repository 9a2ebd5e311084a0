package deviceapi

import (
	"net/http"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// The dialect of AutoConnectUpdate (Hieromon's AutoConnect for ESP32 and ESP8266), which is told a host, a port and a path, and
// can show no credentials: its path is /d/SECRET.
//
//	GET /_catalog?op=list&path=/d/SECRET   what there is, as a list that a person picks from at the device
//	GET /d/SECRET/NAME                     what was picked, by HTTPUpdate: see [sketchOf]
//
// The list is a JSON array of objects with name and type, of which only those of the type "bin" are shown. It is read into
// 256 bytes, and has one entry: what the device is offered.
//
// Source: AutoConnectUpdate.cpp and updateserver.py of AutoConnect 1.4.

// catalogPath and filePath are where a request for it is led once its secret is taken out.
const (
	catalogPath = "/d/_catalog"
	filePath    = "/d/{file}"
)

const binSuffix = ".bin"

type catalogEntry struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

func (d *Door) catalog(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model) error {
	if op := r.URL.Query().Get("op"); op != "list" {
		return fleet.Refused("op %q: want list", op)
	}
	d.options.Offers.Turn(r.Context(), device)
	list := []catalogEntry{}
	if v, ok := d.options.Offers.Offer(device, model); ok {
		list = append(list, catalogEntry{string(model.Code) + "-" + string(v) + binSuffix, "bin"})
	}
	w.Header().Set("Cache-Control", "no-cache")
	return endpoint.WriteJSON(w, http.StatusOK, list)
}

// file is a build by the name that the catalog has of it.
func (d *Door) file(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model) error {
	name, isBin := strings.CutSuffix(r.PathValue("file"), binSuffix)
	version, named := strings.CutPrefix(name, string(model.Code)+"-")
	if !isBin || !named {
		return fleet.Unknown("a file that no catalog has")
	}
	r.SetPathValue("version", version)
	return d.oneFirmware(w, r, device, model)
}
