package api

import (
	"encoding/json"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Devices is a page of devices.
type Devices struct {
	Devices []Device `json:"devices"`
	Next    *string  `json:"next"` // what ?after= takes for the next page; null: this is the last
}

// Device is a device with what follows from it and what was seen of it.
type Device struct {
	fleet.Device
	ClientID string         `json:"client_id"`
	Place    string         `json:"line_effective,omitempty"` // its line, or the network that it comes from
	Offered  *fleet.Version `json:"offered"`                  // null: nothing
	Sighting fleet.Sighting `json:"sighting"`
	Rollout  *Membership    `json:"rollout,omitempty"` // nil: it is in none
	// Reported is what it has told by hawkBit's protocol; nil of nothing, and in lists.
	Reported *fleet.Reported `json:"reported,omitempty"`
	// PathSecret reports that it has one; nil in lists, which do not say.
	PathSecret *bool `json:"path_secret,omitempty"`
}

// ShowDevice adds what follows from it. offered is "" for nothing.
func ShowDevice(d fleet.Device, seen fleet.Sighting, line string, offered fleet.Version) Device {
	return Device{Device: d, ClientID: d.ClientID(), Place: line, Offered: Optional(offered), Sighting: seen}
}

// NewDevice is what a device is made of. Without a key one is drawn; without a secret one is made and shown, once.
type NewDevice struct {
	Model  string `json:"model_code"`
	Key    string `json:"device_key,omitempty"`
	Name   string `json:"name,omitempty"`
	Line   string `json:"line,omitempty"`
	Secret string `json:"client_secret,omitempty"`
	// Aliases are what it calls itself in a protocol that has ids of its own.
	Aliases []string `json:"aliases,omitempty"`
}

// DeviceChange has what may change; nil leaves a member as it is.
type DeviceChange struct {
	Name         *string            `json:"name,omitempty"`
	Model        *string            `json:"model_code,omitempty"`
	Line         *string            `json:"line,omitempty"`    // "": the network that it comes from
	Labels       *[]string          `json:"labels,omitempty"`  // all of them
	Aliases      *[]string          `json:"aliases,omitempty"` // all of them
	Pin          *string            `json:"pin,omitempty"`     // a version; "" lets it go
	Revoked      *bool              `json:"revoked,omitempty"`
	Config       json.RawMessage    `json:"config,omitempty"`       // null: its model's default again
	Provisioning map[string]*string `json:"provisioning,omitempty"` // merged; null removes a value
}

// ChangedDevice is a device that was changed, and what was odd in its configuration.
type ChangedDevice struct {
	Device
	Warnings []string `json:"warnings,omitempty"`
}

// Credentials are what a device is flashed with.
type Credentials struct {
	Key    fleet.DeviceKey `json:"device_key"`
	Model  fleet.ModelCode `json:"model_code"`
	ID     string          `json:"client_id"`
	Secret string          `json:"client_secret"`
}

// ShowSecret is a device's credentials, which are shown once.
func ShowSecret(d fleet.Device, secret string) Credentials {
	return Credentials{d.Key, d.Model, d.ClientID(), secret}
}

// PathSecret is what a device shows in its paths, where its client can send neither a token nor HTTP Basic. It is shown once.
type PathSecret struct {
	Key  fleet.DeviceKey `json:"device_key"`
	Path string          `json:"path"` // what stands before the paths of the device API; the secret is its end
}

// ShowPathSecret is a new one.
func ShowPathSecret(d fleet.Device, secret string) PathSecret {
	return PathSecret{d.Key, "/d/" + secret}
}

// AddedDevice is a device that was added, and what is odd about the secret that it brought along.
type AddedDevice struct {
	Credentials
	Warnings []string `json:"warnings,omitempty"`
}

// Imported is what an import did.
type Imported struct {
	Added     int           `json:"added"`
	Changed   int           `json:"changed"`   // that got another name
	Unchanged int           `json:"unchanged"` // that were there already
	Made      []Credentials `json:"made"`      // secrets of added devices for which none was given; shown this once
	Warnings  []string      `json:"warnings,omitempty"`
	DryRun    bool          `json:"dry_run,omitempty"`    // nothing was done: it is what would be
	WrongRows int           `json:"wrong_rows,omitempty"` // that were skipped
	Wrong     []string      `json:"wrong,omitempty"`      // where in the list the first 100 of them are, and what is wrong there
}

// Configured is what was odd in a configuration that was taken all the same.
type Configured struct {
	Key      fleet.DeviceKey `json:"device_key"`
	Warnings []string        `json:"warnings"`
}

// DeviceToken is an access token, to try what a device would see.
type DeviceToken struct {
	AccessToken string    `json:"access_token"`
	ExpiresAt   time.Time `json:"expires_at"`
}

// Nudge is what a device is asked to restart for: firmware or config.
type Nudge struct {
	For string `json:"for"`
}

// Nudged says that the broker has taken a nudge.
type Nudged struct {
	Key fleet.DeviceKey `json:"device_key"`
	For string          `json:"for"`
}
