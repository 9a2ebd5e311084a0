package deviceapi

import (
	"net/http"
	"sync"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// sending are the images that are on their way, so that a rollout that halts can end them in the same moment.
type sending struct {
	mu  sync.Mutex // guards all
	all map[*answer]bool
}

// answer is one of them.
type answer struct {
	w       http.ResponseWriter
	model   fleet.ModelCode
	version fleet.Version
}

// begin notes an image that is about to be sent; end is called when it is written.
func (s *sending) begin(w http.ResponseWriter, model fleet.ModelCode, v fleet.Version) (end func()) {
	a := &answer{w, model, v}
	s.mu.Lock()
	if s.all == nil {
		s.all = map[*answer]bool{}
	}
	s.all[a] = true
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		delete(s.all, a)
		s.mu.Unlock()
	}
}

// Cut ends all connections that are sending a build, at once: what the kernel holds of it is thrown away. Ending the handler
// would still deliver that.
func (d *Door) Cut(model fleet.ModelCode, v fleet.Version) {
	d.sending.mu.Lock()
	defer d.sending.mu.Unlock()
	for a := range d.sending.all {
		if a.model == model && a.version == v {
			endpoint.Cut(a.w)
		}
	}
}
