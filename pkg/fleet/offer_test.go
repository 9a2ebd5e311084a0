package fleet

import (
	"slices"
	"strings"
	"testing"
)

func TestOfAllThatSaysABuildTheFirstInOrderCounts(t *testing.T) {
	m := Model{Code: "pump", FirmwareVersion: "1.0"}
	for _, c := range []struct {
		name  string
		d     Device
		m     Model
		w     Word
		want  Version
		offer bool
	}{
		{"nothing is published", Device{}, Model{}, Word{}, "", false},
		{"what is published", Device{}, m, Word{}, "1.0", true},
		{"a stick before what is published", Device{}, m, Word{Stick: "1.1"}, "1.1", true},
		{"a stick where nothing is published", Device{}, Model{}, Word{Stick: "1.1"}, "1.1", true},
		{"a rollout's word before a stick", Device{}, m, Word{Rollout: "1.2", Stick: "1.1"}, "1.2", true},
		{"a pin before a rollout", Device{Pin: "0.9"}, m, Word{Rollout: "1.2", Stick: "1.1"}, "0.9", true},
		{"nothing for who is revoked", Device{Pin: "0.9", Revoked: true}, m, Word{Rollout: "1.2"}, "", false},
	} {
		if v, ok := OfferTo(c.d, c.m, c.w); v != c.want || ok != c.offer {
			t.Errorf("%s: %q, %v", c.name, v, ok)
		}
	}
}

func TestLinesAndLabelsAreShortPlainWords(t *testing.T) {
	for _, line := range []string{"", "line3", "hall_2.b-1", strings.Repeat("x", 32)} {
		if err := CheckLine(line); err != nil {
			t.Error(err)
		}
	}
	for _, line := range []string{"Line", "a b", strings.Repeat("x", 33), "<b>", "ä", "10.0.0.0/24"} {
		if CheckLine(line) == nil {
			t.Errorf("%q is taken", line)
		}
		if _, err := ParseLabels([]string{line}); err == nil {
			t.Errorf("label %q is taken", line)
		}
	}
	got, err := ParseLabels([]string{"spare", "paint", "spare"})
	if err != nil || !slices.Equal(got, []string{"paint", "spare"}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := ParseLabels(strings.Fields("a b c d e f g h i")); err == nil {
		t.Error("nine labels are taken")
	}
}
