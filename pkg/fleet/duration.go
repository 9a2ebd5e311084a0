package fleet

import "time"

// Duration is a time span that JSON has as Go writes it, such as "30m".
type Duration time.Duration

// Of is it as a time.Duration.
func (d Duration) Of() time.Duration { return time.Duration(d) }

// String writes "30m0s" as "30m".
func (d Duration) String() string { return short(time.Duration(d)) }

// MarshalText writes what people read.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	span, err := time.ParseDuration(string(text))
	if err != nil {
		return Refused("%q is no duration: want such as 30m or 12h", clip(string(text)))
	}
	*d = Duration(span)
	return nil
}

// short leaves out the units that are zero at the end.
func short(d time.Duration) string {
	s := d.String()
	if n := len(s); n > 2 && s[n-2:] == "0s" && (s[n-3] == 'm') {
		s = s[:n-2]
	}
	if n := len(s); n > 2 && s[n-2:] == "0m" && s[n-3] == 'h' {
		s = s[:n-2]
	}
	return s
}
