package deviceapi

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// What hawkBit's clients tell. Members that are not looked at may be anything.
const (
	mostReport     = 16 << 10 // bytes of a body
	mostDetails    = 8        // lines that are kept
	mostDetail     = 256      // bytes of a line
	mostAttributes = 24
	mostAttribute  = 128 // bytes of a name or a value
)

// feedbackBody is the part of a feedback that is looked at:
//
//	{"status": {"execution": "closed", "result": {"finished": "success"}, "details": ["…"]}}
type feedbackBody struct {
	Status struct {
		Execution string `json:"execution"`
		Result    struct {
			Finished string `json:"finished"`
		} `json:"result"`
		Details []string `json:"details"`
	} `json:"status"`
}

var (
	executions = []string{"closed", "proceeding", "canceled", "scheduled", "rejected", "resumed", "download", "downloaded"}
	finishes   = []string{"success", "failure", "none"}
)

// readFeedback reads a feedback, or says what is wrong with it.
func readFeedback(body []byte) (u fleet.ReportedUpdate, err error) {
	var f feedbackBody
	if err := json.Unmarshal(body, &f); err != nil {
		return u, fleet.Refused("the feedback is not the expected JSON: %v", err)
	}
	u = fleet.ReportedUpdate{Execution: f.Status.Execution, Finished: f.Status.Result.Finished}
	if !slices.Contains(executions, u.Execution) {
		return u, fleet.Refused("status.execution %q: want one of %s", cut(u.Execution), strings.Join(executions, ", "))
	}
	if !slices.Contains(finishes, u.Finished) {
		return u, fleet.Refused("status.result.finished %q: want one of %s", cut(u.Finished), strings.Join(finishes, ", "))
	}
	details := f.Status.Details
	for _, line := range details[max(0, len(details)-mostDetails):] {
		u.Details = append(u.Details, visibleText(line, mostDetail))
	}
	return u, nil
}

func cut(s string) string { return visibleText(s, declaredMost) }

// visibleText is foreign text as it can be shown: printable ASCII, question marks for the rest, cut where it is longer.
func visibleText(s string, most int) string {
	return strings.Map(func(c rune) rune {
		if unprintable(c) {
			return '?'
		}
		return c
	}, s[:min(len(s), most)])
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	return io.ReadAll(http.MaxBytesReader(w, r.Body, mostReport))
}

// feedback takes a device's word on the action that it is offered. It moves nothing: most clients say "success" before they
// restart. hawkBit answers 410 for an action that is over.
func (d *Door) feedback(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	u, err := readFeedback(body)
	if err != nil {
		return err
	}
	offered, found, err := d.offeredAction(device, model)
	if err != nil {
		return err
	}
	if !found || r.PathValue("action") != strconv.Itoa(int(offered.number)) {
		return endpoint.Errorf(http.StatusGone, "action_over", "the action is over: what the device is offered has changed")
	}
	u.Action, u.Version, u.At = offered.number, offered.image.Version, d.options.Now().UTC().Truncate(time.Millisecond)
	return d.takeReport(w, r, device, func(told *fleet.Reported) {
		if before := told.Update; before != nil && before.Action == u.Action && before.Execution == u.Execution && !u.Over() {
			u.At = before.At // it goes on, and each word of that is not worth a write
		}
		told.Update = &u
	})
}

func (d *Door) takeReport(w http.ResponseWriter, r *http.Request, device fleet.Device, change func(*fleet.Reported)) error {
	if err := d.noteReported(r.Context(), device, change); err != nil {
		return err
	}
	return endpoint.Write(w, http.StatusOK, nil)
}

// cancellation names an action that a device works at and that is not what it is offered any more.
func (d *Door) cancellation(w http.ResponseWriter, r *http.Request, device fleet.Device, _ fleet.Model) error {
	told, err := d.reported(device.Key)
	if err != nil {
		return err
	}
	id := r.PathValue("action")
	if told.Update == nil || strconv.Itoa(int(told.Update.Action)) != id {
		return fleet.Unknown("device %s was told of no action %q", device.Key, id)
	}
	var answer struct {
		ID     string `json:"id"`
		Cancel struct {
			Stop string `json:"stopId"`
		} `json:"cancelAction"`
	}
	answer.ID, answer.Cancel.Stop = id, id
	return endpoint.WriteJSON(w, http.StatusOK, answer)
}

