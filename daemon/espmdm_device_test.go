package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// espFlash is what a device keeps when its power goes: a file, written at each change, as NVS is.
type espFlash struct {
	path string

	Provisioned map[string]string // the namespace "prov"
	Running     []byte            // the image that runs
	Dump        []byte            // the core dump partition: container header, ELF, checksum; nil when erased
}

func (f *espFlash) save() {
	b, err := json.Marshal(f)
	if err == nil {
		err = os.WriteFile(f.path, b, 0o600)
	}
	if err != nil {
		panic(err)
	}
}

func (f *espFlash) load() {
	b, err := os.ReadFile(f.path)
	if err == nil {
		*f = espFlash{path: f.path}
		err = json.Unmarshal(b, f)
	}
	if err != nil {
		panic(err)
	}
}

// needed is what a boot cannot do without.
var needed = []string{"device_key", "client_id", "client_secret", "token_url", "base_url", "mqtt_url", "wifi_ssid", "wifi_password"}

// espMDM is a device whose firmware is in the field: it makes its requests in its order, looks at what it looks at and
// aborts where it aborts.
type espMDM struct {
	t     testing.TB
	flash espFlash
	old   bool              // a release that takes any answer for an image
	hall  map[string]string // the access points that are there, by name

	step     func(name string) // what happens around it, such as a power cut, which panics with errPowerLost
	answered []string          // each request of this boot and its answer
	token    string
	ota      bool
}

var errPowerLost = errors.New("the power is lost")

// How a boot ends.
const (
	comesUp     = "comes up"
	updates     = "installs the update and restarts"
	aborts      = "aborts and boots again"
	powerIsLost = "loses its power"
	offNetwork  = "is off the network for good"
)

const espVersionOffset = 24 + 8 + 16 // image header, segment header, magic to reserved words of the descriptor

// espVersion is the version in an image's app descriptor.
func espVersion(image []byte) string {
	if len(image) < espVersionOffset+32 {
		return ""
	}
	return string(bytes.TrimRight(image[espVersionOffset:espVersionOffset+32], "\x00"))
}

// boot runs the device from power-on until it is up or falls. Only what is in its flash outlives it.
func (d *espMDM) boot() (end string, why error) {
	d.flash.load()
	d.token, d.ota, d.answered = "", true, nil
	return d.guarded(func() (string, error) {
		for _, key := range needed {
			if d.flash.Provisioned[key] == "" {
				return offNetwork, fmt.Errorf("%s is not stored", key)
			}
		}
		if password, there := d.hall[d.flash.Provisioned["wifi_ssid"]]; !there || password != d.flash.Provisioned["wifi_password"] {
			return offNetwork, errors.New("no access point lets it in")
		}
		d.step("connected")
		if err := d.configure(); err != nil {
			return aborts, err
		}
		if err := d.uploadDump(); err != nil {
			return aborts, err
		}
		installed, err := d.update()
		if err != nil {
			return aborts, err
		}
		if installed {
			return updates, nil
		}
		return comesUp, nil
	})
}

// rotate is what a message on iotsupport/updates/provisioning makes a running device do.
func (d *espMDM) rotate() (string, error) {
	return d.guarded(func() (string, error) {
		if err := d.provision(); err != nil {
			return "keeps what it has", err
		}
		return "stores what it got and restarts", nil
	})
}

func (d *espMDM) guarded(live func() (string, error)) (end string, why error) {
	defer func() {
		if p := recover(); p == errPowerLost { //nolint:errorlint // it is panicked as it is
			end, why = powerIsLost, errPowerLost
		} else if p != nil {
			panic(p)
		}
	}()
	return live()
}

func (d *espMDM) note(request string, x *espExchange, err error) {
	if err != nil {
		d.answered = append(d.answered, request+": "+err.Error())
		return
	}
	d.answered = append(d.answered, fmt.Sprintf("%s: %d", request, x.status))
}

// open makes a request with the token, which it fetches at the first one. Nothing here looks at a status.
func (d *espMDM) open(name string, r espRequest) (*espExchange, error) {
	if d.token == "" {
		if err := d.fetchToken(); err != nil {
			return nil, err
		}
	}
	d.step("before " + name)
	base := d.flash.Provisioned["base_url"]
	if !strings.HasSuffix(base, "/") {
		base += "/"
	}
	r.url, r.authorization = base+r.url, "Bearer "+d.token
	x, err := espOpen(r)
	d.note(name, x, err)
	if err == nil {
		d.step(name + " is answered")
	}
	return x, err
}

