package access

import (
	"errors"
	"io/fs"
	"net/http"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Visible turns the house's refusals, and what the kernel says of a disk, into statuses.
func Visible(err error) error {
	err = fleet.OfDisk(err)
	var e *fleet.Error
	if errors.Is(err, fs.ErrPermission) {
		return endpoint.Errorf(http.StatusInternalServerError, "not_permitted",
			"the gateway may not use one of its own files (%v): give it to the user that slipway runs as", err).Because(err)
	}
	if !errors.As(err, &e) {
		return err
	}
	status, code := http.StatusBadRequest, "refused"
	switch {
	case errors.Is(err, fleet.ErrUnknown):
		status, code = http.StatusNotFound, "unknown"
	case errors.Is(err, fleet.ErrTaken):
		status, code = http.StatusConflict, "taken"
	case errors.Is(err, fleet.ErrFull):
		status, code = http.StatusInsufficientStorage, "full"
	case errors.Is(err, fleet.ErrDamaged):
		status, code = http.StatusServiceUnavailable, "damaged"
	case errors.Is(err, fleet.ErrAway):
		away := endpoint.Errorf(http.StatusServiceUnavailable, "away", "%s", err.Error())
		away.Header = http.Header{"Retry-After": {"2"}}
		return away
	}
	return endpoint.Errorf(status, code, "%s", err.Error()).Because(err)
}
