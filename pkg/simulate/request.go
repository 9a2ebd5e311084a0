package simulate

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
)

// Request is a kind of request.
type Request string

// The kinds of requests; a download and a check are both a request for the firmware.
const (
	Boot     Request = "boot" // no request: the device restarts
	Token    Request = "token"
	Config   Request = "config"
	Dump     Request = "dump"
	Version  Request = "version"
	Firmware Request = "firmware"
	Check    Request = "check"    // a request for the firmware that ended in its first block, or with a 304
	Download Request = "download" // one that went on to the end
)

// request is one as the device makes it.
type request struct {
	kind   Request
	method string
	path   string
	header [][2]string
	body   []byte
	old    bool     // HTTP/1.0
	ranges bool     // HEAD, and then pieces on the same connection
	known  []string // versions at which the device stops reading an image
}

func (d *device) request(kind Request) *request {
	r := &request{kind: kind, method: http.MethodGet, header: d.headers()}
	switch kind {
	case Token:
		r.method, r.path = http.MethodPost, "/api/oauth/token"
		r.header = [][2]string{{"User-Agent", espAgent}, {"Content-Type", "application/x-www-form-urlencoded"}}
		r.body = []byte(url.Values{
			"grant_type": {"client_credentials"}, "scope": {"openid profile email"}, "client_id": {d.ID}, "client_secret": {d.Secret},
		}.Encode())
	case Config:
		r.path = "/api/iot/config"
	case Dump:
		r.method, r.path = http.MethodPost, "/api/iot/coredump?"+url.Values{"chip": {d.plan.Chip}, "firmware_version": {d.runs}}.Encode()
		r.header = append(r.header, [2]string{"Content-Type", "application/octet-stream"})
		r.body = d.uploaded()
	case Version:
		r.path = "/api/iot/firmware-version"
	case Firmware:
		r.path = "/api/iot/firmware"
		r.old, r.ranges = d.Kind == Arduino, d.Kind == OTA
		if d.Kind == ESPMDM || d.Kind == OTA {
			r.known = []string{d.runs, d.left}
		}
	}
	return r
}

const espAgent = "ESP32 HTTP Client/1.0"

// containerHeader is what comes before the ELF in the partition, in bytes.
const containerHeader = 24

// uploaded is the dump as the device sends it: esp-mdm leaves out the container's header.
func (d *device) uploaded() []byte {
	if d.Kind == ESPMDM && len(d.dump) > containerHeader && bytes.HasPrefix(d.dump[containerHeader:], []byte("\x7fELF")) {
		return d.dump[containerHeader:]
	}
	return d.dump
}

// headers are those of every request but the token's.
func (d *device) headers() [][2]string {
	if d.Kind == Arduino {
		return d.sketchHeaders()
	}
	h := [][2]string{{"User-Agent", espAgent}, {"Authorization", d.authorization()}}
	if d.Kind == Poller && d.runs != "" {
		h = append(h, [2]string{"X-Running-Version", d.runs}, [2]string{"X-Boot-ID", d.bootID})
	}
	return h
}

func (d *device) authorization() string {
	if d.bearer() {
		return "Bearer " + d.token
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(d.ID+":"+d.Secret))
}

// sketchHeaders are those of Arduino's HTTPUpdate.
func (d *device) sketchHeaders() [][2]string {
	h := [][2]string{
		{"User-Agent", "ESP32-http-Update"}, {"Connection", "close"}, {"Cache-Control", "no-cache"},
		{"Authorization", d.authorization()}, {"x-ESP32-free-space", "1310720"}, {"x-ESP32-chip-size", "4194304"}, {"x-ESP32-mode", "sketch"},
	}
	if d.image != "" {
		h = append(h, [2]string{"x-ESP32-sketch-md5", d.image})
	}
	if d.runs != "" {
		h = append(h, [2]string{"x-ESP32-version", d.runs})
	}
	return h
}
