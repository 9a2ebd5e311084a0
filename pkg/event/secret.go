package event

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// blank stands where a secret was.
const blank = "…"

// secretWords are what members that hold secrets are called, or have in their names.
var secretWords = []string{"password", "passwd", "passphrase", "secret", "token", "key", "psk", "credential", "auth", "private"}

// Configuration is a configuration as an event may show it: the values of members that are named like a secret are
// blanked, whatever they are. One that cannot be read, or is not set, is nil.
func Configuration(raw json.RawMessage) any {
	var v any
	if raw == nil || json.Unmarshal(raw, &v) != nil {
		return nil
	}
	return blanked(v)
}

func blanked(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if namedLikeASecret(name) {
				v[name] = blank
			} else {
				v[name] = blanked(value)
			}
		}
	case []any:
		for i := range v {
			v[i] = blanked(v[i])
		}
	case string:
		return inAddress().ReplaceAllString(v, "://"+blank+"@")
	}
	return v
}

// inAddress is user and password within an address, such as mqtt://user:password@broker.
var inAddress = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`://[^/@\s]+@`) })

func namedLikeASecret(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(name, word) })
}

// ChangedNames are the names whose values differ, sorted: provisioning is told of without its values.
func ChangedNames(before, after map[string]string) []string {
	names := map[string]bool{}
	for name, value := range after {
		if old, there := before[name]; !there || old != value {
			names[name] = true
		}
	}
	for name := range before {
		if _, there := after[name]; !there {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
