// Package pkg_test holds the architecture's table in README.md against the linter's rules and against the imports.
package pkg_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const module = "github.com/slipway-gateway/slipway"

// all is the entry of a package that may import everything.
const all = "everything"

// table are the packages in README.md, each with the packages that it may import.
func table(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## Who may import whom\n")
	_, rows, _ := strings.Cut(section, "|---|---|---|\n")
	rows, _, _ = strings.Cut(rows, "\n\n")
	names := regexp.MustCompile("`([a-z]+)`")
	found := map[string][]string{}
	for row := range strings.Lines(rows) {
		cells := strings.Split(row, "|")
		if len(cells) != 5 {
			t.Fatalf("a row of %d cells: %s", len(cells)-2, row)
		}
		may := []string{}
		for _, m := range names.FindAllStringSubmatch(cells[3], -1) {
			may = append(may, m[1])
		}
		if cell := strings.TrimSpace(cells[3]); cell == all {
			may = []string{all}
		} else if len(may) == 0 && cell != "none" {
			t.Fatalf("neither packages nor %q nor \"none\": %s", all, row)
		}
		slices.Sort(may)
		for _, m := range names.FindAllStringSubmatch(cells[1], -1) {
			found[m[1]] = may
		}
	}
	return found
}

// rules are the packages in the linter's settings, each with the packages that its rule allows.
func rules(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../configs/golangci.yml")
	if err != nil {
		t.Fatal(err)
	}
	var settings struct {
		Linters struct {
			Settings struct {
				Depguard struct {
					Rules map[string]struct {
						Files, Allow []string
						Deny         []struct{ Pkg string }
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal(text, &settings); err != nil {
		t.Fatal(err)
	}
	of := regexp.MustCompile(`^\*\*/pkg/([a-z]+)/\*\*$`)
	found := map[string][]string{}
	for name, rule := range settings.Linters.Settings.Depguard.Rules {
		denied := false
		for _, d := range rule.Deny {
			denied = denied || strings.TrimSuffix(d.Pkg, "/") == module
		}
		may := []string{}
		for _, allowed := range rule.Allow {
			if ours, ok := strings.CutPrefix(allowed, module+"/pkg/"); ok {
				may = append(may, ours)
			}
		}
		slices.Sort(may)
		for _, file := range rule.Files {
			m := of.FindStringSubmatch(file)
			if m == nil {
				continue
			}
			if _, twice := found[m[1]]; twice && denied {
				t.Errorf("the rule %s is a second one for %s", name, m[1])
			}
			if denied {
				found[m[1]] = slices.DeleteFunc(slices.Clone(may), func(p string) bool { return p == m[1] })
			}
		}
	}
	return found
}

// imports are the packages that there are, each with what it imports of ours outside tests.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	found := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		paths := strings.Fields(line)
		name, ok := strings.CutPrefix(paths[0], module+"/pkg/")
		if !ok {
			continue // this test's own
		}
		name, _, _ = strings.Cut(name, "/")
		if found[name] == nil {
			found[name] = []string{}
		}
		for _, path := range paths[1:] {
			ours, ok := strings.CutPrefix(path, module+"/")
			if ours, _, _ = strings.Cut(strings.TrimPrefix(ours, "pkg/"), "/"); ok && ours != name {
				found[name] = append(found[name], ours)
			}
		}
	}
	return found
}

func TestTheTableOfPackagesIsWhatTheLinterKeepsAndTheCodeDoes(t *testing.T) {
	said, kept, done := table(t), rules(t), imports(t)
	if len(said) < 20 {
		t.Fatalf("README.md has %d packages", len(said))
	}
	for name, uses := range done {
		may, listed := said[name]
		if !listed {
			t.Errorf("pkg/README.md has no row for %s", name)
			continue
		}
		allowed, ruled := kept[name]
		if slices.Equal(may, []string{all}) {
			if ruled {
				t.Errorf("%s: README.md lets it import everything, configs/golangci.yml only %q", name, allowed)
			}
			continue
		}
		if !ruled {
			t.Errorf("%s: configs/golangci.yml has no rule for it", name)
		} else if !slices.Equal(may, allowed) {
			t.Errorf("%s: README.md says %q, configs/golangci.yml allows %q", name, may, allowed)
		}
		for _, used := range uses {
			if !slices.Contains(may, used) {
				t.Errorf("%s imports %s, which README.md does not say", name, used)
			}
		}
	}
	for name := range said {
		if _, there := done[name]; !there {
			t.Errorf("README.md has a row for %s, which is not there", name)
		}
	}
}

func TestNoRegularExpressionIsCompiledByEachStartOfTheProgram(t *testing.T) {
	declared := regexp.MustCompile(`(?m)^(?:var )?\t?[A-Za-z]+ += regexp\.MustCompile`)
	files := 0
	for _, root := range []string{".", "../daemon"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files++
			text, err := os.ReadFile(path)
			if found := declared.Find(text); found != nil {
				t.Errorf("%s: %s: sync.OnceValue compiles it when it is needed", path, found)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Fatalf("%d files were looked at", files)
	}
}
