package fleet

// Word is what the rollouts of a device's model say of it.
type Word struct {
	Rollout Version // it is its turn to get this one; "": it is in no rollout, or waits
	Stick   Version // it was sent this one whole, and nothing has ended that since
}

// OfferTo is the build that a device is to run; ok is false where there is none. Whatever names a version to a device
// asks this function, and nothing else decides: firmware in the field installs what differs from what it runs.
func OfferTo(d Device, m Model, w Word) (v Version, ok bool) {
	switch {
	case d.Revoked:
		return "", false
	case d.Pin != "":
		return d.Pin, true
	case w.Rollout != "":
		return w.Rollout, true
	case w.Stick != "":
		return w.Stick, true
	}
	return m.FirmwareVersion, m.FirmwareVersion != ""
}

// Sent is the image whose first byte a device was sent last. It says which bytes a download goes on with.
type Sent struct {
	Version Version `json:"version"`
	ETag    string  `json:"etag"` // of its bytes: a build may be replaced
}
