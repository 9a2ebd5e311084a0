package clients

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ESPHome's update.http_request, read in 2025.10, and MicroPython's requests with micropython-esp32-ota.

func otherClients() []Client {
	return []Client{
		{Name: "ESPHome", Asks: []Endpoint{Manifest, Firmware}, Shows: Basic, Patience: "4.5 s", Round: esphomeRound},
		{Name: "MicroPython, requests of 1.22", Asks: []Endpoint{Manifest, Firmware}, Shows: Basic, Patience: "none", Round: func(d *Device) (End, error) {
			return micropythonRound(d, true)
		}},
		{Name: "MicroPython, requests of 1.24", Asks: []Endpoint{Manifest, Firmware}, Shows: Basic, Patience: "none", Round: func(d *Device) (End, error) {
			return micropythonRound(d, false)
		}},
	}
}

// esphome is a request of ESPHome with ESP-IDF: any 2xx, and a length.
func (d *Device) esphome(path string) ([]byte, error) {
	lines := []string{"GET " + path + " HTTP/1.1", "User-Agent: ESPHome/2025.10.3 (https://esphome.io)", "Host: " + d.Gateway}
	if d.ID != "" {
		lines = append(lines, d.basic())
	}
	l, err := d.dial(espBuffer)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	a, err := d.ask(l, append(lines, "Content-Length: 0"), nil)
	if err != nil {
		return nil, err
	}
	if a.status < 200 || a.status >= 300 {
		return nil, fmt.Errorf("HTTP Request failed; Code: %d", a.status)
	}
	if a.chunked || a.length <= 0 {
		return nil, errors.New("a length of 0")
	}
	return a.whole(mostImage)
}

func esphomeRound(d *Device) (End, error) {
	source := d.source("/api/iot/manifest.json")
	b, err := d.esphome(source)
	if err != nil {
		return Failed, err
	}
	var m struct {
		Name, Version *string
		Builds        []struct {
			ChipFamily *string
			OTA        *struct{ Path, MD5 *string }
		}
	}
	if err := json.Unmarshal(b, &m); err != nil || m.Name == nil || m.Version == nil {
		return Failed, fmt.Errorf("the manifest does not parse: %w", err)
	}
	if *m.Version == Version(d.Runs) {
		return UpToDate, nil
	}
	for _, build := range m.Builds {
		if build.ChipFamily == nil || *build.ChipFamily != d.Chip {
			continue
		}
		if build.OTA == nil || build.OTA.Path == nil || build.OTA.MD5 == nil {
			return Failed, errors.New("the manifest does not contain required fields")
		}
		path := *build.OTA.Path
		switch {
		case strings.Contains(path, "http"):
			return Failed, fmt.Errorf("%q is taken for a whole address", path)
		case !strings.HasPrefix(path, "/"):
			path = source[:strings.LastIndex(source, "/")+1] + path
		}
		image, err := d.esphome(path)
		if err != nil {
			return Failed, err
		}
		if sum := md5.Sum(image); hex.EncodeToString(sum[:]) != *build.OTA.MD5 {
			return Failed, errors.New("MD5 mismatch")
		}
		return d.install(image)
	}
	return Failed, errors.New("no build for this chip")
}

// micropython is a request of MicroPython's requests. Where its version is 1.0 it raises at chunks.
func (d *Device) micropython(old bool, path string) ([]byte, error) {
	host, _, _ := strings.Cut(d.Gateway, ":")
	version := "1"
	if old {
		version = "0"
	}
	lines := []string{"GET " + path + " HTTP/1." + version, "Host: " + host} // without its port
	if d.ID != "" {
		lines = append(lines, d.basic())
	}
	if !old {
		lines = append(lines, "Connection: close")
	}
	l, err := d.dial(4096)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	a, err := d.ask(l, lines, nil)
	if err != nil {
		return nil, err
	}
	if a.chunked {
		return nil, errors.New("chunks are unsupported")
	}
	if a.status != 200 {
		return nil, fmt.Errorf("HTTP Error: %d", a.status)
	}
	return io.ReadAll(io.LimitReader(l.read, mostImage)) // the socket, to its end
}

func micropythonRound(d *Device, old bool) (End, error) {
	source := d.source("/api/iot/manifest.json")
	b, err := d.micropython(old, source)
	if err != nil {
		return Failed, err
	}
	var m struct {
		Firmware, SHA, Version string
		Length                 int
	}
	if err := json.Unmarshal(b, &m); err != nil || m.Firmware == "" || m.SHA == "" || m.Length == 0 {
		return Failed, fmt.Errorf("OTA json must include firmware, sha and length: %w", err)
	}
	if m.Version == Version(d.Runs) { // what an application looks at before it begins
		return UpToDate, nil
	}
	if strings.HasPrefix(m.Firmware, "/") || strings.HasPrefix(m.Firmware, "http") {
		return Failed, fmt.Errorf("%q is taken for a file, or a whole address", m.Firmware)
	}
	image, err := d.micropython(old, source[:strings.LastIndex(source, "/")+1]+m.Firmware)
	if err != nil {
		return Failed, err
	}
	if sum := sha256.Sum256(image); len(image) != m.Length || hex.EncodeToString(sum[:]) != m.SHA {
		return Failed, errors.New("SHA of the data does not match")
	}
	return d.install(image)
}
