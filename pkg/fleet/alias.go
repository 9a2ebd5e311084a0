package fleet

import (
	"slices"
	"strings"
)

// Alias is a name by which a device calls itself in a protocol that has ids of its own, such as hawkBit's controller id. It
// says which device is meant; who that is only credentials show.
type Alias string

const (
	// MostAliases bounds what one device may be called: a MAC, a serial number and an id of a protocol or two.
	MostAliases = 4
	mostAlias   = 128 // bytes
)

// ParseAlias refuses what is no alias, quoting it: 1 to 128 printable ASCII characters without space and slash. hawkBit's
// ids have no space either; a slash would end one in the middle of an address.
func ParseAlias(s string) (Alias, error) {
	bad := func(c rune) bool { return c <= ' ' || c > '~' || c == '/' }
	if s == "" || len(s) > mostAlias || strings.ContainsFunc(s, bad) || s == "." || s == ".." {
		return "", Refused("alias %q: want 1 to %d printable ASCII characters without space and slash", clip(s), mostAlias)
	}
	return Alias(s), nil
}

// ParseAliases sorts aliases and leaves out what is there twice.
func ParseAliases(aliases []string) ([]Alias, error) {
	var parsed []Alias
	for _, s := range aliases {
		a, err := ParseAlias(s)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, a)
	}
	slices.Sort(parsed)
	if parsed = slices.Compact(parsed); len(parsed) > MostAliases {
		return nil, Refused("%d aliases: a device has at most %d", len(parsed), MostAliases)
	}
	return parsed, nil
}
