package deviceapi

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// way is an image on its way to a device. What arrives of it says whether the device has the image, has only looked at it,
// or lost it in the middle.
type way struct {
	door   *Door
	w      http.ResponseWriter
	answer *endpoint.Following
	seen   fleet.Seen
}

// send is called before the first byte of an answer is written.
func (d *Door) send(w http.ResponseWriter, r *http.Request, device fleet.Device, image fleet.Image) *way {
	if r.Method != http.MethodGet {
		return nil
	}
	s := d.seen(r, device.Key, fleet.HeardFirmware)
	s.Said = fleet.Said{} // it was told with the request: by the time that the last byte arrives it may say another thing
	s.Transfer = &fleet.Transfer{
		Version: image.Version, Size: image.Size, To: image.Size, Begun: s.At,
		NotModified: r.Header.Get("If-None-Match") == image.ETag,
	}
	return &way{d, w, endpoint.Follow(w), s}
}

// written is called when the handler is through. What has arrived by then is told later, when it is known.
func (y *way) written() {
	if y == nil {
		return
	}
	t := y.seen.Transfer
	if t.NotModified {
		y.door.options.Sightings.Seen(y.seen)
		return
	}
	if strings.HasPrefix(y.w.Header().Get("Content-Type"), "multipart/") { // several ranges in one answer: how much of which is not known
		return
	}
	if part := y.w.Header().Get("Content-Range"); part != "" {
		if n, _ := fmt.Sscanf(part, "bytes %d-%d/", &t.From, &t.To); n != 2 { // none: 416
			return
		}
		t.To++
	}
	y.answer.End(func(a endpoint.Arrival) {
		t.Arrived = min(a.Bytes, t.To-t.From) // the header and TLS's own bytes are a few hundred more than arrived of the image
		if t.Whole = a.Whole; t.Whole {
			t.Arrived = t.To - t.From
		}
		y.seen.At = y.door.options.Now().Add(-a.Ago) // a device that fell silent meanwhile was heard then, and not now
		y.door.options.Sightings.Seen(y.seen)
	})
}
