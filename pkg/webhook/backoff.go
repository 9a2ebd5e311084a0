package webhook

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// How long a receiver that fails is tried. A day alone would not do: a clock that jumps ahead, and a gateway that was
// switched off, make a day of a minute. Twenty tries take four hours at least, whatever the clock says.
const (
	firstWait  = 5 * time.Second
	longest    = time.Hour
	patience   = 24 * time.Hour
	leastTries = 20
)

// wait is how long to wait after so many failures in a row: doubled up to an hour, and between half and all of that, so
// that receivers which come back are not met by all gateways at once.
func wait(failures int, asked time.Duration) time.Duration {
	full := longest
	if n := failures - 1; n < 10 {
		full = min(firstWait<<max(n, 0), longest)
	}
	return max(full/2+rand.N(full/2+1), min(asked, longest))
}

// failed notes a failure in a row of deliveries.
func failed(d fleet.WebhookDelivery, now time.Time, why string) fleet.WebhookDelivery {
	if d.Failures == 0 || d.FailingSince.IsZero() || d.FailingSince.After(now) {
		d.FailingSince = now
	}
	d.Failures++
	d.FailedAt, d.Failure = now, why
	return d
}

// hopeless reports that a receiver has failed for so long that nobody is there.
func hopeless(d fleet.WebhookDelivery, now time.Time) bool {
	return d.Failures >= leastTries && now.Sub(d.FailingSince) >= patience
}

// retryAfter reads the header of that name: seconds, or a date. What it is not is nothing.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, longest)
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(min(at.Sub(now), longest), 0)
	}
	return 0
}
