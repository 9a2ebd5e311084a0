package fleet

import (
	"slices"
)

// MostLabels bounds what one device may be labelled with.
const MostLabels = 8

var placePattern = pattern(`^[a-z0-9_.-]{1,32}$`)

// CheckLine refuses what is no name of a line; "" is none, and the network that the device comes from stands for it.
func CheckLine(line string) error {
	if line != "" && !placePattern().MatchString(line) {
		return Refused("line %q: want 1 to 32 of a-z, 0-9, _, . and -", clip(line))
	}
	return nil
}

// ParseLabels sorts labels and leaves out what is there twice.
func ParseLabels(labels []string) ([]string, error) {
	labels = slices.Compact(slices.Sorted(slices.Values(labels)))
	if len(labels) > MostLabels {
		return nil, Refused("%d labels: a device has at most %d", len(labels), MostLabels)
	}
	for _, label := range labels {
		if !placePattern().MatchString(label) {
			return nil, Refused("label %q: want 1 to 32 of a-z, 0-9, _, . and -", clip(label))
		}
	}
	return labels, nil
}
