package crash

import (
	"bytes"
	"compress/gzip"
	"io"
	"time"
)

// unsynced is how long before a stop in order a report may have been made that the disk did not have yet.
const unsynced = 5 * time.Minute

// withoutReport finds the dumps that were decoded and whose report cannot be read: it is not synced, so that a power cut
// soon after leaves an empty file, or none, beside a record that lasts. What is older than the last stop in order is on
// the disk, so that a start after one reads next to nothing.
func (t *Triage) withoutReport() ([]Crash, error) {
	var lost []Crash
	for _, state := range []State{Reported, Missing} {
		some, err := t.options.Store.CrashesIn(state, func(c Crash) bool {
			if c.DecodedAt.Before(t.options.CleanStop.Add(-unsynced)) {
				return false
			}
			t.options.Beat()
			packed, err := t.options.Files.ReadReport(c.Device, c.Name)
			return gone(err) || err == nil && !whole(packed)
		})
		if err != nil {
			return nil, err
		}
		lost = append(lost, some...)
	}
	if len(lost) > 0 {
		t.options.Logger.Info("reports are made again", "dumps", len(lost))
	}
	return lost, nil
}

// whole reports that packed can be unpacked to its checksum.
func whole(packed []byte) bool {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, z)
	return err == nil
}
