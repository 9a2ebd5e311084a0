package corpus_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/slipway-gateway/slipway/testdata/crash/corpus"
)

// What makes the corpus worth something: it has enough in it, and a decoder that guesses or a hash of a few frames fails.
const (
	leastPrograms = 20
	leastBuilds   = 3
	leastPairs    = 8 // of bugs that share their innermost frames and differ in who called
	leastInlined  = 5 // bugs of which a function is inlined in one build and not in another
	sharedFrames  = 3
)

func TestCorpusIsHardEnoughToFail(t *testing.T) {
	programs, inlined := map[string]map[string]bool{}, map[string]map[string]map[bool]bool{} // bug, function, inlined or not
	stacks := map[string]map[string][]corpus.Frame{}                                         // build, bug
	for _, d := range everything(t) {
		frames := crashedTask(t, &d).Frames
		if programs[d.Program] == nil {
			programs[d.Program] = map[string]bool{}
		}
		programs[d.Program][d.Build.Name] = true
		if stacks[d.Build.Name] == nil {
			stacks[d.Build.Name] = map[string][]corpus.Frame{}
		}
		stacks[d.Build.Name][d.Cause()] = frames
		if inlined[d.Cause()] == nil {
			inlined[d.Cause()] = map[string]map[bool]bool{}
		}
		for i, f := range frames {
			if inlined[d.Cause()][f.Function] == nil {
				inlined[d.Cause()][f.Function] = map[bool]bool{}
			}
			// GDB prints no address for a frame into which the one before was inlined.
			inlined[d.Cause()][f.Function][i+1 < len(frames) && frames[i+1].PC == ""] = true
		}
	}
	for p, builds := range programs {
		if len(builds) < leastBuilds {
			t.Errorf("%s is in %d builds", p, len(builds))
		}
	}
	both := 0
	for _, functions := range inlined {
		if slices.ContainsFunc(slices.Collect(maps.Values(functions)), func(ways map[bool]bool) bool { return len(ways) == 2 }) {
			both++
		}
	}
	pairs := pairsThatDifferInTheirCallers(stacks, slices.Collect(maps.Keys(programs)))
	elsewhere := 0
	for _, b := range corpus.Builds {
		if b.Paths != corpus.Own {
			elsewhere++
		}
	}
	if len(programs) < leastPrograms || len(pairs) < leastPairs || both < leastInlined || 3*elsewhere < len(corpus.Builds) {
		t.Errorf("%d programs, %d pairs, %d bugs inlined in one build and not in another, %d of %d builds with paths of their own",
			len(programs), len(pairs), both, elsewhere, len(corpus.Builds))
	}
	t.Logf("figure: %d programs with %d bugs in %d builds; %d pairs share their first %d frames; %d bugs are inlined in one build and not in another",
		len(programs), len(inlined), len(corpus.Builds), len(pairs), sharedFrames, both)
}

// pairsThatDifferInTheirCallers are the programs whose two bugs do so in every build.
func pairsThatDifferInTheirCallers(stacks map[string]map[string][]corpus.Frame, programs []string) []string {
	return slices.DeleteFunc(programs, func(p string) bool {
		for _, bugs := range stacks {
			a, b := functions(bugs[p+"/a"]), functions(bugs[p+"/b"])
			if len(a) <= sharedFrames || len(b) <= sharedFrames || !slices.Equal(a[:sharedFrames], b[:sharedFrames]) || slices.Equal(a, b) {
				return true
			}
		}
		return false
	})
}

func functions(frames []corpus.Frame) []string {
	var out []string
	for _, f := range frames {
		out = append(out, f.Function)
	}
	return out
}
