package event

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of kinds into README.md anew")

const (
	readme  = "../../README.md"
	heading = "| kind | what leaves it |\n|---|---|\n"
)

// inCode are routes and commands.
var inCode = regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) /|^slipway `)

// TestTheReadmeHasTheTableOfKinds writes the table anew with -update.
func TestTheReadmeHasTheTableOfKinds(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), heading)
	if !ok {
		t.Fatal("the README has no table of kinds")
	}
	have, after, _ := strings.Cut("\n"+rest, "\n\n")
	var want strings.Builder
	for _, row := range Table {
		var left []string
		for _, cause := range row.Left {
			if inCode.MatchString(cause) {
				cause = "`" + cause + "`"
			}
			left = append(left, cause)
		}
		want.WriteString("\n| `" + string(row.Kind) + "` | " + strings.Join(left, "; ") + " |")
	}
	if have == want.String() {
		return
	}
	if !*update {
		t.Fatal("the README's table of kinds is not that of the code: go test ./pkg/event -update")
	}
	if err := os.WriteFile(readme, []byte(before+heading+strings.TrimPrefix(want.String(), "\n")+"\n\n"+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
