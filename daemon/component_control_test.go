//go:build component

package main

import (
	"strings"
	"testing"
)

// TestWhatTheComponentPromisesIsKeptByTheseLines takes each away, and the play notices.
func TestWhatTheComponentPromisesIsKeptByTheseLines(t *testing.T) {
	for name, c := range map[string]struct {
		change change
		faults []string // of the builds, in turn
		seen   string
	}{
		"a dump is erased on any status": {
			change{"if (*code == 201) {", "if (*code > 0) {"}, []string{""}, "is lost",
		},
		"an image is kept that has not reached the gateway": {
			change{"    read_records();\n    client =", "    read_records();\n    confirm();\n    client ="}, []string{"-mute"}, "does not run",
		},
		"an image that goes back is tried for ever": {
			change{"&& trial.trials >= TRIALS; }", "&& trial.trials == 0; }"}, []string{"-mute"}, "is installed",
		},
		"what was cut goes on in the new image's place": {
			change{"    if (strcmp(progress.version, offered) != 0 || progress.partition", "    if (progress.partition"}, []string{"-mute"}, "is installed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, buildComponent(t, c.change), componentSeed(t))
			p.faults, p.every = c.faults, 20
			err := p.play(40)
			if err == nil || !strings.Contains(err.Error(), c.seen) {
				t.Errorf("nothing notices it: %v", err)
			}
		})
	}
}
