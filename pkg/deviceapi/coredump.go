package deviceapi

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// declaredMost bounds chip and firmware_version, in bytes.
const declaredMost = 64

// uploadDump stores a dump. Any bytes are one. Everything that can be known without the body is checked before it is
// read; for firmware in the field, which erases its dump whatever the answer, each refusal is a lost dump. So one that
// comes while the gateway is shutting down is taken, too: requests in flight have the time for it.
func (d *Door) uploadDump(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model) error {
	err := d.takeDump(w, r, device, model)
	if refused(err) {
		d.options.Sightings.Refused(device.Key, asWritten(r.URL.RawQuery)["firmware_version"], d.options.Now())
	}
	return err
}

// refused reports that the gateway did not want a dump, or had no room for it. One whose device went away in the middle was
// not refused.
func refused(err error) bool {
	var said *endpoint.Error
	return errors.As(err, &said) || errors.Is(fleet.OfDisk(err), fleet.ErrFull)
}

func (d *Door) takeDump(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model) error {
	dump, err := d.declared(r)
	if err != nil {
		return err
	}
	return d.landDump(w, r, device, model, dump, r.Body, r.ContentLength, http.StatusCreated)
}

// landDump has a dump stored, and answers with a status where it is.
func (d *Door) landDump(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model, dump fleet.Dump, body io.Reader, size int64, done int) error {
	dump.Device, dump.Model = device.Key, model.Code
	if wait := d.uploads.take(device.Key, d.options.Now()); wait > 0 {
		return later(http.StatusTooManyRequests, "too_many_dumps", "the device uploads too often", wait)
	}
	stored, err := d.options.Dumps.Write(r.Context(), dump, body, size)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, done, struct {
		Status   string `json:"status"`
		Filename string `json:"filename"`
	}{"ok", string(stored.Name()) + ".dmp"})
}

// declared is what the request says of its dump, checked.
func (d *Door) declared(r *http.Request) (fleet.Dump, error) {
	said := asWritten(r.URL.RawQuery)
	chip, err := printable("chip", said["chip"])
	if err != nil {
		return fleet.Dump{}, err
	}
	version, err := printable("firmware_version", said["firmware_version"])
	if err != nil {
		return fleet.Dump{}, err
	}
	return fleet.Dump{Chip: chip, FirmwareVersion: version}, d.mayUpload(r, d.options.MaxDump)
}

// mayUpload looks at what can be known of a body of at most so many bytes before it is read.
func (d *Door) mayUpload(r *http.Request, most int64) error {
	switch {
	case d.options.Dumps == nil:
		return endpoint.Errorf(http.StatusBadRequest, "dumps_off", "core dumps are not configured on this gateway")
	case r.ContentLength == 0:
		return endpoint.Errorf(http.StatusBadRequest, "body_missing", "the body is empty")
	case r.ContentLength > most:
		return endpoint.Errorf(http.StatusBadRequest, "dump_too_large", "the dump is larger than %d bytes", d.options.MaxDump)
	}
	return nil
}

// asWritten reads a query as firmware writes it: its version is free text that goes into the address as it is. So a plus
// is a plus, a semicolon ends nothing, a percent sign that begins no escape is one, and an ampersand with no name and
// equals sign behind it belongs to the value. The first of a name counts.
func asWritten(query string) map[string]string {
	said := map[string]string{}
	last := "" // the name whose value goes on
	for part := range strings.SplitSeq(query, "&") {
		name, value, named := strings.Cut(part, "=")
		if !named && last != "" {
			said[last] += "&" + unescape(part)
			continue
		}
		last = ""
		name = unescape(name)
		if _, twice := said[name]; !twice {
			said[name] = unescape(value)
			last = name
		}
	}
	return said
}

// unescape decodes the escapes that are escapes and leaves everything else.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if b, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				out = append(out, b[0])
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

func printable(name, value string) (string, error) {
	var fault string
	switch {
	case value == "":
		fault = "is missing"
	case len(value) > declaredMost:
		fault = fmt.Sprintf("is longer than %d bytes", declaredMost)
	case strings.ContainsFunc(value, unprintable):
		fault = "is not printable ASCII"
	default:
		return value, nil
	}
	e := endpoint.Errorf(http.StatusBadRequest, "bad_parameter", "%s %s", name, fault)
	e.Details = map[string]any{"parameter": name}
	return "", e
}

// later is a refusal that says when to come again.
func later(status int, code, message string, wait time.Duration) *endpoint.Error {
	e := endpoint.Errorf(status, code, "%s", message)
	e.Header = http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(wait.Seconds())))}}
	return e
}
