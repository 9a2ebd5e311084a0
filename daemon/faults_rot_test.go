//go:build faults

package main

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rotSeed chooses the places; SLIPWAY_SEED takes those of a run before.
func rotSeed(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("SLIPWAY_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SLIPWAY_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// flip changes one bit of a file and leaves its time, as a disk does.
func (s *stored) flip(t *testing.T, dir, name string, at, bit int) {
	t.Helper()
	f := s.files[name]
	b := bytes.Clone(f.content)
	b[at] ^= 1 << bit
	path := filepath.Join(dir, name)
	for _, err := range []error{os.WriteFile(path, b, f.mode), os.Truncate(path, f.size), os.Chtimes(path, f.changed, f.changed)} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestFaultsABitThatFlips changes one bit of a stored file at a time, in places that the seed chooses. What the catalog makes
// of that is tested beside it.
func TestFaultsABitThatFlips(t *testing.T) {
	g, s := rotting(t, false)
	random := rotSeed(t)
	for _, part := range []struct {
		folder      string
		short, long int
		file        string
		without     []string // what the control takes out
		in          string   // and the file in which it then flips
	}{
		{"keys", 5, 20, "pkg/auth/keys.go", []string{`return fmt.Errorf("signing key %s: %w", path, err)`, "continue"}, ".pem"},
		{"assets", 9, 50, "pkg/depot/verify.go", []string{"return sum == b.BundleSHA256, err", `return sum != "", err`}, ".zip"},
		{"coredumps", 6, 30, "pkg/dumps/verify.go", []string{"case hex.EncodeToString(hash.Sum(nil)) != d.SHA256:", `case hex.EncodeToString(hash.Sum(nil)) == "":`}, ".dmp"},
	} {
		row := newFault(t, "bit flip", part.folder+", stopped", times(part.short, part.long))
		var names []string
		for name, f := range s.files {
			if strings.HasPrefix(name, part.folder+"/") && len(f.content) > 0 {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		seen := map[string]int{}
		for range row.rounds {
			name := names[random.IntN(len(names))]
			at, bit := random.IntN(len(s.files[name].content)), random.IntN(8)
			s.lay(t, g.state)
			s.flip(t, g.state, name, at, bit)
			v := g.befell(s, "")
			seen[strings.SplitN(v, ":", 2)[0]]++
			if bad(v) {
				t.Errorf("%s: bit %d of byte %d of %s: %s", part.folder, bit, at, name, v)
			}
		}
		row.found("%s", tally(seen))
		row.noticed("without its check", s.controlled(t, g, without(t, part.file, part.without...), part.folder, part.in))
	}
}

// controlled flips bits until a program without a check makes something of it that must never be.
func (s *stored) controlled(t *testing.T, g *running, program, folder, suffix string) string {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		if !strings.HasPrefix(name, folder+"/") || !strings.HasSuffix(name, suffix) {
			continue
		}
		content := s.files[name].content
		for back := 2; back < min(len(content), 80); back += 7 {
			s.lay(t, g.state)
			s.flip(t, g.state, name, len(content)-back, 5)
			if v := g.befell(s, program); bad(v) {
				return strings.ToLower(strings.SplitN(v, ":", 2)[0])
			}
		}
	}
	return ""
}
