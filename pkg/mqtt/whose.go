package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// devices is what the package needs of the catalog.
type devices interface {
	Device(fleet.DeviceKey) (fleet.Device, error)
	EachDevice(yield func(fleet.Device) error) error
	DeviceOfMAC(mac string) (key fleet.DeviceKey, found bool, err error)
	// KeepMAC notes the MAC of a device, which has one: the one before is forgotten.
	KeepMAC(ctx context.Context, mac string, key fleet.DeviceKey) error
}

const (
	readAgain = time.Minute // how old the list of names may be: thousands of messages of strangers read it once
	keepAgain = time.Minute // between two MACs of one device: whoever makes up thousands with its name writes once
)

// whose finds the device that a message is of. Topics have the MAC of its Wi-Fi, which nobody has told Slipway: the name or
// the client id in a message says once whose it is, and that is kept.
type whose struct {
	devices devices
	now     func() time.Time

	mu    sync.Mutex // guards what follows
	names map[string]fleet.DeviceKey
	read  time.Time
	kept  map[fleet.DeviceKey]time.Time // the MACs of the last minute
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
	if !w.mayKeep(key) {
		return key, true, nil
	}
	return key, true, w.devices.KeepMAC(ctx, m.mac, key)
}

// mayKeep reports that no MAC of the device was kept within the last minute.
func (w *whose) mayKeep(key fleet.DeviceKey) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	maps.DeleteFunc(w.kept, func(_ fleet.DeviceKey, at time.Time) bool { return now.Sub(at) >= keepAgain })
	if _, lately := w.kept[key]; lately {
		return false
	}
	w.kept[key] = now
	return true
}

// named is the device that a message names, if it is there and still has that name.
func (w *whose) named(m told) (fleet.DeviceKey, bool, error) {
	_, key, err := fleet.ParseClientID(m.clientID)
	byID := err == nil
	if !byID {
		if key, err = w.byName(m.name); err != nil || key == "" {
			return "", false, err
		}
	}
	d, err := w.devices.Device(key)
	if errors.Is(err, fleet.ErrUnknown) {
		return "", false, nil
	}
	return key, err == nil && (byID || namesOf(d)[m.name]), err
}

// byName is the device that had a name when the list was read, "" for none.
func (w *whose) byName(name string) (fleet.DeviceKey, error) {
	if name == "" {
		return "", nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now().Sub(w.read) >= readAgain {
		names, err := allNames(w.devices)
		if err != nil {
			return "", err
		}
		w.names, w.read = names, w.now()
	}
	return w.names[name], nil
}

// allNames are the names by which devices may call themselves; one that two of them have is nobody's.
func allNames(d devices) (map[string]fleet.DeviceKey, error) {
	names := map[string]fleet.DeviceKey{}
	err := d.EachDevice(func(one fleet.Device) error {
		for name := range namesOf(one) {
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

// namesOf are those of one device.
func namesOf(d fleet.Device) map[string]bool {
	own := map[string]bool{string(d.Key): true, string(d.Model) + "-" + string(d.Key): true, d.Name: true, configured(d): true}
	delete(own, "")
	return own
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
