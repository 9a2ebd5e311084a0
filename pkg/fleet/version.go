package fleet

import (
	"cmp"
	"strings"
)

// Version names a build of a model, as the image's app descriptor has it. It is part of file names and addresses.
type Version string

// The app descriptor has 32 bytes for it; the first byte may not be a dot, so that no name is hidden or climbs.
var versionPattern = pattern(`^[A-Za-z0-9][A-Za-z0-9._+~-]{0,31}$`)

// ParseVersion refuses a version that could not be a file name, quoting it.
func ParseVersion(s string) (Version, error) {
	if s == "" {
		return "", Refused("the image's version is empty")
	}
	if !versionPattern().MatchString(s) {
		return "", Refused("version %q: want 1 to 32 of letters, digits and . _ + ~ -, a letter or digit first", clip(s))
	}
	return Version(s), nil
}

// order is a version taken apart: v1.2.0-rc1-56-g30082bf-dirty has numbers 1 2 0, pre rc1, commits 56, dirty.
type order struct {
	numbers []string // digits without leading zeros
	pre     string   // semver pre-release, "" for none
	commits string   // git describe's commit count, digits without leading zeros
	dirty   bool
}

var orderPattern = pattern(`^v?(\d+(?:\.\d+)*)(?:-(.+?))??(?:-(\d+)-g[0-9a-f]{4,40})?(-dirty)?(?:\+.*)?$`)

func parseOrder(v Version) (order, bool) {
	m := orderPattern().FindStringSubmatch(string(v))
	if m == nil {
		return order{}, false
	}
	o := order{pre: m[2], commits: digits(m[3]), dirty: m[4] != ""}
	for n := range strings.SplitSeq(m[1], ".") {
		o.numbers = append(o.numbers, digits(n))
	}
	return o, true
}

// CompareVersions orders two versions of one model: the dotted numbers after an optional v (missing ones are 0),
// a semver pre-release before its release, git describe's commit count after the tag, -dirty last. Where that does not
// parse or does not decide it says so, and the caller takes the order of acceptance.
func CompareVersions(a, b Version) (sign int, decided bool) {
	x, okX := parseOrder(a)
	y, okY := parseOrder(b)
	if !okX || !okY {
		return 0, false
	}
	sign = cmp.Or(
		compareLists(x.numbers, y.numbers),
		comparePre(x.pre, y.pre),
		compareDigits(x.commits, y.commits),
		compareBool(x.dirty, y.dirty),
	)
	return sign, sign != 0 || a == b
}

// comparePre is semver's rule 11: a release is after its pre-releases, numeric identifiers before others, fewer first.
func comparePre(a, b string) int {
	if a == "" || b == "" {
		return compareBool(a == "", b == "")
	}
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		an, bn := numeric(as[i]), numeric(bs[i])
		sign := compareBool(!an, !bn)
		if an && bn {
			sign = compareDigits(digits(as[i]), digits(bs[i]))
		} else if sign == 0 {
			sign = strings.Compare(as[i], bs[i])
		}
		if sign != 0 {
			return sign
		}
	}
	return cmp.Compare(len(as), len(bs))
}

func compareLists(a, b []string) int {
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if sign := compareDigits(x, y); sign != 0 {
			return sign
		}
	}
	return 0
}

// compareDigits compares numbers of any length without leading zeros; "" is 0.
func compareDigits(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func digits(s string) string { return strings.TrimLeft(s, "0") }

func numeric(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
