package catalog

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// The groups of testdata/schema1, by the first rules.
const (
	v1Store    = "6e3f0dbc40bdd62a" // 3 crashes, resolved
	v1Load     = "7e10182a257b4f63" // 2 crashes, ignored
	v1Split    = "5b117000000000aa" // 10 crashes, 3 dumps, resolved
	v1Gone     = "01d0000000000001" // 4 crashes, no dump, ignored
	v1Damaged  = "01d0000000000002" // 1 crash, its dump is none
	fixtureOld = 6                  // groups in all
)

// schema1 unpacks the state folder that commit a978fee made.
func schema1(t testing.TB) (state string) {
	t.Helper()
	state = t.TempDir()
	f, err := os.Open("../../testdata/schema1/state.tar.gz")
	must(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(t, err)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return state
		}
		must(t, err)
		path := filepath.Join(state, filepath.Clean(h.Name))
		if h.Typeflag == tar.TypeDir {
			must(t, os.MkdirAll(path, 0o700))
			continue
		}
		out, err := os.Create(path)
		must(t, err)
		_, err = io.Copy(out, r)
		must(t, errors.Join(err, out.Close()))
	}
}

// decodedAgain is what the second rules make of the fixture's dumps.
func decodedAgain(one crash.Crash) (crash.Crash, bool) {
	chains := map[string][]string{
		v1Store: {"drive", "open", "regulate", "control", "app_main"}, v1Load: {"drive", "open", "regulate", "control", "app_main"},
		v1Split: {"worker", "control", "app_main"},
	}
	chain, ok := chains[one.Fingerprint]
	switch {
	case one.Fingerprint == v1Damaged:
		return one, false
	case !ok:
		chain = []string{"regulate", "control", "app_main"}
	case one.Fingerprint == v1Split && one.Device == "press001" && one.Name == lastSplit:
		chain = []string{"memset", "control", "app_main"}
	}
	one.Rules, one.Kind, one.Chain = crash.Rules, "memory", chain
	one.Fingerprint = digestOf(chain)
	return one, true
}

var lastSplit fleet.DumpName // the youngest dump of v1Split, of another bug than the others

func digestOf(chain []string) string {
	return crash.Filed("press", "memory", chain)[0]
}

func findLastSplit(t *testing.T, c *Catalog) {
	t.Helper()
	dumps, err := c.GroupDumps(v1Split, 1)
	must(t, err)
	if len(dumps) == 1 {
		lastSplit = dumps[0].Dump.Name()
	}
}

// regroup decodes again what is old, at most so many dumps.
func regroup(t *testing.T, c *Catalog, most int) {
	t.Helper()
	old, err := c.OldCrashes()
	must(t, err)
	for _, ref := range old[:min(len(old), most)] {
		l, err := c.Dump(ref.Device, ref.Name)
		must(t, err)
		if one, ok := decodedAgain(l.Crash); ok {
			if out, err := c.RecordCrash(t.Context(), one, 0); err != nil || out.News != "" {
				t.Errorf("regrouping tells %q, %v", out.News, err)
			}
		}
		must(t, c.KeepOld(t.Context(), []crash.Ref{ref}))
	}
}

