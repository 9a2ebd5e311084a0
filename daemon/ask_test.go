package main

import (
	"errors"
	"strings"
	"testing"
)

func TestOnlyYesIsAYes(t *testing.T) {
	for answer, want := range map[string]error{
		"y\n": nil, "YES\n": nil, "yes \r\n": nil, "": errNotWanted, "\n": errNotWanted, "n\n": errNotWanted, "yesterday\n": errNotWanted,
		strings.Repeat("y", 5000): errNotWanted,
	} {
		var out strings.Builder
		if err := ask(strings.NewReader(answer), &out, "Replace it?"); !errors.Is(err, want) {
			t.Errorf("%.20q: %v", answer, err)
		}
		if out.String() != "Replace it? [y/N] " {
			t.Errorf("asked is %q", out.String())
		}
	}
}
