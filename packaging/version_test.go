package packaging

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write .github/CHANGELOG.md from changelog.yaml")

// release is one entry of changelog.yaml, which the packages carry and CHANGELOG.md repeats for people.
type release struct {
	Semver  string
	Date    time.Time
	Changes []struct{ Note string }
}

func releases(t *testing.T) (all []release) {
	t.Helper()
	text, err := os.ReadFile("changelog.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &all)
	}
	if err != nil || len(all) == 0 {
		t.Fatalf("%d releases, %v", len(all), err)
	}
	return all
}

// inOrder are versions of packages as they come one after another, in all forms that `make version` gives.
var inOrder = []string{
	"0.0.0+ga978fee", "0.0.0+gffffffffffff", "0.1.0", "0.2.0", "0.2.0+9.gffffffffffff", "0.2.0+10.g000000000000", "0.2.0+10.g000000000000.dirty",
	"0.2.0+11.ga00000000000", "0.2.0+100.g0a0000000000", "0.2.1", "0.10.0",
}

func TestDpkgSortsVersionsAsTheyWereMade(t *testing.T) {
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skip("dpkg is not here")
	}
	for i, older := range inOrder[:len(inOrder)-1] {
		newer := inOrder[i+1]
		if out, err := exec.Command("dpkg", "--compare-versions", older+"-1", "lt", newer+"-1").CombinedOutput(); err != nil {
			t.Errorf("%s is not older than %s: %v %s", older, newer, err, out)
		}
	}
}

// rpm is compared by rpmvercmp's own rules, so that the test needs no rpm; TestPackageVersionsAreSortedByRpm asks it.
func TestRpmSortsVersionsAsTheyWereMade(t *testing.T) {
	for i, older := range inOrder[:len(inOrder)-1] {
		if newer := inOrder[i+1]; rpmCompare(older, newer) >= 0 {
			t.Errorf("%s is not older than %s", older, newer)
		}
	}
}

// rpmCompare is rpmvercmp for versions without ~ and ^: runs of digits are compared as numbers, runs of letters as text, a
// number is newer than letters, and more is newer than less.
func rpmCompare(a, b string) int {
	runs := regexp.MustCompile(`[0-9]+|[A-Za-z]+`)
	x, y := runs.FindAllString(a, -1), runs.FindAllString(b, -1)
	for i := range min(len(x), len(y)) {
		digits := func(s string) bool { return s[0] <= '9' }
		switch {
		case digits(x[i]) && !digits(y[i]):
			return 1
		case !digits(x[i]) && digits(y[i]):
			return -1
		case digits(x[i]):
			p, q := strings.TrimLeft(x[i], "0"), strings.TrimLeft(y[i], "0")
			if len(p) != len(q) {
				return len(p) - len(q)
			}
			if c := strings.Compare(p, q); c != 0 {
				return c
			}
		default:
			if c := strings.Compare(x[i], y[i]); c != 0 {
				return c
			}
		}
	}
	return len(x) - len(y)
}

func TestTheChangelogBeginsWithTheReleaseThatTheBinaryNames(t *testing.T) {
	source, err := os.ReadFile("../daemon/version.go")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`(?m)^const lastRelease = "(.*)"$`).FindSubmatch(source)
	if newest := releases(t)[0].Semver; named == nil || newest != string(named[1])+"-1" {
		t.Errorf("changelog.yaml begins with %s, daemon/version.go says %q", newest, named)
	}
}

func TestTheChangelogForPeopleIsThatOfThePackages(t *testing.T) {
	var want strings.Builder
	fmt.Fprintln(&want, "# Changelog\n\nMade from packaging/changelog.yaml: `go test ./packaging -run Changelog -update`.")
	for _, r := range releases(t) {
		version, _, _ := strings.Cut(r.Semver, "-")
		fmt.Fprintf(&want, "\n## %s, %s\n\n", version, r.Date.Format(time.DateOnly))
		for _, c := range r.Changes {
			fmt.Fprintf(&want, "- %s\n", c.Note)
		}
	}
	const path = "../.github/CHANGELOG.md"
	if *update {
		if err := os.WriteFile(path, []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != want.String() {
		t.Errorf("%s is not what changelog.yaml says (%v): run this test with -update", path, err)
	}
}
