package api

import (
	"maps"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Apply changes a device, and says what is odd in its new configuration. Revoking refuses its tokens at once, and those that
// it already has stay refused when it is welcome again.
func (in DeviceChange) Apply(device *fleet.Device, now time.Time) (warnings []string, err error) {
	set(&device.Name, in.Name)
	switch {
	case in.Config == nil:
	case string(in.Config) == "null":
		device.Config = nil
	default:
		if device.Config, warnings, err = fleet.ParseConfiguration(in.Config); err != nil {
			return nil, err
		}
	}
	if in.Model != nil {
		if device.Model, err = fleet.ParseModelCode(*in.Model); err != nil {
			return nil, err
		}
	}
	if err := in.place(device); err != nil {
		return nil, err
	}
	if in.Revoked != nil {
		if *in.Revoked && !device.Revoked {
			device.NotBefore = fleet.TokensEnd(now)
		}
		device.Revoked = *in.Revoked
	}
	device.Provisioning = MergeValues(device.Provisioning, in.Provisioning)
	return warnings, fleet.CheckProvisioning(device.Provisioning)
}

// place sets where a device stands, what it calls itself, and what it is offered whatever others are.
func (in DeviceChange) place(device *fleet.Device) (err error) {
	if in.Line != nil {
		if err := fleet.CheckLine(*in.Line); err != nil {
			return err
		}
		device.Line = *in.Line
	}
	if in.Labels != nil {
		if device.Labels, err = fleet.ParseLabels(*in.Labels); err != nil {
			return err
		}
	}
	if in.Aliases != nil {
		if device.Aliases, err = fleet.ParseAliases(*in.Aliases); err != nil {
			return err
		}
	}
	switch {
	case in.Pin == nil:
	case *in.Pin == "":
		device.Pin = ""
	default:
		if device.Pin, err = fleet.ParseVersion(*in.Pin); err != nil {
			return err
		}
	}
	return nil
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// MergeValues lays changes over values; null removes one.
func MergeValues(values map[string]string, changes map[string]*string) map[string]string {
	merged := maps.Clone(values)
	if merged == nil {
		merged = map[string]string{}
	}
	for k, v := range changes {
		if v == nil {
			delete(merged, k)
		} else {
			merged[k] = *v
		}
	}
	if len(merged) == 0 {
		return nil
	}
	return merged
}
