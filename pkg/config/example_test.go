package config

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite the commented file from the table of settings")

const commentedFile = "../../configs/slipway.yaml"

func TestTheCommentedFileHoldsEverySettingWithItsDefault(t *testing.T) {
	want := commented(t)
	if *update {
		if err := os.WriteFile(commentedFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(commentedFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the table of settings says: run this test with -update, and look at the difference", commentedFile)
	}
}

func TestTheCommentedFileChangesNothingAsItIsNorUncommented(t *testing.T) {
	defaults, err := Load(Options{File: empty(t)})
	if err != nil {
		t.Fatal(err)
	}
	asItIs, err := Load(Options{File: commentedFile})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(commentedFile)
	if err != nil {
		t.Fatal(err)
	}
	// A setting is commented out as "#key: value", its explanation as "# words".
	open, err := load(t, regexp.MustCompile(`(?m)^( *)#(\S)`).ReplaceAllString(string(text), "$1$2"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range asItIs.Values() {
		if v.Source != "default" {
			t.Errorf("%s is set", v.Key)
		}
	}
	for _, v := range open.Values() {
		if v.Source == "default" {
			t.Errorf("%s is not in the file", v.Key)
		}
	}
	asItIs.values, open.values, defaults.values = nil, nil, nil
	asItIs.File, open.File, defaults.File = "", "", ""
	if !reflect.DeepEqual(asItIs, defaults) || !reflect.DeepEqual(open, defaults) {
		t.Errorf("as it is %+v\nuncommented %+v\nwant %+v", asItIs, open, defaults)
	}
}

func empty(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "slipway.yaml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const commentedHead = `# Slipway's settings. Each stands here with its default, commented out: a line that is taken in changes it.
# Stronger than this file are environment variables (SLIPWAY_LISTEN__HTTP is listen.http) and --set KEY=VALUE.
# 'slipway config check' checks the file, 'slipway config show' tells every value and where it came from.
`

// commented makes the file of the table.
func commented(t *testing.T) string {
	var b strings.Builder
	b.WriteString(commentedHead)
	section := ""
	for _, s := range Settings {
		name, indent := s.Key, ""
		if above, below, nested := strings.Cut(s.Key, "."); nested {
			name, indent = below, "  "
			if above != section {
				b.WriteString("\n" + above + ":\n")
			}
			section = above
		} else {
			if section != "" {
				b.WriteString("\n")
			}
			section = ""
		}
		for _, line := range wrap(s.Meaning, 100-len(indent)) {
			b.WriteString(indent + "# " + line + "\n")
		}
		b.WriteString(indent + "#" + name + ": " + inYAML(t, s) + "\n")
	}
	return b.String()
}

// inYAML is the default as it has to stand in the file to mean the same.
func inYAML(t *testing.T, s Setting) string {
	if s.Default == "off" || strings.HasPrefix(s.Default, "[") || strings.HasPrefix(s.Default, "{") {
		return s.Default
	}
	b, err := yaml.Marshal(s.Default)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.TrimSpace(string(b))
	if plain := strings.Trim(text, `"`); plain == "false" || regexp.MustCompile(`^\d+$`).MatchString(plain) {
		return plain
	}
	return text
}

func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}
