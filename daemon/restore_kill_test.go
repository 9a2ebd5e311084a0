package main

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestARestoreThatIsKilledLeavesTheOldGatewayOrTheNewOneOrSaysThatItIsNeither ends restores at random moments. What is
// left starts as the one or the other, or refuses to start and says what to do; and done again the restore is whole.
func TestARestoreThatIsKilledLeavesTheOldGatewayOrTheNewOneOrSaysThatItIsNeither(t *testing.T) {
	t.Parallel()
	const least, most = 12, 90 // rounds: until each of the three was left once
	lost := startGateway(t)
	lost.cli("model", "add", "pump")
	lost.addDevice("pump")
	lost.within(5*time.Second, "a key", func() bool { return lost.exists("keys", "backup.key") })
	var key struct{ Recipient, Key string }
	lost.cliJSON(&key, "backup", "key", "--set", "state_dir="+lost.state)
	keyFile := passphraseIn(t, key.Key)
	file := filepath.Join(t.TempDir(), "b.age")
	lost.cli("backup", "create", file, "--recipient", key.Recipient)
	caOf := func(state string) string {
		ca, err := os.ReadFile(filepath.Join(state, "keys", "ca.crt"))
		if err != nil {
			t.Fatal(err)
		}
		return string(ca)
	}
	wanted := caOf(lost.state)

	g := startGateway(t)
	g.stop()
	restore := []string{"backup", "restore", file, "--key", keyFile, "--replace", "--set", "state_dir=" + g.state, "--set", "socket=" + g.socket}
	took := func() time.Duration {
		began := time.Now()
		g.cli(restore...)
		return time.Since(began)
	}
	// The quickest of all so far: by a slow one the others would be over before they are killed.
	whole := took()
	seen := map[string]int{}
	for round := 0; round < least || len(seen) < 3 && round < most; round++ {
		// Back to a gateway of its own, as a fresh installation makes it.
		for _, part := range []string{"keys", "catalog", "backup"} {
			if err := os.RemoveAll(filepath.Join(g.state, part)); err != nil {
				t.Fatal(err)
			}
		}
		g.start()
		g.stop()
		old := caOf(g.state)

		cmd := exec.Command("slipway", restore...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		marked := func() bool { return g.exists("restore-unfinished") }
		if round%3 > 0 { // while the files are exchanged
			until(ended, marked)
		}
		if round%3 > 1 { // after that
			until(ended, func() bool { return !marked() })
		} else {
			time.Sleep(rand.N(whole) / time.Duration(1+7*(round%3)))
		}
		_ = cmd.Process.Kill() // it may have ended
		<-ended                //nolint:errcheck // it was killed
		if g.exists("restore-unfinished") {
			seen["neither"]++
			if out, err := g.tryCLI(g.arguments()...); exitOf(err) != exitFailed || !strings.Contains(out, "backup restore") {
				t.Fatalf("it starts on half a restore: %v\n%s", err, out)
			}
		} else {
			g.start()
			devices := g.cli("device", "list", "--format", "json")
			g.stop()
			switch ca := caOf(g.state); {
			case ca == old && !strings.Contains(devices, "pump"):
				seen["old"]++
			case ca == wanted && strings.Contains(devices, "pump"):
				seen["new"]++
			default:
				t.Fatalf("it is neither the one nor the other:\n%s", devices)
			}
		}
		whole = min(whole, took())
		if caOf(g.state) != wanted {
			t.Fatal("done again, it is not the gateway that was backed up")
		}
		for _, left := range []string{"keys.restoring", "catalog.restoring", "restore-unfinished"} {
			if g.exists(left) {
				t.Errorf("%s is left behind", left)
			}
		}
	}
	for _, outcome := range []string{"old", "neither", "new"} {
		if seen[outcome] == 0 {
			t.Errorf("no kill left it %s: %v", outcome, seen)
		}
	}
	t.Logf("a whole restore took %s at least; after the kills it was %v", whole, seen)
}

// until returns when something holds, or a process has ended.
func until(ended chan error, holds func() bool) {
	for !holds() {
		select {
		case err := <-ended:
			ended <- err
			return
		case <-time.After(100 * time.Microsecond):
		}
	}
}
