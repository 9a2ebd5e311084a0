package deviceapi

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// A manifest says which build a device is offered and where it is. Three clients read it, each some members of one document:
//
//	ESPHome      name, version, and of builds the one whose chipFamily is its own: ota.path, ota.md5, and ota.summary and
//	             ota.release_url for people. A path is beside the manifest, unless it has the letters "http" in it. It offers to
//	             install what has another version than its own.
//	esp32FOTA    type, which has to be the name that the sketch has given itself; version, a semantic version that has to be
//	             higher than its own; url, which has to be whole
//	MicroPython  (micropython-esp32-ota) firmware, beside the manifest unless it begins with a slash, sha (SHA-256) and length.
//	             The manifest's address has to end in .json.
//
// Each reads it into little memory (esp32FOTA's ArduinoJson into 2,048 bytes), and none knows chunks.
//
// Sources: http_request_update.cpp of ESPHome, esp32FOTA.cpp, update.py of micropython-esp32-ota.

type manifest struct {
	Name     string          `json:"name"`
	Version  fleet.Version   `json:"version"`
	Type     fleet.ModelCode `json:"type"`
	URL      string          `json:"url"`
	Builds   []manifestBuild `json:"builds"`
	Firmware string          `json:"firmware"`
	SHA      string          `json:"sha"`
	Length   int64           `json:"length"` // bytes
}

type manifestBuild struct {
	ChipFamily string      `json:"chipFamily"` // as ESPHome and esptool spell it: ESP32-C3
	OTA        manifestOTA `json:"ota"`
}

type manifestOTA struct {
	Path       string `json:"path"`
	MD5        string `json:"md5"`
	Summary    string `json:"summary"`
	ReleaseURL string `json:"release_url"`
}

// mostName of a model's name goes into a manifest, in bytes.
const mostName = 64

func (d *Door) manifest(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model) error {
	d.options.Offers.Turn(r.Context(), device)
	v, ok := d.options.Offers.Offer(device, model)
	if !ok {
		return noFirmware(model)
	}
	image, err := d.options.Images.OpenImage(model, v)
	if err != nil {
		return err
	}
	defer image.File.Close()
	// The address of the version, whose bytes stay the same between the manifest and the end of the download.
	beside := "firmware/" + strings.ReplaceAll(url.PathEscape(string(v)), "http", "%68ttp")
	base := reachedAt(r) + below(r) + "/api/iot/"
	w.Header().Set("Cache-Control", "no-cache")
	return endpoint.WriteJSON(w, http.StatusOK, manifest{
		Name: nameOf(model), Version: v, Type: model.Code, URL: base + beside,
		Builds: []manifestBuild{{ChipFamily: image.Chip, OTA: manifestOTA{
			Path: beside, MD5: image.ImageMD5, Summary: "version " + string(v) + " of " + string(model.Code), ReleaseURL: reachedAt(r) + "/",
		}}},
		Firmware: beside, SHA: image.SHA256, Length: image.Size,
	})
}

// nameOf is a model's name as far as it fits.
func nameOf(m fleet.Model) string {
	name := m.Name
	if name == "" {
		name = string(m.Code)
	}
	if len(name) <= mostName {
		return name
	}
	name = name[:mostName]
	for !utf8.ValidString(name) {
		name = name[:len(name)-1]
	}
	return name
}
