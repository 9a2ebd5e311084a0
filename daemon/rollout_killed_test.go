//go:build live

package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/simulate"
)

// rolloutKills is how often the gateway is killed in a rollout; SLIPWAY_KILL_ROUNDS=200 is the long run.
func rolloutKills(t *testing.T) int {
	t.Helper()
	s := os.Getenv("SLIPWAY_KILL_ROUNDS")
	if s == "" {
		return 20
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestLiveARolloutOutlivesKills kills the gateway again and again in the middle of a rollout, most often in the moment in
// which a device has been told of the build, and compares what devices were told with what is on record. (A rollout that
// lived in memory is stranded by a restart.)
func TestLiveARolloutOutlivesKills(t *testing.T) {
	t.Parallel()
	k := newKills(t, "")
	for round := range rolloutKills(t) {
		k.killOnce(round)
		if ended(k.look().State) {
			k.again()
		}
		for _, wrong := range k.wrong {
			t.Error(wrong)
		}
		if t.Failed() {
			t.Fatalf("after round %d", round)
		}
	}
	r := k.await(fleet.RolloutFinished)
	k.blameless(r)
	k.within(0, "all run it", func() bool { return k.lives.running(string(r.Version)) == len(k.devices) })
	t.Logf("%d kills, %d of them in the moment of an offer; %d restarts with the same evidence", rolloutKills(t), k.aimed, k.same)
}

// TestLiveAnOfferThatIsWrittenAfterItsFirstByteIsNoticed is the control: the same kills, of a gateway that writes an offer
// down a second after it was made.
func TestLiveAnOfferThatIsWrittenAfterItsFirstByteIsNoticed(t *testing.T) {
	t.Parallel()
	k := newKills(t, without(t, "pkg/rollout/offers.go",
		"	err := rs.options.Store.SaveRollout(event.ByItself(context.WithoutCancel(ctx)), change)\n",
		"	var err error\n	time.AfterFunc(time.Second, func() { _ = rs.options.Store.SaveRollout(event.ByItself(context.WithoutCancel(ctx)), change) })\n",
		"import (\n	\"context\"\n", "import (\n	\"context\"\n	\"time\"\n"))
	for round := range 10 {
		k.killOnce(round)
		if len(k.wrong) > 0 {
			t.Logf("noticed: %s", k.wrong[0])
			return
		}
	}
	t.Error("an offer that was not on record was not noticed")
}

// kills is a rollout whose gateway is killed.
type kills struct {
	*hall
	lives   *lives
	address string // that the devices know
	version string
	aimed   int
	same    int
	wrong   []string

	// What was there when the rollout was last looked at before a kill: crashes that were counted, and who was judged.
	crashes int
	judged  map[string]string
}

func newKills(t *testing.T, program string) *kills {
	t.Helper()
	// A fifth of them never says what it runs: of one that had the whole in the moment of a kill only its next polls show it.
	h := newHall(t, 60, simulate.Mix{simulate.Poller: 60, simulate.Arduino: 20, simulate.OTA: 20}, "rollout.up_within=2s")
	h.speed = 300
	k := &kills{hall: h, address: h.sets[h.listens()], version: "1.1.0"}
	if program != "" {
		h.program = program
		h.restart()
	}
	k.lives = h.play(h.devices)
	h.awaitHeard(60)
	h.begin()
	return k
}

// again begins the next rollout, where one has reached its end between two kills.
func (k *kills) again() {
	k.t.Helper()
	k.blameless(k.await(fleet.RolloutFinished))
	k.within(0, "all run it", func() bool { return k.lives.running(k.version) == len(k.devices) })
	k.version = "1." + strconv.Itoa(k.look().Number+1) + ".0"
	k.ship(k.version)
	k.cli("rollout", "start", "press", k.version, "--plan", k.plan)
}

func (k *kills) told(d simulate.Played) bool { return slices.Contains(d.Named, k.version) }

// killOnce kills the gateway, and looks at what is on record where no device can reach it.
func (k *kills) killOnce(round int) {
	k.t.Helper()
	before := k.awaitMoment(round)
	k.kill()
	k.startAt("listen.http=127.0.0.1:0")
	k.settle()
	after, records, told := k.look(), k.members(), k.lives.devices()
	k.blameless(after)
	unproven := 0
	for _, d := range told {
		m := records[d.Key]
		if !k.told(d) {
			continue
		}
		if m.Wave == 0 {
			k.say("%s was told of %s and is not on record: %+v", d.Key, k.version, m)
		}
		if m.State != fleet.MemberHealthy {
			unproven++
		}
	}
	if most := max(after.Plan.Unproven, after.Counts.Healthy); unproven > most && after.State != fleet.RolloutFinished {
		k.say("%d devices were told of it and are not healthy, with a budget of %d", unproven, most)
	}
	if before.Number == after.Number && k.judged != nil && maps.Equal(k.judged, judged(records)) && k.crashes == k.counted() {
		k.sameEvidence(before.Evidence, after.Evidence)
	}
	k.kill()
	k.startAt("listen.http=127.0.0.1:0")
	k.sameEvidence(after.Evidence, k.look().Evidence)
	k.kill()
	k.startAt(k.address)
}

// judged says of each device that was judged as what, and when: as many may be judged after a kill, and others.
func judged(members map[string]api.Member) map[string]string {
	all := map[string]string{}
	for key, m := range members {
		switch m.State {
		case fleet.MemberHealthy, fleet.MemberLost, fleet.MemberBack:
			all[key] = fmt.Sprint(m.State, m.JudgedAt)
		}
	}
	return all
}

// settle waits until the dumps that came before the kill are decoded: a signature is evidence from then on.
func (k *kills) settle() {
	k.t.Helper()
	k.within(0, "dumps are decoded", func() bool {
		var s api.Status
		k.statusJSON(&s)
		return s.Waiting == 0
	})
}

// counted are the crashes of all versions, decoded or not.
func (k *kills) counted() (n int) {
	k.t.Helper()
	var all struct {
		Versions []struct {
			Day struct{ Crashes int } `json:"last_24h"`
		}
	}
	k.cliJSON(&all, "model", "versions", "press")
	for _, v := range all.Versions {
		n += v.Day.Crashes
	}
	return n
}

func (k *kills) sameEvidence(before, after fleet.RolloutEvidence) {
	if before != after {
		k.say("the evidence was %+v, and after a kill it is %+v", before, after)
		return
	}
	k.same++
}

func (k *kills) startAt(address string) {
	k.t.Helper()
	k.sets[k.listens()] = address
	k.start()
}

// listens is which of the settings says where the gateway listens.
func (h *hall) listens() int {
	return slices.IndexFunc(h.sets, func(set string) bool { return strings.HasPrefix(set, "listen.http=") })
}

// awaitMoment waits until a device has been told of the build, and no longer: the worst moment. Every fourth time, or where
// nobody is offered anything, it is any moment.
func (k *kills) awaitMoment(round int) (last api.Rollout) {
	k.t.Helper()
	k.crashes, k.judged = k.counted(), judged(k.members()) // before the look, which may know more
	last = k.look()
	if !maps.Equal(k.judged, judged(k.members())) {
		k.judged = nil // somebody was judged in between: nothing is compared with this look
	}
	n := k.lives.count(k.told)
	latest := time.Now().Add(15 * time.Second)
	if round%4 == 3 {
		latest = time.Now().Add(rand.N(3 * time.Second))
	}
	for time.Now().Before(latest) {
		if round%4 != 3 && k.lives.count(k.told) > n {
			k.aimed++
			return last
		}
		time.Sleep(time.Millisecond)
	}
	return last
}

func (k *kills) blameless(r api.Rollout) {
	k.t.Helper()
	if e := r.Evidence; r.Counts.Lost > 0 || r.Counts.Back > 0 || e.Loss > 1 || e.Silence > 1.01 {
		k.t.Errorf("the build is blamed for kills: %s, %+v, %+v", r.State, r.Counts, e)
	}
}

func (k *kills) say(format string, args ...any) {
	k.wrong = append(k.wrong, fmt.Sprintf(format, args...))
}
