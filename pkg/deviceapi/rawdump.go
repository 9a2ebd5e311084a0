package deviceapi

import (
	"cmp"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Dumps of clients that declare nothing: neither chip nor version. Both are read from the dump, as of any other, by the worker
// that decodes it; until then, and in the sidecar, they are empty. Nothing is concluded from such a dump about what its device
// runs: that is the declared version's matter.
//
//	ESP-ADF's coredump_upload_service   the image as it lies in flash, as application/octet-stream; only 200 counts
//	esp-crash                           the same in a form's field "file"; whatever is under 500 counts as taken
//
// Sources: coredump_upload_service.c of ESP-ADF, esp_crash_http.c of jimmyw/esp-crash.

const (
	formField = "file"
	formRoom  = 16 << 10 // bytes around the dump: boundaries, headers, a few short fields
	mostParts = 16
	askAgain  = time.Minute
)

// uploadRawDump stores a dump of which nothing is declared; what is declared all the same counts.
func (d *Door) uploadRawDump(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model) error {
	err := d.takeRawDump(w, r, device, model)
	if refused(err) {
		d.options.Sightings.Refused(device.Key, "", d.options.Now())
	}
	return err
}

func (d *Door) takeRawDump(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model) error {
	boundary := formBoundary(r)
	most := d.options.MaxDump
	if boundary != "" {
		most += formRoom
	}
	if err := d.mayUpload(r, most); err != nil {
		return err
	}
	body, size := io.Reader(r.Body), r.ContentLength
	if boundary != "" {
		part, err := dumpIn(http.MaxBytesReader(w, r.Body, most), boundary)
		if err != nil {
			return err
		}
		body, size = part, -1
	}
	return d.landDump(w, r, device, model, fleet.Dump{}, body, size, http.StatusOK)
}

// formBoundary is what parts of a form are separated by; "" of a body that is no form.
func formBoundary(r *http.Request) string {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return ""
	}
	return parameters["boundary"]
}

// dumpIn finds the dump in a form: the field "file". Its bytes are still to be read.
func dumpIn(form io.Reader, boundary string) (io.Reader, error) {
	parts := multipart.NewReader(form, boundary)
	for range mostParts {
		part, err := parts.NextRawPart() // as it was sent: no transfer encoding is looked at
		if errors.Is(err, io.EOF) {
			break
		}
		var network *http.MaxBytesError
		if errors.As(err, &network) {
			return nil, err
		}
		if err != nil {
			return nil, cmp.Or(cutOff(err), fleet.Refused("the form cannot be read: %v", err))
		}
		if part.FormName() == formField {
			return part, nil
		}
	}
	return nil, fleet.Refused("the form has no field %q", formField)
}

// cutOff is an error of a body that ended in its middle; nil of others.
func cutOff(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return nil
}

// keptBySender refuses a form in a way after which its sender keeps the dump: esp-crash erases it for any answer under 500. What
// can never be taken, and who shows nothing at all and is to be asked for it, is answered as ever.
func keptBySender(h endpoint.Handler) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		var said *endpoint.Error
		if !errors.As(err, &said) || formBoundary(r) == "" {
			return err
		}
		shown := r.Header.Get("Authorization") != "" || strings.HasPrefix(below(r), "/d/")
		if said.Status != http.StatusTooManyRequests && said.Status != http.StatusNotFound && (said.Status != http.StatusUnauthorized || !shown) {
			return err
		}
		wait := later(http.StatusServiceUnavailable, said.Code, said.Message, askAgain)
		return wait.Because(err)
	}
}
