package fleet

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// ModelCode names a hardware type: 1 to 50 of a-z, 0-9 and underscore.
type ModelCode string

// DeviceKey names one device, unique over all models: 8 of a-z and 0-9.
type DeviceKey string

var (
	modelCodePattern = pattern(`^[a-z0-9_]{1,50}$`)
	deviceKeyPattern = pattern(`^[a-z0-9]{8}$`)
)

// ParseModelCode refuses what is no model code, quoting it.
func ParseModelCode(s string) (ModelCode, error) {
	if !modelCodePattern().MatchString(s) {
		return "", Refused("model code %q: want 1 to 50 of a-z, 0-9 and _", clip(s))
	}
	return ModelCode(s), nil
}

// ParseDeviceKey refuses what is no device key, quoting it.
func ParseDeviceKey(s string) (DeviceKey, error) {
	if !deviceKeyPattern().MatchString(s) {
		return "", Refused("device key %q: want 8 of a-z and 0-9", clip(s))
	}
	return DeviceKey(s), nil
}

// SameChip compares names of chips as people and tools write them: ESP32-C3, esp32c3.
func SameChip(a, b string) bool {
	plain := func(s string) string {
		return strings.ToLower(strings.NewReplacer("-", "", "_", "", " ", "").Replace(s))
	}
	return plain(a) == plain(b)
}

// NewDeviceKey draws a random key; 32^8 of them make a clash rare, and the catalog refuses one.
func NewDeviceKey() DeviceKey {
	return DeviceKey(strings.ToLower(rand.Text()[:8]))
}

// DeviceKeyOf is the key of a device that has only a name of its own, the same for the same name.
func DeviceKeyOf(name string) DeviceKey {
	sum := sha256.Sum256([]byte(name))
	return DeviceKey(strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:8]))
}

const clientIDPrefix = "iotdevice-"

// ClientID is the OAuth client id of a device: "iotdevice-<model code>-<device key>".
func ClientID(model ModelCode, key DeviceKey) string {
	return clientIDPrefix + string(model) + "-" + string(key)
}

// ParseClientID takes a client id apart. A code has no hyphen, so that the split is unambiguous.
func ParseClientID(s string) (ModelCode, DeviceKey, error) {
	rest, ok := strings.CutPrefix(s, clientIDPrefix)
	code, key, split := strings.Cut(rest, "-")
	if !ok || !split || !modelCodePattern().MatchString(code) || !deviceKeyPattern().MatchString(key) {
		return "", "", Refused("client id %q: want iotdevice-<model code>-<device key>", clip(s))
	}
	return ModelCode(code), DeviceKey(key), nil
}

// clip keeps foreign text in messages short.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
