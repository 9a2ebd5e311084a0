package fleet

import (
	"encoding/json"
	"maps"
	"time"
)

// Device is one ESP32. Its secret is auth's matter and not here.
type Device struct {
	Key          DeviceKey         `json:"device_key"`
	Model        ModelCode         `json:"model_code"`
	Name         string            `json:"name,omitempty"`
	Line         string            `json:"line,omitempty"`    // where it stands; "": the network that it comes from
	Labels       []string          `json:"labels,omitempty"`  // sorted, each once
	Aliases      []Alias           `json:"aliases,omitempty"` // sorted; each is one device's only
	Pin          Version           `json:"pin,omitempty"`     // what it is offered whatever else is; "": nothing of its own
	Revoked      bool              `json:"revoked,omitempty"`
	NotBefore    time.Time         `json:"not_before,omitzero"` // tokens issued earlier are refused
	Config       json.RawMessage   `json:"config,omitempty"`    // nil until one is set
	Provisioning map[string]string `json:"provisioning,omitempty"`
	CreatedAt    time.Time         `json:"created_at"`
	UpdatedAt    time.Time         `json:"updated_at"`
}

// ClientID is the device's OAuth client id.
func (d Device) ClientID() string { return ClientID(d.Model, d.Key) }

// TokensEnd is the NotBefore that ends all tokens issued until now: the next whole second, as tokens have no fractions.
func TokensEnd(now time.Time) time.Time { return now.UTC().Truncate(time.Second).Add(time.Second) }

// mostProvisioningKey is what a name in a device's NVS partition may have, in bytes: a longer one cannot be stored, and
// breaks a rotation in its middle.
const mostProvisioningKey = 15

// CheckProvisioning refuses values that a device could not store.
func CheckProvisioning(values map[string]string) error {
	for name := range values {
		if name == "" || len(name) > mostProvisioningKey {
			return Refused("provisioning value %q: its name has %d bytes, devices store 1 to %d", clip(name), len(name), mostProvisioningKey)
		}
	}
	return nil
}

// ProvisioningValues lays the device's values over its model's and those over the gateway's: the closest wins.
func ProvisioningValues(gateway map[string]string, m Model, d Device) map[string]string {
	values := make(map[string]string, len(gateway)+len(m.Provisioning)+len(d.Provisioning))
	maps.Copy(values, gateway)
	maps.Copy(values, m.Provisioning)
	maps.Copy(values, d.Provisioning)
	return values
}

// DeviceFilter picks devices, in the order of their keys. The zero one picks all.
type DeviceFilter struct {
	Model   ModelCode
	State   DeviceState
	Version string // that it runs; UnknownVersion: nobody knows
	Line    string // as named, or the network that it comes from
	Label   string
	Revoked bool        // only such as are
	Heard   Span        // of their last contact
	Search  string      // in its key, its name and its aliases
	Among   []DeviceKey // in their order: only these; nil: whichever
	After   DeviceKey   // exclusive
	Limit   int         // 0: all
}

// UnknownVersion in a filter stands for what devices run of which nobody knows it.
const UnknownVersion = "unknown"

// Facet is how many devices a filter would pick with a word in one of its places.
type Facet struct {
	Word  string
	Count int
}

// DeviceFacets are the words that each place of a filter may have, given its other places.
type DeviceFacets struct {
	Total    int // that the filter picks
	Models   []Facet
	Versions []Facet
	States   []Facet
	Lines    []Facet
	Labels   []Facet
	Revoked  int
}
