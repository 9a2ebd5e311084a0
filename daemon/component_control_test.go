//go:build component

package main

import (
	"strings"
	"testing"
)

// TestAnImageThatFailsIsTriedOnceByTheComponentIfItCrashesAndThreeTimesIfItReachesNobody is without any other trouble.
func TestAnImageThatFailsIsTriedOnceByTheComponentIfItCrashesAndThreeTimesIfItReachesNobody(t *testing.T) {
	for _, c := range []deviceClient{component, sketch} {
		t.Run(c.name, func(t *testing.T) { triesOften(t, c) })
	}
}

func triesOften(t *testing.T, c deviceClient) {
	t.Helper()
	t.Parallel()
	p := newPlay(t, c, componentSeed(t))
	for _, want := range []struct {
		fault string
		times int
	}{{"", 1}, {"-crash", 1}, {"-mute", 3}} {
		version := p.ship(want.fault)
		for range 12 {
			if b := p.boot(); p.judge(b) != nil {
				t.Fatalf("%v\n%s", p.judge(b), b)
			}
		}
		if got := p.installed[version]; got != want.times {
			t.Errorf("%s is installed %d times, want %d", version, got, want.times)
		}
	}
	if err := p.settle(); err != nil {
		t.Error(err)
	}
}

// TestWhatTheComponentsPromiseIsKeptByTheseLines takes each away, and the play notices.
func TestWhatTheComponentsPromiseIsKeptByTheseLines(t *testing.T) {
	for name, c := range map[string]struct {
		client deviceClient
		change change
		calm   bool
		faults []string // of the builds
		seen   string
	}{
		"a dump is erased on any status": {
			component, change{"if (*code == 201) {", "if (*code > 0) {"}, false, []string{""}, "is lost",
		},
		"an image is kept that has not reached the gateway": {
			component, change{"    say_what_runs();\n", "    say_what_runs();\n    confirm();\n"}, true, []string{"-mute"}, "does not run",
		},
		"an image that goes back is tried for ever": {
			component, change{"&& trial.trials >= TRIALS; }", "&& trial.trials == 0; }"}, true, []string{"-mute"}, "is installed",
		},
		"what was cut goes on in the new image's place": {
			component, change{"    if (strcmp(progress.version, offered) != 0 || progress.partition", "    if (progress.partition"},
			false, []string{"-mute"}, "is installed",
		},
		"the sketch erases a dump on any status": {
			sketch, change{"if (status == 201) {", "if (status > 0) {"}, false, []string{""}, "is lost",
		},
		"the sketch is kept by the core": {
			sketch, change{"verifyRollbackLater() { return true; }", "verifyRollbackLater() { return false; }"}, true, []string{"-mute"}, "does not run",
		},
		"a sketch that goes back is tried for ever": {
			sketch, change{"trial.trials >= mostTrials) {", "trial.trials == 0) {"}, true, []string{"-mute"}, "is installed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var err error
			for try := range uint64(4) { // a play's luck may spare the device: a dump is lost only where a status comes that is not 201
				p := newPlay(t, c.client, componentSeed(t)+try, c.change)
				p.calm, p.faults, p.every = c.calm, c.faults, 14
				if err = p.play(42); err != nil {
					break
				}
			}
			if err == nil || !strings.Contains(err.Error(), c.seen) {
				t.Errorf("nothing notices it: %v", err)
			}
		})
	}
}
