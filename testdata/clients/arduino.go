package clients

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/espimage"
)

// What Arduino's HTTPClient and HTTPUpdate do, and what is built on them: read in arduino-esp32 2 and 3, ESP8266httpUpdate,
// Tasmota 14, esp32FOTA 0.2 and AutoConnect 1.4.

func arduinoClients() []Client {
	const patience = "8 s"
	return []Client{
		{Name: "Arduino HTTPUpdate", Asks: []Endpoint{Firmware}, Shows: Basic, Tells: true, Patience: patience, Round: func(d *Device) (End, error) {
			return d.httpUpdate(d.source(firmwarePath), d.basic(), sketchOf("ESP32", ""))
		}},
		{Name: "Arduino HTTPUpdate, a version", Asks: []Endpoint{Firmware}, Shows: Basic, Tells: true, Patience: patience, Round: func(d *Device) (End, error) {
			return d.httpUpdate(d.source(firmwarePath), d.basic(), sketchOf("ESP32", Version(d.Runs)))
		}},
		{Name: "ESP8266 HTTPUpdate", Asks: []Endpoint{Firmware}, Shows: Basic, Tells: true, Patience: patience, Round: func(d *Device) (End, error) {
			return d.httpUpdate(d.source(firmwarePath), d.basic(), sketchOf("ESP8266", Version(d.Runs)))
		}},
		{Name: "Tasmota", Asks: []Endpoint{Firmware}, Shows: Basic, Tells: true, Patience: patience, Round: tasmotaRound},
		{Name: "esp32FOTA", Asks: []Endpoint{Manifest, Firmware}, Shows: Basic, Patience: "5 s", Round: fotaRound},
		{Name: "AutoConnect", Asks: []Endpoint{Catalog, Firmware}, Shows: PathSecret, Tells: true, Patience: patience, Round: autoConnectRound},
	}
}

// arduino are the lines of a request of HTTPClient; what a sketch adds comes last.
func (d *Device) arduino(old bool, agent, path, authorization string, more ...string) []string {
	version, reuse := "1", "keep-alive"
	if old {
		version, reuse = "0", "close"
	}
	lines := []string{"GET " + path + " HTTP/1." + version, "Host: " + d.Gateway, "User-Agent: " + agent, "Connection: " + reuse}
	if !old {
		lines = append(lines, "Accept-Encoding: identity;q=1,chunked;q=0.1,*;q=0")
	}
	if authorization != "" {
		lines = append(lines, authorization)
	}
	return append(lines, more...)
}

// sketch is what HTTPUpdate says of itself.
type sketch struct{ chip, version string }

func sketchOf(chip, version string) sketch { return sketch{chip, version} }

func (s sketch) headers(d *Device) []string {
	x := func(name, value string) string { return "x-" + s.chip + "-" + name + ": " + value }
	sum := md5.Sum(d.Runs)
	lines := []string{
		"Cache-Control: no-cache", x("STA-MAC", "24:0A:C4:00:00:01"), x("AP-MAC", "24:0A:C4:00:00:02"), x("free-space", "1310720"),
		x("sketch-size", strconv.Itoa(len(d.Runs))),
	}
	if s.chip == "ESP32" {
		image, err := espimage.Read(bytes.NewReader(d.Runs), int64(len(d.Runs)))
		if err == nil {
			lines = append(lines, x("sketch-sha256", strings.ToUpper(image.RunningSHA256)))
		}
	} else {
		lines = append(lines, x("sketch-md5", hex.EncodeToString(sum[:])))
	}
	lines = append(lines, x("chip-size", "4194304"), x("sdk-version", "v4.4.6"), x("mode", "sketch"))
	if s.version != "" {
		lines = append(lines, x("version", s.version))
	}
	return lines
}

