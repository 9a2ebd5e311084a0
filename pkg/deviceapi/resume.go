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
	sent, known, err := d.lastSent(device)
	if err != nil {
		return err
	}
	if !known || d.options.Offers.Taken(device, sent.Version) {
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
	return d.serve(w, r, device, image, false)
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

// unnoted is an image that was sent while nothing could be noted, and what was known then. Whatever has since become of the
// record or the device may have taken that image from it: then nothing is known, and the download starts over.
type unnoted struct {
	sent   fleet.Sent
	record fleet.Sent // the zero one for none
	device fleet.Device
}

func (u unnoted) holds(record fleet.Sent, now fleet.Device) bool {
	was := u.device
	return u.record == record && was.Model == now.Model && was.Pin == now.Pin && was.CreatedAt.Equal(now.CreatedAt) && was.NotBefore.Equal(now.NotBefore)
}

func (d *Door) lastSent(device fleet.Device) (fleet.Sent, bool, error) {
	record, known, err := d.options.Offers.LastSent(device.Key)
	if err != nil {
		return fleet.Sent{}, false, err
	}
	if u, ok := d.unnoted.Load(device.Key); ok {
		u := u.(unnoted)
		return u.sent, u.holds(record, device), nil
	}
	return record, known, nil
}

// noteSent is on stable storage before the first byte goes out. On a disk that takes nothing firmware is served all the
// same, and the door remembers by itself, until the gateway ends.
func (d *Door) noteSent(ctx context.Context, device fleet.Device, s fleet.Sent) {
	err := d.options.Offers.NoteSent(ctx, device.Key, s)
	if err == nil {
		d.unnoted.Delete(device.Key)
		return
	}
	if record, _, err := d.options.Offers.LastSent(device.Key); err == nil {
		d.unnoted.Store(device.Key, unnoted{s, record, device})
		return
	}
	d.unnoted.Store(device.Key, unnoted{}) // whatever the record says, it is not what is sent now: holds for nobody
}