// canceled takes a device's answer to a cancellation, whatever it is: the action is over.
func (d *Door) canceled(w http.ResponseWriter, r *http.Request, device fleet.Device, _ fleet.Model) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	u, err := readFeedback(body)
	if err != nil {
		return err
	}
	told, err := d.reported(device.Key)
	if err != nil {
		return err
	}
	if told.Update == nil || strconv.Itoa(int(told.Update.Action)) != r.PathValue("action") {
		return endpoint.Errorf(http.StatusGone, "action_over", "there is nothing to cancel")
	}
	return d.takeReport(w, r, device, func(told *fleet.Reported) {
		if told.Update == nil || told.Update.Over() {
			return
		}
		over := *told.Update
		over.Execution, over.Finished, over.Details, over.At = "canceled", "none", u.Details, d.options.Now().UTC().Truncate(time.Millisecond)
		told.Update = &over
	})
}

// attributesBody is {"mode": "merge", "data": {"name": "value"}}; mode may be missing, replace or remove.
type attributesBody struct {
	Mode string                     `json:"mode"`
	Data map[string]json.RawMessage `json:"data"`
}

// readAttributes applies what a device says of itself to what it has said before; said is only what it says now. A value that is a number or a truth counts as
// it is written, null and what has an inside are refused.
func readAttributes(body []byte, before map[string]string) (now, said map[string]string, err error) {
	var a attributesBody
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, nil, fleet.Refused("the attributes are not the expected JSON: %v", err)
	}
	now, said = map[string]string{}, map[string]string{}
	switch a.Mode {
	case "", "merge", "remove":
		maps.Copy(now, before)
	case "replace":
	default:
		return nil, nil, fleet.Refused("mode %q: want merge, replace or remove", cut(a.Mode))
	}
	for name, raw := range a.Data {
		if a.Mode == "remove" {
			delete(now, name)
			continue
		}
		value, err := attributeValue(raw)
		switch {
		case err != nil:
			return nil, nil, fleet.Refused("attribute %q: %v", cut(name), err)
		case name == "" || len(name) > mostAttribute || strings.ContainsFunc(name, unprintable):
			return nil, nil, fleet.Refused("attribute %q: want a name of 1 to %d printable ASCII bytes", cut(name), mostAttribute)
		}
		now[name], said[name] = value, value
	}
	if len(now) > mostAttributes {
		return nil, nil, fleet.Refused("%d attributes: a device has at most %d", len(now), mostAttributes)
	}
	return now, said, nil
}

func attributeValue(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || strings.ContainsRune("{[n", rune(raw[0])) {
		return "", fleet.Refused("want a text, a number or a truth")
	}
	var s string
	if raw[0] != '"' {
		s = string(raw)
	} else if err := json.Unmarshal(raw, &s); err != nil {
		return "", err
	}
	if len(s) > mostAttribute {
		return "", fleet.Refused("its value has %d bytes, at most %d are kept", len(s), mostAttribute)
	}
	return visibleText(s, mostAttribute), nil
}

// versionNames are attributes by which firmware tells its own version, without regard to case, underscores, hyphens and dots.
// A bare "version" is not among them: it may be that of the board.
var versionNames = []string{"firmwareversion", "fwversion", "swversion", "softwareversion", "appversion"}

// versionIn is the version that attributes tell; "" where they tell none, or more than one.
func versionIn(attributes map[string]string) (version string) {
	for name, value := range attributes {
		name = strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "", " ", "").Replace(name))
		if !slices.Contains(versionNames, name) || value == "" || len(value) > declaredMost {
			continue
		}
		if version != "" && version != value {
			return ""
		}
		version = value
	}
	return version
}

// takeAttributes takes what a device says of itself. An attribute that names its version is its own word of what it runs.
func (d *Door) takeAttributes(w http.ResponseWriter, r *http.Request, device fleet.Device, _ fleet.Model) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	told, err := d.reported(device.Key)
	if err != nil {
		return err
	}
	attributes, said, err := readAttributes(body, told.Attributes)
	if err != nil {
		return err
	}
	if err := d.noteReported(r.Context(), device, func(told *fleet.Reported) { told.Attributes = attributes }); err != nil {
		return err
	}
	version := versionIn(said)
	d.words.Store(device.Key, lastWord{version, d.options.Now()})
	if version != "" {
		s := d.seen(r, device.Key, fleet.HeardVersion)
		s.Said = fleet.Said{Version: version}
		d.options.Sightings.Seen(s)
	}
	return endpoint.Write(w, http.StatusOK, nil)
}
