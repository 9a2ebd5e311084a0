package fleet

import (
	"maps"
	"slices"
	"time"
)

// Reported is what a device has told by hawkBit's protocol, where that has words which others do not: of its last update, and
// of itself. It is shown to people. Of what the device runs it proves nothing: clients tell of a success before they restart.
type Reported struct {
	Update     *ReportedUpdate   `json:"update,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// ReportedUpdate is a device's last word on an update.
type ReportedUpdate struct {
	Action    int32     `json:"action"` // as it was told to the device; a build has one number for as long as its bytes are the same
	Version   Version   `json:"version"`
	Execution string    `json:"execution"` // closed, proceeding, scheduled, resumed, rejected, canceled, download or downloaded
	Finished  string    `json:"finished"`  // success, failure or none
	Details   []string  `json:"details,omitempty"`
	At        time.Time `json:"at"` // of what goes on, when it began
}

// Over reports that the device does nothing more for the update.
func (u *ReportedUpdate) Over() bool {
	return u != nil && slices.Contains([]string{"closed", "rejected", "canceled"}, u.Execution)
}

// Same reports that nothing is new, but for details of what goes on.
func (r Reported) Same(o Reported) bool {
	if r.Update == nil || o.Update == nil {
		return r.Update == o.Update && maps.Equal(r.Attributes, o.Attributes)
	}
	a, b := r.Update, o.Update
	return a.Action == b.Action && a.Execution == b.Execution && a.Finished == b.Finished && a.At.Equal(b.At) && maps.Equal(r.Attributes, o.Attributes)
}
