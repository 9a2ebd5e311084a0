package deviceapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// goesOn reports that a request is for the rest of an image: its first range does not start at 0. With If-Range a client
// says itself whose rest it wants, and gets the whole of another one; no firmware in the field sends it.
func goesOn(r *http.Request) bool {
	ranges, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if !ok || r.Header.Get("If-Range") != "" {
		return false
	}
	first, _, _ := strings.Cut(ranges, ",")
	start, _, found := strings.Cut(strings.TrimSpace(first), "-")
	return found && strings.TrimLeft(strings.TrimSpace(start), "0") != "" || strings.HasPrefix(strings.TrimSpace(first), "-")
}

// restOfFirmware goes on with the image that the device was sent the first byte of, whatever it is offered now: the first
// half of one build and the second half of another are a dead device. Where that image is gone, or was taken from the
// device, the download starts over.
func (d *Door) restOfFirmware(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model) error {
	sent, known, err := d.lastSent(device.Key)
	if err != nil {
		return err
	}
	if !known {
		return startOver(w, d.offeredSize(device, model))
	}
	image, err := d.options.Images.OpenImage(model, sent.Version)
	if errors.Is(err, fleet.ErrUnknown) {
		return startOver(w, d.offeredSize(device, model))
	}
	if err != nil {
		return err
	}
	defer image.File.Close()
	if image.ETag != sent.ETag {
		return startOver(w, image.Size)
	}
	return d.serve(w, r, device, image)
}

// offeredSize is the size in bytes of what the device will be sent when it starts over, 0 where that is nothing.
func (d *Door) offeredSize(device fleet.Device, model fleet.Model) int64 {
	v, ok := d.options.Offers.Offer(device, model)
	if !ok {
		return 0
	}
	image, err := d.options.Images.OpenImage(model, v)
	if err != nil {
		return 0
	}
	defer image.File.Close()
	return image.Size
}

// startOver is a 416 without a body: of size bytes, none is the next one of what the device has.
func startOver(w http.ResponseWriter, size int64) error {
	w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", size))
	return &endpoint.Error{
		Status: http.StatusRequestedRangeNotSatisfiable, Code: "start_over", NoBody: true,
		Message: "what the device has the beginning of is not here any more",
	}
}

func (d *Door) lastSent(key fleet.DeviceKey) (fleet.Sent, bool, error) {
	if s, ok := d.unnoted.Load(key); ok {
		return s.(fleet.Sent), true, nil
	}
	return d.options.Offers.LastSent(key)
}

// noteSent is on stable storage before the first byte goes out. On a disk that takes nothing firmware is served all the
// same, and the door remembers by itself, until the gateway ends.
func (d *Door) noteSent(ctx context.Context, key fleet.DeviceKey, s fleet.Sent) {
	if err := d.options.Offers.NoteSent(ctx, key, s); err != nil {
		d.unnoted.Store(key, s)
		return
	}
	d.unnoted.Delete(key)
}
