package deviceapi

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// seen is what a request shows about a device that is known.
func (d *Door) seen(r *http.Request, key fleet.DeviceKey, by fleet.HeardBy) fleet.Seen {
	s := fleet.Seen{Device: key, At: d.options.Now(), By: by, Agent: r.UserAgent(), Said: saidBy(r.Header)}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		s.Address = peer.Addr()
	}
	return s
}

// saidBy is what a device says of itself, on any request:
//
//	X-Running-Version      the version that it runs
//	X-Running-ELF-SHA256   hex, the whole hash of its ELF or as much as its log shows of it
//	X-Boot-ID              any text that is new at each boot
//	X-Reset-Reason         why it has restarted: see [fleet.ResetReason]
//	X-OTA-State            the state of its image: see [fleet.OTAState]
//
// and what Arduino's HTTPUpdate says of its sketch: see [sketchOf]. What is longer than 64 bytes or not printable is as good as
// not said.
func saidBy(h http.Header) fleet.Said {
	s := fleet.Said{
		Version: word(h, "X-Running-Version"), ELFSHA256: hexWord(h, "X-Running-Elf-Sha256"), BootID: word(h, "X-Boot-Id"),
		Reset: fleet.ParseResetReason(word(h, "X-Reset-Reason")), OTAState: fleet.ParseOTAState(word(h, "X-Ota-State")),
	}
	sketch := sketchOf(h)
	s.Sketch = sketch.hash()
	if s.Version == "" {
		s.Version = sketch.version
	}
	return s
}

// word is a header's value, "" where it is none that a device would say. The name is in canonical form.
func word(h http.Header, name string) string {
	values := h[name]
	if len(values) != 1 || len(values[0]) > declaredMost || strings.ContainsFunc(values[0], unprintable) {
		return ""
	}
	return values[0]
}

// leastHex are the digits that a hash shows at least: ESP-IDF's log has nine, a dump eight.
const leastHex = 8

// hexWord is a word of hexadecimal digits, in lower case.
func hexWord(h http.Header, name string) string {
	s := strings.ToLower(word(h, name))
	if len(s) < leastHex || strings.Trim(s, "0123456789abcdef") != "" {
		return ""
	}
	return s
}

func unprintable(c rune) bool { return c < ' ' || c > '~' }
