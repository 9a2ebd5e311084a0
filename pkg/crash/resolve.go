package crash

import (
	"slices"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// MayName refuses a version that is neither a build's nor comes after all of them: as no crash is ever of a version that
// was mistyped, a group that is resolved in it, or ignored until it, would stay silent for good. What is the member that
// has it.
func MayName(what string, code fleet.ModelCode, builds []fleet.Build, v fleet.Version) error {
	if _, ordered := fleet.CompareVersions(v, v); ordered && !slices.ContainsFunc(builds, func(b fleet.Build) bool {
		sign, decided := fleet.CompareVersions(v, b.Version)
		return !decided || sign <= 0
	}) {
		return nil
	}
	versions := make([]fleet.Version, len(builds))
	for i, b := range builds {
		if versions[i] = b.Version; b.Version == v {
			return nil
		}
	}
	nearest := ""
	if len(versions) > 0 {
		nearest = "; the nearest is " + string(fleet.Nearest(string(v), versions))
	}
	return fleet.Refused("%s %q: %s has no such build, and it does not come after all that it has%s; --force (\"force\": true) takes it all the same",
		what, v, code, nearest)
}