// httpUpdate flashes whatever comes with 200 and begins like an image, and boots.
func (d *Device) httpUpdate(path, authorization string, s sketch) (End, error) {
	l, err := d.dial(arduinoBuffer)
	if err != nil {
		return Failed, err
	}
	defer l.Close()
	a, err := d.ask(l, d.arduino(true, s.chip+"-http-Update", path, authorization, s.headers(d)...), nil)
	if err != nil {
		return Failed, err
	}
	switch a.status {
	case 200:
	case 304:
		return UpToDate, nil
	default:
		return refused(a.status)
	}
	if a.length <= 0 {
		return Failed, errors.New("Content-Length was 0 or wasn't set by Server")
	}
	image, err := io.ReadAll(io.LimitReader(l.read, a.length))
	if err != nil || int64(len(image)) < a.length {
		return Failed, errors.Join(err, io.ErrUnexpectedEOF)
	}
	if !begins(image) {
		return Failed, errors.New("the magic header does not start with 0xE9")
	}
	if want := a.header.Get("x-MD5"); want != "" {
		if sum := md5.Sum(image); want != hex.EncodeToString(sum[:]) {
			return Failed, errors.New("MD5 Check Failed")
		}
	}
	return d.install(image)
}

// tasmotaRound tries four times. Its version has the build behind it.
func tasmotaRound(d *Device) (end End, err error) {
	const attempts = 4
	for range attempts {
		end, err = d.httpUpdate(d.source(firmwarePath), d.basic(), sketchOf("ESP32", Version(d.Runs)+"(tasmota32)"))
		if end != Failed {
			break
		}
	}
	return end, err
}

// get is HTTPClient's GET whose body is read from the stream as it comes: it knows no chunks.
func (d *Device) get(path string, more ...string) (*answer, []byte, error) {
	l, err := d.dial(arduinoBuffer)
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	a, err := d.ask(l, d.arduino(false, "ESP32HTTPClient", path, "", more...), nil)
	if err != nil {
		return nil, nil, err
	}
	if a.status != 200 {
		return a, nil, fmt.Errorf("status %d", a.status)
	}
	if a.chunked {
		size, err := l.line() // of the first chunk, which is read as the JSON
		return a, []byte(size), err
	}
	if a.length <= 0 {
		return a, nil, errors.New("no content")
	}
	b, err := io.ReadAll(io.LimitReader(l.read, a.length))
	if err == nil && int64(len(b)) < a.length {
		err = io.ErrUnexpectedEOF
	}
	return a, b, err
}

// fotaRound compares versions as semantic ones. Credentials are a header that the sketch adds to both requests.
func fotaRound(d *Device) (End, error) {
	var more []string
	if d.ID != "" {
		more = append(more, d.basic())
	}
	_, b, err := d.get(d.source("/api/iot/manifest.json")+"?id=158765432109876", more...)
	if err != nil {
		return Failed, err
	}
	var m struct{ Type, Version, URL string }
	if err := json.Unmarshal(b, &m); err != nil || len(b) > 2048 {
		return Failed, fmt.Errorf("JSON Parsing failed: %w", err)
	}
	switch {
	case m.Type != d.Type:
		return Failed, fmt.Errorf("the manifest is of type %q", m.Type)
	case !higher(m.Version, Version(d.Runs)):
		return UpToDate, nil
	}
	u, err := url.Parse(m.URL)
	if err != nil || u.Host != d.Gateway || u.Scheme != "http" {
		return Failed, fmt.Errorf("no whole address: %q", m.URL)
	}
	_, image, err := d.get(u.EscapedPath(), more...)
	if err != nil {
		return Failed, err
	}
	return d.install(image)
}

// higher compares semantic versions of three numbers.
func higher(a, b string) bool {
	var x, y [3]int
	fmt.Sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2]) //nolint:errcheck // what does not parse is 0
	fmt.Sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2]) //nolint:errcheck // what does not parse is 0
	for i := range x {
		if x[i] != y[i] {
			return x[i] > y[i]
		}
	}
	return false
}

// autoConnectRound is a person at the device who picks the one entry that there is.
func autoConnectRound(d *Device) (End, error) {
	_, b, err := d.get("/_catalog?op=list&path=" + d.Path)
	if err != nil {
		return Failed, err
	}
	var list []struct{ Name, Type string }
	if err := json.Unmarshal(b, &list); err != nil {
		return Failed, fmt.Errorf("invalid catalog list: %w", err)
	}
	for _, entry := range list {
		if entry.Type == "bin" {
			return d.httpUpdate(d.Path+"/"+entry.Name, "", sketchOf("ESP32", ""))
		}
	}
	return UpToDate, nil
}
