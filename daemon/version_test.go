package main

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

func TestABinaryThatGoHasBuiltKnowsItsVersion(t *testing.T) {
	const hash = "a978feeb0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f"
	for _, test := range []struct {
		module         string
		revision, edit string
		want           string
	}{
		{"v0.3.1", "", "", "0.3.1"}, // go install …@v0.3.1
		{"v0.0.0-20261123120000-a978feeb0c1d", hash, "false", lastRelease + "+ga978feeb0c1d"},
		{"v0.0.0-20261123120000-a978feeb0c1d+dirty", hash, "true", lastRelease + "+ga978feeb0c1d.dirty"},
		{"(devel)", hash, "", lastRelease + "+ga978feeb0c1d"},
		{"(devel)", "", "", lastRelease + "+devel"},
		{"", "", "", lastRelease + "+devel"},
	} {
		if got := versionOf(test.module, map[string]string{"vcs.revision": test.revision, "vcs.modified": test.edit}); got != test.want {
			t.Errorf("%q, %q: %s, want %s", test.module, test.revision, got, test.want)
		}
	}
}

func TestMakeNamesTheReleaseOrTheCommitsAfterIt(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("make is not here")
	}
	cmd := exec.Command("make", "--no-print-directory", "-s", "version")
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	form := regexp.MustCompile(`^` + regexp.QuoteMeta(lastRelease) + `(\+[1-9][0-9]*\.g[0-9a-f]{12})?(\.dirty)?$`)
	if err != nil || !form.MatchString(strings.TrimSpace(string(out))) {
		t.Errorf("%s, %v", out, err)
	}
}
