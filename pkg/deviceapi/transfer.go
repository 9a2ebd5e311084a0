package deviceapi

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// way is an image on its way to a device. What arrives of it says whether the device has the image, has only looked at it,
// or lost it in the middle.
type way struct {
	door   *Door
	w      http.ResponseWriter
	answer following
	seen   fleet.Seen

	mu   sync.Mutex // guards what follows
	look *time.Timer
	over bool // the handler is through
}

// following is what becomes of an answer.
type following interface {
	Arrived() int64
	End(tell func(endpoint.Arrival))
}

// lookEvery is how often it is looked whether a device that is sent a whole image in one answer has only looked at it, until it has
// not. Most downloads in a plant take seconds, and a check is over by then.
const lookEvery = 250 * time.Millisecond

// lookedAt bytes have been acknowledged of an answer of which a device may have wanted no more than its first block of 16 KiB: with
// the header, TLS's own bytes, and what its TCP takes in by itself.
const lookedAt = 64 << 10

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
	y := &way{door: d, w: w, answer: endpoint.Follow(w), seen: s}
	if r.Header.Get("Range") == "" && !s.Transfer.NotModified { // the end of each range is told anyway
		y.follow()
	}
	return y
}

// follow tells once that more than the first block has arrived, while the rest is on its way: what a rollout has to know of a
// device must not depend on that the gateway sees the end of the download.
func (y *way) follow() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.look = time.AfterFunc(lookEvery, func() {
		y.mu.Lock()
		defer y.mu.Unlock()
		switch n := y.answer.Arrived(); {
		case y.over:
		case n <= lookedAt:
			y.look.Reset(lookEvery)
		default:
			s, t := y.seen, *y.seen.Transfer
			t.Arrived, t.Going = min(n-lookedAt/2, t.Size), true
			s.At, s.Transfer = y.door.options.Now(), &t
			y.door.options.Sightings.Seen(s)
		}
	})
}

// end has nobody look any more.
func (y *way) end() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.over = true
	if y.look != nil {
		y.look.Stop()
	}
}

// written is called when the handler is through. What has arrived by then is told later, when it is known.
func (y *way) written() {
	if y == nil {
		return
	}
	y.end()
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