func (d *espMDM) fetchToken() error {
	d.step("before token")
	x, err := espOpen(espRequest{
		method: "POST", url: d.flash.Provisioned["token_url"], contentType: "application/x-www-form-urlencoded",
		body: fmt.Appendf(nil, "grant_type=client_credentials&scope=openid+profile+email&client_id=%s&client_secret=%s",
			d.flash.Provisioned["client_id"], d.flash.Provisioned["client_secret"]),
	})
	d.note("token", x, err)
	if err != nil {
		return err
	}
	defer x.close()
	d.step("token is answered")
	raw, err := x.readJSON(4096)
	if err != nil {
		return err
	}
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		return err
	}
	token, isText := members["access_token"].(string)
	if _, isNumber := members["expires_in"].(float64); !isText || !isNumber {
		return errors.New("no access_token and expires_in")
	}
	d.token = token
	return nil
}

func (d *espMDM) configure() error {
	x, err := d.open("config", espRequest{method: "GET", url: "api/iot/config"})
	if err != nil {
		return err
	}
	defer x.close()
	raw, err := x.readJSON(4096)
	if err != nil {
		return err
	}
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		return err
	}
	for _, key := range []string{"deviceName", "deviceEntityId"} {
		if _, isText := members[key].(string); !isText {
			return fmt.Errorf("no string %s", key)
		}
	}
	if v, set := members["enableOTA"]; set {
		ota, isBool := v.(bool)
		if !isBool {
			return errors.New("enableOTA is no boolean")
		}
		d.ota = ota
	}
	return nil
}

// containerHeader is what the device takes for the length of the container's header, whatever its version.
const containerHeader = 24

// uploadDump sends what is behind the header and erases the dump, whatever comes of it but a power cut.
func (d *espMDM) uploadDump() error {
	if d.flash.Dump == nil {
		return nil
	}
	err := d.sendDump()
	d.flash.Dump = nil
	d.flash.save()
	return err
}

func (d *espMDM) sendDump() error {
	checksum := 4
	if binary.LittleEndian.Uint32(d.flash.Dump[4:])&0xff == 3 {
		checksum = 32
	}
	x, err := d.open("dump", espRequest{
		method: "POST", contentType: "application/octet-stream",
		url:  "api/iot/coredump?chip=esp32c3&firmware_version=" + espVersion(d.flash.Running), // as it is, not escaped
		body: d.flash.Dump[containerHeader : len(d.flash.Dump)-checksum],
	})
	if err != nil {
		return err
	}
	x.close()
	return nil
}

// update compares the version in the first block and closes, or takes the whole image.
func (d *espMDM) update() (installed bool, err error) {
	if !d.ota {
		return false, nil
	}
	x, err := d.open("firmware", espRequest{method: "GET", url: "api/iot/firmware"})
	if err != nil {
		return false, err
	}
	defer x.close()
	if x.status != 200 && !d.old {
		return false, nil
	}
	block := make([]byte, 1024)
	n, err := io.ReadFull(x.body, block)
	if n < espVersionOffset+32 {
		return false, fmt.Errorf("too short for an image: %d bytes, %w", n, err)
	}
	if espVersion(block) == espVersion(d.flash.Running) {
		d.answered = append(d.answered, fmt.Sprintf("up to date, after %d bytes on the wire", x.wire()))
		return false, nil
	}
	rest, err := io.ReadAll(x.body)
	if err != nil || int64(n+len(rest)) != x.length {
		return false, fmt.Errorf("%d bytes of %d, %w", n+len(rest), x.length, err)
	}
	if block[0] != 0xe9 {
		return false, errors.New("the image does not verify")
	}
	d.flash.Running = slices.Concat(block[:n], rest)
	d.flash.save()
	return true, nil
}

// provision replaces everything that is stored by the members of the answer, each on its own.
func (d *espMDM) provision() error {
	x, err := d.open("provisioning", espRequest{method: "GET", url: "api/iot/provisioning"})
	if err != nil {
		return err
	}
	defer x.close()
	raw, err := x.readJSON(128 << 10)
	if err != nil {
		return err
	}
	keys, values, err := inOrder(raw)
	if err != nil {
		return err
	}
	d.step("provisioning is read")
	for _, stale := range slices.Sorted(maps.Keys(d.flash.Provisioned)) {
		if _, stays := values[stale]; !stays {
			delete(d.flash.Provisioned, stale)
			d.flash.save()
			d.step(stale + " is erased")
		}
	}
	for _, key := range keys {
		if len(key) > 15 {
			return fmt.Errorf("%s is too long a name for NVS", key)
		}
		d.flash.Provisioned[key] = values[key]
		d.flash.save()
		d.step(key + " is stored")
	}
	return nil
}

// inOrder takes an object of strings apart. As with cJSON, what is no object has no members.
func inOrder(raw json.RawMessage) (keys []string, values map[string]string, err error) {
	values = map[string]string{}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, values, err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, nil, err
		}
		var value any
		if err := dec.Decode(&value); err != nil {
			return nil, nil, err
		}
		text, isText := value.(string)
		if !isText {
			return nil, nil, fmt.Errorf("%v is no string", key)
		}
		keys = append(keys, key.(string)) // a member's name is one
		values[key.(string)] = text
	}
	return keys, values, nil
}
