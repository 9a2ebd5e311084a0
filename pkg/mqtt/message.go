package mqtt

import (
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Bounds of what is read. esp-mdm's packets have 4 KiB at most.
const (
	mostPayload = 64 << 10 // bytes
	mostName    = 128
	mostVersion = 64
)

// told is what one message says of one device.
type told struct {
	mac      string // 12 hex digits, lower case
	name     string // what the device calls itself, "" where it does not
	clientID string
	version  string // that it runs
	started  bool   // it has connected, which esp-mdm does once a boot
	online   *bool
}

// topics are what is listened to: esp-mdm's own messages, and what it tells Home Assistant.
func topics(prefix string) []string {
	return []string{prefix + "/+/configuration", prefix + "/+/state", "homeassistant/+/+/+/config"}
}

// parse reads a message; ok is false of one that says nothing of a device. Whatever it does not know it passes over: the
// broker is the plant's, and anybody publishes there.
func parse(prefix, topic string, payload []byte) (m told, ok bool) {
	if len(payload) > mostPayload {
		return told{}, false
	}
	kind := ""
	if rest, own := strings.CutPrefix(topic, prefix+"/"); own {
		m.mac, kind, _ = strings.Cut(rest, "/")
	} else if parts := strings.Split(topic, "/"); len(parts) == 5 && parts[0] == "homeassistant" && parts[4] == "config" {
		m.mac, kind = parts[2], "discovery"
	}
	if m.mac = macOf(m.mac); m.mac == "" {
		return told{}, false
	}
	var body struct {
		ClientID string `json:"client_id"`
		Online   *bool  `json:"online"`
		Device   struct {
			Name            string `json:"name"`
			ClientID        string `json:"client_id"`
			FirmwareVersion string `json:"firmware_version"`
			SWVersion       string `json:"sw_version"`
		} `json:"device"`
	}
	if json.Unmarshal(payload, &body) != nil {
		return told{}, false
	}
	m.name, m.clientID = bounded(body.Device.Name, mostName), bounded(body.ClientID, mostName)
	if m.clientID == "" {
		m.clientID = bounded(body.Device.ClientID, mostName)
	}
	switch kind {
	case "configuration":
		m.version, m.started = versionOf(body.Device.FirmwareVersion), true
	case "discovery":
		m.version = versionOf(body.Device.SWVersion)
	case "state":
		m.online = body.Online
		return m, m.online != nil
	}
	return m, m.version != ""
}

// macOf is a MAC address as esp-mdm writes it into a topic, without its 0x, "" of what is none.
func macOf(s string) string {
	s = strings.ToLower(strings.NewReplacer(":", "", "-", "").Replace(strings.TrimPrefix(s, "0x")))
	if b, err := hex.DecodeString(s); err != nil || len(b) != 6 {
		return ""
	}
	return s
}

func bounded(s string, most int) string {
	if len(s) > most {
		return ""
	}
	return s
}

func versionOf(s string) string {
	v, err := fleet.ParseVersion(bounded(s, mostVersion))
	if err != nil {
		return ""
	}
	return string(v)
}