// pictured is what groups there are, in a line each.
func pictured(t *testing.T, c *Catalog) []string {
	t.Helper()
	groups, err := c.Groups(crash.GroupFilter{})
	must(t, err)
	var lines []string
	for _, g := range groups {
		_, versions, chains, err := c.Group(g.Fingerprint)
		must(t, err)
		frames, sum := "", 0
		for _, chain := range chains {
			if len(chain.Frames) > 0 {
				frames = chain.Frames[0]
			}
		}
		for _, v := range versions {
			sum += v.Count
		}
		devices, _, err := c.GroupDevices(g.Fingerprint, "", 0)
		must(t, err)
		line := fmt.Sprintf("%s count %d versions %d devices %d %s %s", frames, g.Count, sum, g.Devices, g.State, g.Note)
		if g.Old {
			line += "old"
		}
		if len(devices) != g.Devices {
			line += fmt.Sprintf(" but names %d devices", len(devices))
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	slices.Sort(lines)
	return lines
}

var regroupedFixture = []string{
	"count 1 versions 1 devices 1 open old",
	"count 4 versions 4 devices 1 ignored old",
	"drive count 5 versions 5 devices 3 ignored",
	"memset count 3 versions 3 devices 1 resolved",
	"regulate count 1 versions 1 devices 1 open",
	"worker count 7 versions 7 devices 3 resolved",
}

func TestACatalogOfTheFirstSchemaIsRegroupedWithItsStatesAndCounts(t *testing.T) {
	o := settled(t, filepath.Join(schema1(t), "catalog"))
	backups := 0
	o.BeforeUpgrade = func(c *Catalog) (string, error) {
		backups++
		if groups, err := list[crash.Group](c, groupPrefix); err != nil || len(groups) != fixtureOld {
			t.Errorf("the backup has %d groups, %v", len(groups), err)
		}
		if chains, err := c.count(chainPrefix); err != nil || chains != 0 {
			t.Errorf("%d chains were written before the backup, %v", chains, err)
		}
		return "backup/before.age", nil
	}
	c, err := Open(o)
	must(t, err)
	findLastSplit(t, c)
	if g, _, _, err := c.Group(v1Split); err != nil || g.Count != 10 || g.State != crash.Resolved {
		t.Errorf("before anything was decoded again: %+v, %v", g, err)
	}
	regroup(t, c, 100)
	done, err := c.EndRegrouping(t.Context())
	if err != nil || done == nil || done.String() != "6 groups became 6; 2 old" {
		t.Errorf("it says %v, %v", done, err)
	}
	if got := pictured(t, c); !slices.Equal(got, regroupedFixture) {
		t.Errorf("groups:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(regroupedFixture, "\n"))
	}
	for old, count := range map[string]int{v1Store: 5, v1Load: 5, v1Split: 7, v1Gone: 4, v1Damaged: 1} {
		if g, _, _, err := c.Group(old); err != nil || g.Count != count {
			t.Errorf("the address %s leads to a group of %d crashes, want %d, %v", old, g.Count, count, err)
		}
	}
	must(t, c.Close())
	c, err = Open(o)
	must(t, err)
	defer func() { must(t, c.Close()) }()
	if again, err := c.EndRegrouping(t.Context()); again != nil || err != nil || backups != 1 {
		t.Errorf("a second start makes backup %d and says %v, %v", backups, again, err)
	}
	if r, err := c.Regrouping(); err != nil || r.String() != "6 groups became 6; 2 old; a copy of before is backup/before.age" {
		t.Errorf("the status says %q, %v", r, err)
	}
	checkIndexes(t, c)
}

func TestARegroupingThatIsCutOffGoesOnAndCountsNothingTwice(t *testing.T) {
	for cut := range 10 {
		o := settled(t, filepath.Join(schema1(t), "catalog"))
		c, err := Open(o)
		must(t, err)
		findLastSplit(t, c)
		regroup(t, c, cut)
		sum := 0
		groups, err := c.Groups(crash.GroupFilter{})
		must(t, err)
		for _, g := range groups {
			sum += g.Count
		}
		if sum != 21 {
			t.Errorf("after %d dumps the groups count %d crashes and not 21", cut, sum)
		}
		must(t, c.Close())
		c, err = Open(o)
		must(t, err)
		regroup(t, c, 100)
		_, err = c.EndRegrouping(t.Context())
		must(t, err)
		if got := pictured(t, c); !slices.Equal(got, regroupedFixture) {
			t.Errorf("cut off after %d dumps:\n%s", cut, strings.Join(got, "\n"))
		}
		must(t, c.Close())
	}
}

func TestAnUpgradeWhoseBackupFailsChangesNothing(t *testing.T) {
	o := settled(t, filepath.Join(schema1(t), "catalog"))
	o.BeforeUpgrade = func(*Catalog) (string, error) { return "", errors.New("no room") }
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(o.Dir, schemaFile)); err != nil || string(b) != "1\n" {
		t.Errorf("the schema is %q, %v", b, err)
	}
}

func TestABackupOfTheFirstSchemaIsUpgradedWhenItIsRestored(t *testing.T) {
	o := settled(t, filepath.Join(schema1(t), "catalog"))
	var copied []byte
	o.BeforeUpgrade = func(c *Catalog) (string, error) {
		copied = backupOf(t, c)
		return "before.age", nil
	}
	c, err := Open(o)
	must(t, err)
	must(t, c.Close())
	if plain := string(unzipped(t, copied)); !strings.HasPrefix(plain, backupHead+"1\n") {
		t.Errorf("the backup begins with %.20q: an older slipway would refuse it", plain)
	}
	o.Dir = filepath.Join(t.TempDir(), "restored")
	_, err = Restore(o, strings.NewReader(string(copied)))
	must(t, err)
	c, err = Open(o)
	must(t, err)
	defer func() { must(t, c.Close()) }()
	if r, err := c.Regrouping(); err != nil || r == nil || r.Before != fixtureOld {
		t.Errorf("the restored catalog is regrouped as %v, %v", r, err)
	}
}
