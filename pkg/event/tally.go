package event

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// mostSources are named in one round: strangers with an address range of their own must not flush the log.
const mostSources = 8

// mostCounted sources are kept apart until then.
const mostCounted = 1024

// Tally counts what strangers fail at, by where they come from: an IPv4 address, or the /64 of an IPv6 one. Whoever calls
// Tell once a minute makes one event of it a minute and source. The zero one has counted nothing.
type Tally struct {
	mu       sync.Mutex // guards what follows
	failures map[string]int
	others   int
}

// Count counts a failure of whoever is at an address with a port.
func (t *Tally) Count(remote string) {
	source := Source(remote)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failures == nil {
		t.failures = map[string]int{}
	}
	if _, known := t.failures[source]; !known && len(t.failures) >= mostCounted {
		t.others++
		return
	}
	t.failures[source]++
}

// Source is what a remote address with a port is counted under.
func Source(remote string) string {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return "unknown"
	}
	address := at.Addr().Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	prefix, err := address.Prefix(64)
	if err != nil {
		return address.String()
	}
	return prefix.String()
}

// Tell calls tell for what was counted since it was called last: for the sources with most failures, and once for all
// others together.
func (t *Tally) Tell(tell func(source fleet.Object, failures int) error) error {
	t.mu.Lock()
	failures, others := t.failures, t.others
	t.failures, t.others = nil, 0
	t.mu.Unlock()
	sources := slices.SortedFunc(maps.Keys(failures), func(a, b string) int {
		return cmp.Or(failures[b]-failures[a], strings.Compare(a, b))
	})
	for i, source := range sources {
		if i >= mostSources {
			others += failures[source]
			continue
		}
		if err := tell(fleet.Object{Type: "source", ID: source}, failures[source]); err != nil {
			return err
		}
	}
	if others == 0 {
		return nil
	}
	return tell(fleet.Object{Type: "source", ID: "others"}, others)
}
