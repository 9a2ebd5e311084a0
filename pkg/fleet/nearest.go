package fleet

import (
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Nearest is the known word that was most probably meant, "" where nothing is known.
func Nearest[W ~string](word string, known []W) W {
	if len(known) == 0 {
		return ""
	}
	const most = 64 // bytes of a foreign word that are compared: the distance takes time by its length
	word = strings.ToLower(word[:min(len(word), most)])
	distance := func(w W) int { return levenshtein.ComputeDistance(word, strings.ToLower(string(w))) }
	return slices.MinFunc(known, func(a, b W) int { return distance(a) - distance(b) })
}
