package rollout

import "github.com/slipway-gateway/slipway/pkg/fleet"

// word is what the rollout says of a device.
func (c *course) word(device fleet.DeviceKey) (v fleet.Version, ok bool) {
	m := c.members[device]
	if m == nil {
		return "", false
	}
	return c.wordOf(m)
}
