package config

import (
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// find is the setting of a key.
func find(key string) *Setting {
	for i := range Settings {
		if Settings[i].Key == key {
			return &Settings[i]
		}
	}
	return nil
}

// settingOf is the setting of a key, or the table that it is in.
func settingOf(key string) *Setting {
	if s := find(key); s != nil {
		return s
	}
	for i := range Settings {
		if s := &Settings[i]; s.Table && strings.HasPrefix(key, s.Key+".") && len(key) > len(s.Key)+1 {
			return s
		}
	}
	return nil
}

// section reports that settings lie below a key.
func section(key string) bool {
	return slices.ContainsFunc(Settings, func(s Setting) bool { return strings.HasPrefix(s.Key, key+".") })
}

func unknownKey(key, source string) error {
	return &Error{Key: key, Source: source, Reason: "unknown setting; the nearest is " + nearest(key)}
}

// nearest is the setting that was most probably meant.
func nearest(key string) string {
	return slices.MinFunc(Settings, func(a, b Setting) int {
		return levenshtein.ComputeDistance(key, a.Key) - levenshtein.ComputeDistance(key, b.Key)
	}).Key
}
