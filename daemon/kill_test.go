package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// rounds is how often the gateway is killed; SLIPWAY_KILL_ROUNDS=200 is the long run.
func rounds(t *testing.T) int {
	t.Helper()
	s := os.Getenv("SLIPWAY_KILL_ROUNDS")
	if s == "" {
		return 10
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAGatewayThatIsKilledAtRandomMomentsLosesNothingThatItAcknowledged(t *testing.T) {
	t.Parallel()
	g := startGateway(t, forLoad()...)
	l := newLoad(t, g)
	for round := range rounds(t) {
		killOnce(t, l, round)
		if t.Failed() {
			t.Fatalf("after round %d\n%s", round, g.log)
		}
	}
	l.check(0)
	t.Logf("over %d kills were acknowledged: %s", rounds(t), l.summary())
}

// killOnce kills a gateway under load, every fourth time the next one while it starts, too, and asks for what was
// acknowledged in this round and the one before.
func killOnce(t *testing.T, l *load, round int) {
	t.Helper()
	l.begin(round)
	l.g.drop(fmt.Sprintf("round%d.zip", round), bundleOf(t, loadModel, fmt.Sprintf("2.%d.0", round)))
	l.until(rand.IntN(60))
	l.g.kill()
	l.end()
	if round%4 == 3 {
		ready := l.g.launch()
		select {
		case <-ready:
		case <-time.After(rand.N(200 * time.Millisecond)): // the moment of the kill, not a wait
		}
		l.g.kill()
	}
	l.g.start()
	l.check(round - 1)
}
