package deviceapi

import (
	"errors"
	"net/http"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// offeredFirmware is the image that the device is to run. Firmware in the field reads 1 KiB of it, compares versions,
// and closes.
func (d *Door) offeredFirmware(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model) error {
	if goesOn(r) {
		return d.restOfFirmware(w, r, device, model)
	}
	if !d.sized(r, device.Key) {
		d.options.Offers.Turn(r.Context(), device)
	}
	v, ok := d.options.Offers.Offer(device, model)
	if !ok {
		return noFirmware(model)
	}
	return d.image(w, r, device, model, v, false)
}

func noFirmware(m fleet.Model) error {
	return endpoint.Errorf(http.StatusNotFound, "no_firmware", "there is no firmware for model %s yet", m.Code)
}

// sizedFor is how long a HEAD is believed to be the begin of a download: firmware asks for the first range at once.
const sizedFor = 10 * time.Second

// sized reports that a request is for the first range of an image whose size the device has just asked for: esp_https_ota does
// so by HEAD, and counts its ranges by that size. A device whose turn it becomes in between gets it when it comes again.
func (d *Door) sized(r *http.Request, device fleet.DeviceKey) bool {
	if r.Method == http.MethodHead {
		d.headed.Store(device, time.Now())
		return false
	}
	at, asked := d.headed.LoadAndDelete(device)
	return asked && r.Header.Get("Range") != "" && time.Since(at.(time.Time)) < sizedFor
}

// oneFirmware is the image of one version, at an address whose bytes stay the same while its build does.
func (d *Door) oneFirmware(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model) error {
	v, err := fleet.ParseVersion(r.PathValue("version"))
	if err != nil {
		return fleet.Unknown("%v", err)
	}
	taken := d.options.Offers.Taken(device, v)
	if r.Method == http.MethodGet {
		if err := d.options.Offers.Strays(r.Context(), device, v); err != nil {
			return err
		}
	}
	return d.image(w, r, device, model, v, taken)
}

// image answers with an image of a version. Its first byte goes out when it is on record which image it was. taken says that
// the version was taken from the device before, and that it asks for it all the same.
func (d *Door) image(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model, v fleet.Version, taken bool) error {
	image, err := d.options.Images.OpenImage(model, v)
	if err != nil {
		return err
	}
	defer image.File.Close()
	return d.opened(w, r, device, image, taken)
}

// opened is image, of one that is open.
func (d *Door) opened(w http.ResponseWriter, r *http.Request, device fleet.Device, image fleet.Image, taken bool) error {
	forSketch(w, r, image)
	sent := fleet.Sent{Version: image.Version, ETag: image.ETag}
	switch {
	case goesOn(r):
		if before, known, err := d.lastSent(device); err != nil {
			return err
		} else if known && before.Version == sent.Version && before.ETag != sent.ETag {
			return startOver(w, image.Size) // the build was replaced in the middle of its download
		}
	case r.Method == http.MethodGet && r.Header.Get("If-None-Match") != image.ETag:
		d.noteSent(r.Context(), device, sent)
	}
	return d.serve(w, r, device, image, taken)
}

func (d *Door) serve(w http.ResponseWriter, r *http.Request, device fleet.Device, image fleet.Image, taken bool) error {
	defer d.sending.begin(w, device.Model, image.Version)()
	if !taken && d.options.Offers.Taken(device, image.Version) { // since it was offered: Cut came before this answer could be cut
		endpoint.Cut(w)
		return endpoint.Errorf(http.StatusServiceUnavailable, "taken", "version %s was taken back at this moment", image.Version)
	}
	way := d.send(w, r, device, image)
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("ETag", image.ETag)
	h.Set("X-Firmware-Version", string(image.Version))
	h.Set("Cache-Control", "no-cache")
	// Without a time: going back to an older build would look unmodified to whoever asks by time.
	err := endpoint.ServeContent(w, r, time.Time{}, image.Size, image.File)
	way.written()
	var refused *endpoint.Error
	if errors.As(err, &refused) && refused.Status == http.StatusRequestedRangeNotSatisfiable {
		refused.NoBody = true // ESP-IDF 5.5.0 to 5.5.3 takes a 416's body for the first bytes of the image
	}
	return err
}

func (d *Door) firmwareVersion(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model) error {
	d.options.Offers.Turn(r.Context(), device)
	var answer api.OfferedVersion
	if v, ok := d.options.Offers.Offer(device, model); ok {
		answer.Version = &v
	}
	w.Header().Set("Cache-Control", "no-cache")
	return endpoint.WriteJSON(w, http.StatusOK, answer)
}
