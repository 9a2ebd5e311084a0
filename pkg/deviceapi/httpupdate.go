package deviceapi

import (
	"net/http"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// The dialect of HTTPUpdate, the library of Arduino's cores for ESP32 and ESP8266, and of Tasmota, which has its own copy. It
// asks for the firmware over HTTP/1.0 with HTTP Basic out of its URL, and with these headers, the first part of which is
// x-ESP32- or x-ESP8266-:
//
//	mode           sketch, or spiffs and the like for a file system
//	version        what the sketch passes, if it does; Tasmota's is VERSION(BUILD), such as 14.3.0(tasmota32)
//	sketch-md5     hex, MD5 of the image that runs
//	sketch-sha256  hex, in capitals: the hash at the end of the image that runs
//	sketch-size, free-space, chip-size, sdk-version, STA-MAC, AP-MAC   not looked at
//
// It flashes whatever comes with 200, and boots: only a 304 says that there is nothing new. It wants a Content-Length that is
// more than 0, takes an x-MD5 at its word, and looks at no header else. Every other status is tried again as the sketch
// likes.
//
// Sources: HTTPUpdate.cpp of arduino-esp32 2 and 3, ESP8266httpUpdate.cpp, Tasmota's HttpUpdateLight.

// sketch is what HTTPUpdate says of the image that runs.
type sketch struct {
	asks        bool // it is HTTPUpdate
	mode        string
	version     string
	md5, sha256 string // lower-case hex
}

// sketchHeaders are the names in their two spellings, in canonical form.
var sketchHeaders = []struct{ mode, version, md5, sha256 string }{
	{"X-Esp32-Mode", "X-Esp32-Version", "X-Esp32-Sketch-Md5", "X-Esp32-Sketch-Sha256"},
	{"X-Esp8266-Mode", "X-Esp8266-Version", "X-Esp8266-Sketch-Md5", "X-Esp8266-Sketch-Sha256"},
}

func sketchOf(h http.Header) sketch {
	for _, n := range sketchHeaders {
		s := sketch{mode: word(h, n.mode), version: word(h, n.version), md5: hexWord(h, n.md5), sha256: hexWord(h, n.sha256)}
		if s != (sketch{}) {
			s.asks = true
			return s
		}
	}
	return sketch{}
}

// hash is the one that tells most; either is of the whole image.
func (s sketch) hash() string {
	if s.sha256 != "" {
		return s.sha256
	}
	return s.md5
}

// runs reports that the sketch is the image already.
func (s sketch) runs(image fleet.Image) bool {
	version, _, _ := strings.Cut(s.version, "(")
	return s.version != "" && (s.version == string(image.Version) || version == string(image.Version)) ||
		image.Sketch(s.md5) || image.Sketch(s.sha256)
}

// onlySketches refuses HTTPUpdate what it would flash as a file system.
func onlySketches(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model) error {
		if mode := sketchOf(r.Header).mode; mode != "" && mode != "sketch" {
			return endpoint.Errorf(http.StatusNotFound, "only_sketches", "there is an image of the sketch, and none of its file system")
		}
		return h(w, r, device, model)
	}
}

// forSketch answers HTTPUpdate as it needs it: a sketch that is the image already has what is conditional on its ETag.
func forSketch(w http.ResponseWriter, r *http.Request, image fleet.Image) {
	s := sketchOf(r.Header)
	if !s.asks || r.Header.Get("Range") != "" {
		return
	}
	if s.runs(image) {
		r.Header.Set("If-None-Match", image.ETag)
	} else if image.ImageMD5 != "" {
		w.Header().Set("X-Md5", image.ImageMD5)
	}
}
