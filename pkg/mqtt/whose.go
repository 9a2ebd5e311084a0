package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// devices is what the package needs of the catalog.
type devices interface {
	Device(fleet.DeviceKey) (fleet.Device, error)
	EachDevice(yield func(fleet.Device) error) error
	DeviceOfMAC(mac string) (key fleet.DeviceKey, found bool, err error)
	KeepMAC(ctx context.Context, mac string, key fleet.DeviceKey) error
}

// readAgain is how old the list of names may be when a name is not in it: thousands of messages of strangers read it once.
const readAgain = time.Minute

// whose finds the device that a message is of. Topics have the MAC of its Wi-Fi, which nobody has told Slipway: the name or
// the client id in a message says once whose it is, and that is kept.
type whose struct {
	devices devices
	now     func() time.Time

	mu    sync.Mutex // guards what follows
	names map[string]fleet.DeviceKey
	read  time.Time
}

func (w *whose) find(ctx context.Context, m told) (fleet.DeviceKey, bool, error) {
	key, found, err := w.devices.DeviceOfMAC(m.mac)
	if err != nil {
		return "", false, err
	}
	if found {
		if _, err := w.devices.Device(key); err == nil {
			return key, true, nil
		} else if !errors.Is(err, fleet.ErrUnknown) {
			return "", false, err
		} // it was removed: the MAC may be another one's now
	}
	if key, found, err = w.named(m); err != nil || !found {
		return "", false, err
	}
	return key, true, w.devices.KeepMAC(ctx, m.mac, key)
}

func (w *whose) named(m told) (fleet.DeviceKey, bool, error) {
	if _, key, err := fleet.ParseClientID(m.clientID); err == nil {
		_, err := w.devices.Device(key)
		if errors.Is(err, fleet.ErrUnknown) {
			return "", false, nil
		}
		return key, err == nil, err
	}
	if m.name == "" {
		return "", false, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	key, found := w.names[m.name]
	if !found && w.now().Sub(w.read) >= readAgain {
		names, err := namesOf(w.devices)
		if err != nil {
			return "", false, err
		}
		w.names, w.read = names, w.now()
		key, found = w.names[m.name]
	}
	return key, found && key != "", nil
}

// namesOf are the names by which devices may call themselves; one that two of them have is nobody's.
func namesOf(d devices) (map[string]fleet.DeviceKey, error) {
	names := map[string]fleet.DeviceKey{}
	err := d.EachDevice(func(one fleet.Device) error {
		own := map[string]bool{string(one.Key): true, string(one.Model) + "-" + string(one.Key): true, one.Name: true, configured(one): true}
		delete(own, "")
		for name := range own {
			if _, taken := names[name]; taken {
				names[name] = ""
				continue
			}
			names[name] = one.Key
		}
		return nil
	})
	return names, err
}

// configured is the name that a configuration of its own gives a device.
func configured(d fleet.Device) string {
	var own struct {
		Name string `json:"deviceName"`
	}
	if json.Unmarshal(d.Config, &own) != nil { // it has none, or one of another shape
		return ""
	}
	return own.Name
}
