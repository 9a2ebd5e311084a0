package catalog

import (
	"fmt"
	"testing"
)

// days are what groups were crashed by the day, up to now.
func (p *plant) days(groups ...string) (all string) {
	p.t.Helper()
	for _, name := range groups {
		g, _, _, err := p.Group(name)
		must(p.t, err)
		all += fmt.Sprintln(g.Fingerprint, g.Count, g.Recent.Last(*p.now)[11:])
	}
	return all
}

func TestACrashCountsOnItsDayInTheGroupThatItIsIn(t *testing.T) {
	p := newPlant(t)
	first := p.uploads(1, "1.0")
	p.decoded(first, "1.0", "f")
	*p.now = p.now.AddDate(0, 0, 1)
	second := p.uploads(2, "1.0")
	p.decoded(second, "1.0", "f")
	p.decoded(p.uploads(3, "1.0"), "1.0", "g")
	if got, want := p.days("f", "g"), "f 2 [0 1 1]\ng 1 [0 0 1]\n"; got != want {
		t.Errorf("%s want %s", got, want)
	}
	p.decoded(second, "1.0", "g")
	p.decoded(second, "1.0", "g")
	if got, want := p.days("f", "g"), "f 1 [0 1 0]\ng 2 [0 0 2]\n"; got != want {
		t.Errorf("decoded again, to another group: %s want %s", got, want)
	}
	_, err := p.MergeGroups(t.Context(), "f", "g")
	must(t, err)
	if got, want := p.days("f"), "f 3 [0 1 2]\n"; got != want {
		t.Errorf("merged: %s want %s", got, want)
	}
	_, _, err = p.SplitGroup(t.Context(), "f", []string{"g"})
	must(t, err)
	if got, want := p.days("f", "g"), "f 1 [0 1 0]\ng 2 [0 0 2]\n"; got != want {
		t.Errorf("split: %s want %s", got, want)
	}
}
