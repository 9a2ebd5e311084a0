package gateway

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/testdata/clients"
)

// toSet finds what the README says that a client is to be told: an address, or a path.
var toSet = regexp.MustCompile(`http://[^"\s` + "`" + `]*|"/d/SECRET"`)

// tableOf is a table of the README: its rows, without the head.
func tableOf(t *testing.T, head string) (rows [][]string) {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), head+"\n|---|---|\n")
	if !found {
		t.Fatalf("the README has no table %s", head)
	}
	for line := range strings.SplitSeq(rest, "\n") {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		rows = append(rows, []string{strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1])})
	}
	return rows
}

// playedElsewhere are rows that another suite plays, with the clients themselves.
var playedElsewhere = []string{"curl, Python requests, Node, Go"}

// Each row of the README's table is set on a client, by what stands there and nothing else.
func TestWhatTheReadmeSaysToSetIsAllThatAClientNeeds(t *testing.T) {
	p := newPlantOfMatrix(t, nil)
	said := map[string]bool{}
	for _, row := range tableOf(t, "| client | what to set |") {
		name, set := row[0], row[1]
		if slices.Contains(playedElsewhere, name) {
			continue
		}
		address := toSet.FindString(set)
		if address == "" {
			t.Errorf("%s: nothing to set in %q", name, set)
			continue
		}
		for _, c := range clients.All() {
			if c.Name != name && !strings.HasPrefix(c.Name, name+",") {
				continue
			}
			said[c.Name] = true
			d, key := p.device(c)
			p.tell(d, address, set)
			end, err := d.Play(c)
			switch {
			case end == clients.Failed:
				t.Errorf("%s: %v", c.Name, err)
			case slices.Contains(c.Asks, clients.Firmware) && clients.Version(d.Runs) != "1.1.0":
				t.Errorf("%s: %s, and runs %s", c.Name, end, clients.Version(d.Runs))
			case slices.Contains(c.Asks, clients.Dump) && !p.has(key):
				t.Errorf("%s: no dump came", c.Name)
			}
		}
		if !slices.ContainsFunc(clients.All(), func(c clients.Client) bool { return c.Name == name || strings.HasPrefix(c.Name, name+",") }) {
			t.Errorf("%s is in the README, and nobody plays it", name)
		}
	}
	for _, c := range clients.All() {
		if !said[c.Name] {
			t.Errorf("%s is played, and the README does not say what to set", c.Name)
		}
	}
	for _, row := range tableOf(t, "| not served | why |") {
		if len(row[1]) < 20 {
			t.Errorf("%s is not served, and why?", row[0])
		}
	}
}

// tell sets on a device what the README has. A device that is to be told no credentials has none.
func (p *plantOfMatrix) tell(d *clients.Device, address, set string) {
	id, secret, path := d.ID, d.Secret, strings.TrimPrefix(p.path, "/d/")
	if !strings.Contains(set, "CLIENT_ID") {
		d.ID = ""
	}
	below := strings.Contains(address, "/d/SECRET")
	address = strings.NewReplacer("/d/SECRET", "/d/"+path, "CLIENT_ID", id, "SECRET", secret, "ALIAS", id[strings.LastIndex(id, "-")+1:], `"`, "").Replace(address)
	if rest, whole := strings.CutPrefix(address, "http://"); whole {
		_, rest, _ = strings.Cut(rest, "GATEWAY")
		d.Source = rest
	}
	if d.Path = ""; below {
		d.Path = "/d/" + path
	}
}
