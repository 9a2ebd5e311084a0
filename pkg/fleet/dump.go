package fleet

import (
	"fmt"
	"time"
)

// Dump is one uploaded core dump: the facts of its sidecar, in the sidecar's order.
type Dump struct {
	Chip            string    `json:"chip"`             // as declared by the device
	FirmwareVersion string    `json:"firmware_version"` // as declared by the device
	Device          DeviceKey `json:"device_key"`
	Model           ModelCode `json:"model_code"`
	UploadedAt      time.Time `json:"uploaded_at"` // UTC, microseconds, the time in its name
	Size            int64     `json:"size"`        // bytes
	SHA256          string    `json:"sha256"`
}

// DumpName is the base name of a dump's files: "coredump_<YYYYMMDDTHHMMSS>_<microseconds>Z". Names of one device sort
// by time.
type DumpName string

var dumpNamePattern = pattern(`^coredump_\d{8}T\d{6}_\d{6}Z$`)

// Name is the base name of the dump's files, made of its time.
func (d Dump) Name() DumpName { return NewDumpName(d.UploadedAt) }

// NewDumpName names a dump by its time; what is below a microsecond is cut off.
func NewDumpName(at time.Time) DumpName {
	at = at.UTC()
	return DumpName(fmt.Sprintf("coredump_%s_%06dZ", at.Format("20060102T150405"), at.Nanosecond()/1000))
}

// ParseDumpName refuses what is no dump's base name; ".dmp" and ".json" do not belong to it.
func ParseDumpName(s string) (DumpName, error) {
	if !dumpNamePattern().MatchString(s) {
		return "", Refused("dump name %q: want coredump_<YYYYMMDDTHHMMSS>_<microseconds>Z", clip(s))
	}
	if _, err := DumpName(s).Time(); err != nil {
		return "", Refused("dump name %q has no time", clip(s))
	}
	return DumpName(s), nil
}

// Time is the time in the name, UTC.
func (n DumpName) Time() (time.Time, error) {
	const lead = len("coredump_")
	if len(n) < lead {
		return time.Time{}, fmt.Errorf("dump name %q is too short", string(n))
	}
	return time.Parse("20060102T150405_.000000Z", string(n[lead:lead+16])+"."+string(n[lead+16:]))
}
