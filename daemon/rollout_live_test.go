//go:build live

package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/simulate"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// allKinds are mostly such as are heard between two boots.
var allKinds = simulate.Mix{simulate.ESPMDM: 15, simulate.Poller: 55, simulate.OTA: 15, simulate.Arduino: 15}

// plantSize is how many devices the large rollouts have; SLIPWAY_ROLLOUT_DEVICES says otherwise.
func plantSize(t *testing.T) int {
	t.Helper()
	s := os.Getenv("SLIPWAY_ROLLOUT_DEVICES")
	if s == "" {
		return 300
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 40 || n > 900 {
		t.Fatalf("SLIPWAY_ROLLOUT_DEVICES=%s: want 40 to 900", s)
	}
	return n
}

// wide is a hall of the full size, of all kinds, with ten unproven devices from the beginning.
func wide(t *testing.T, settings ...string) *hall {
	t.Helper()
	h := newHall(t, plantSize(t), allKinds, settings...)
	h.plan = hurried
	return h
}

func TestLiveRollouts(t *testing.T) {
	t.Run("a good build reaches all, and its first waves are spread over the lines", func(t *testing.T) {
		t.Parallel()
		h := wide(t)
		goodRollout(t, h)
		spreadOverLines(t, h.members())
	})
	for fault, why := range map[string][]string{
		"1.1.0=silent":    {"3 of the first 3 devices did not come back"},
		"1.1.0=back":      {"# of the first # devices went back"},
		"1.1.0=back:30%":  {"# of the first # devices went back", "crashes # times where # were to be expected"},
		"1.1.0=crash:60%": {"crashes # times where # were to be expected"},
		"1.1.0=late:25m":  {"falls silent # times as often", "# of the first # devices did not come back"},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			badRollout(t, wide(t), fault, why...)
		})
	}
}

// spreadOverLines checks that the ten first devices are those of no line and no list (hawkBit #1086: a group in the order of creation
// is one uplink).
func spreadOverLines(t *testing.T, members map[string]api.Member) {
	t.Helper()
	lines, first := map[string]int{}, 0
	for key, m := range members {
		if m.Wave > 2 || m.Wave == 0 {
			continue
		}
		lines[m.Line]++
		if key <= "press010" {
			first++
		}
	}
	for i := 1; i <= 3; i++ {
		if n := lines[fmt.Sprintf("hall-%d", i)]; n < 2 || n > 5 {
			t.Errorf("of the first ten devices %v are on the lines", lines)
			break
		}
	}
	if first > 5 {
		t.Errorf("%d of the first ten devices are those that were made first", first)
	}
}

// child plays devices in a process, which can be stopped and go on, as a line does that is cut.
func (h *hall) child(devices []simulate.Device) *os.Process {
	h.t.Helper()
	var list bytes.Buffer
	w := csv.NewWriter(&list)
	_ = w.Write([]string{"model_code", "device_key", "client_secret"})
	for _, d := range devices {
		_ = w.Write([]string{"press", d.Key, d.Secret})
	}
	w.Flush()
	name := filepath.Join(h.t.TempDir(), "line.csv")
	if err := os.WriteFile(name, list.Bytes(), 0o600); err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.Command("slipway", "simulate", "--gateway", h.url, "--model", "press", "--csv", name, "--runs", "1.0.0",
		"--mix", "poller=60,ota=20,arduino=20", "--speed", fmt.Sprint(h.speed))
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process
}

// TestLiveALineThatIsCutIsNoFaultOfTheBuild stops a third of the plant in the middle of a rollout, and has late devices join
// (hawkBit #1529: a late device is in no group), and such as are off all the time.
func TestLiveALineThatIsCutIsNoFaultOfTheBuild(t *testing.T) {
	t.Parallel()
	h := newHall(t, 90, quick)
	h.plan = hurried
	off := h.add(801, 3, quick)
	var cut, lit []simulate.Device
	for i, d := range h.devices { // numbers 1, 4, 7 … are on hall-2
		if i%3 == 0 {
			cut = append(cut, d)
		} else {
			lit = append(lit, d)
		}
	}
	line := h.child(cut)
	l := h.play(lit)
	h.awaitHeard(90)
	h.begin()
	blameless := func(r api.Rollout) {
		if e := r.Evidence; r.Counts.Lost > 0 || e.Loss > 1 || e.Silence > 1.01 {
			t.Fatalf("a line that was cut is blamed on the build: %+v, %+v\n%s", r.Counts, e, h.cli("rollout", "explain", "press"))
		}
	}
	h.awaitThat("the last wave is open and somebody on hall-2 is in the middle", func(r api.Rollout) bool {
		if r.Wave < 3 {
			return false
		}
		for _, m := range h.members() {
			if m.Line == "hall-2" && (m.State == fleet.MemberFetched || m.State == fleet.MemberUp) {
				return true
			}
		}
		return false
	})
	if err := line.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	late := h.add(701, 6, quick)
	joined := h.play(late)
	h.awaitThat("hall-2 is dark, and the other lines went on without it", func(r api.Rollout) bool {
		blameless(r)
		healthy := 0
		for _, m := range h.members() {
			if m.Line != "hall-2" && m.State == fleet.MemberHealthy {
				healthy++
			}
		}
		return len(r.Dark) == 1 && r.Dark[0] == "hall-2" && healthy >= 40
	})
	if err := line.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r := h.await(fleet.RolloutFinished)
	blameless(r)
	if len(r.Dark) > 0 {
		t.Errorf("dark: %v", r.Dark)
	}
	members := h.members()
	for _, d := range off {
		if m := members[d.Key]; m.State != fleet.MemberOff {
			t.Errorf("%s was off all the time and is %s", d.Key, m.State)
		}
	}
	h.within(0, "those that joined late run it", func() bool { return joined.running("1.1.0") == len(late) })
	back := h.play(off)
	h.within(0, "those that were off get it when they are back", func() bool { return back.running("1.1.0") == len(off) })
	h.within(0, "all others run it", func() bool { return l.running("1.1.0") == len(lit) })
	for key, version := range h.offers() {
		if version != "1.1.0" {
			t.Errorf("%s is offered %s", key, version)
		}
	}
}

// TestLiveARolloutByCI is a pipeline that adds a build, waits, and acts by the exit code.
func TestLiveARolloutByCI(t *testing.T) {
	t.Parallel()
	h := newHall(t, 20, quick)
	if code := h.codeOf("rollout", "wait", "press"); code != exitNotFound {
		t.Errorf("without a rollout a wait ends with %d", code)
	}
	h.cli("rollout", "plan", "press", seconds)
	h.sets = append(h.sets, "firmware.publish=rollout")
	h.restart()
	l := h.play(h.devices)
	h.awaitHeard(20)
	h.ship("1.2.0")
	if code := h.codeOf("rollout", "wait", "press", "--timeout", "1s"); code != exitNotEnded {
		t.Errorf("of one that runs a wait ends with %d", code)
	}
	h.ship("1.3.0") // accepted and not published: the first stands before it
	if got := h.offered(); got != "1.0.0" {
		t.Errorf("the model is offered %q", got)
	}
	if out, err := h.tryCLI("firmware", "publish", "press", "1.3.0"); err == nil || !bytes.Contains([]byte(out), []byte("--halt-first")) {
		t.Errorf("a publish beside a rollout: %v, %s", err, out)
	}
	if code := h.codeOf("rollout", "wait", "press"); code != exitDone {
		t.Errorf("of a good build a wait ends with %d", code)
	}
	if got := h.offered(); got != "1.2.0" {
		t.Errorf("after it the model is offered %q", got)
	}

	h.cli("rollout", "start", "press", "1.3.0")
	h.cli("rollout", "halt", "press", "--reason", "the wrong build")
	if code := h.codeOf("rollout", "wait", "press"); code != exitFailed {
		t.Errorf("of one that has halted a wait ends with %d", code)
	}
	h.says("why", h.look().Why, "halted by uid:#: the wrong build")
	h.ship("1.4.0") // a rollout, as nothing stands before it
	h.awaitThat("the next rollout runs", func(r api.Rollout) bool { return r.Version == "1.4.0" && r.Wave > 0 })
	h.cli("firmware", "publish", "press", "1.1.0", "--halt-first")
	if r := h.look(); r.State != fleet.RolloutHalted && r.State != fleet.RolloutReplaced {
		t.Errorf("after publish --halt-first the rollout is %s", r.State)
	}
	if got := h.offered(); got != "1.1.0" {
		t.Errorf("after publish --halt-first the model is offered %q", got)
	}
	h.within(0, "all run what was published, also who had the build that halted", func() bool { return l.running("1.1.0") == 20 })
}

// ship adds a build as a pipeline does.
func (h *hall) ship(version string) {
	h.t.Helper()
	zip, err := firmware.Build{Code: "press", Version: version, Project: "press"}.Bundle()
	if err != nil {
		h.t.Fatal(err)
	}
	name := filepath.Join(h.t.TempDir(), "press.zip")
	if err := os.WriteFile(name, zip, 0o600); err != nil {
		h.t.Fatal(err)
	}
	h.cli("firmware", "add", name)
}

// codeOf is the exit code of a command.
func (h *hall) codeOf(args ...string) int {
	h.t.Helper()
	out, err := h.tryCLI(args...)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	h.t.Fatalf("%v: %v\n%s", args, err, out)
	return -1
}

// TestLiveARetreatBringsTheBaseBack halts a rollout by hand, takes it back, and publishes something else.
func TestLiveARetreatBringsTheBaseBack(t *testing.T) {
	t.Parallel()
	h := newHall(t, 30, quick)
	h.plan = hurried
	l := h.play(h.devices)
	h.awaitHeard(30)
	h.begin()
	h.awaitThat("some have it", func(r api.Rollout) bool { return r.Counts.Healthy >= 3 })
	h.cli("rollout", "halt", "press", "--reason", "it hums")
	if out, err := h.tryCLI("rollout", "retreat", "press", "--reason", "it hums"); err == nil || !bytes.Contains([]byte(out), []byte("untested")) {
		t.Errorf("a retreat that nobody has tried: %v, %s", err, out)
	}
	pinned := ""
	for key, m := range h.members() {
		if m.State == fleet.MemberHealthy {
			pinned = key
		}
	}
	h.cli("device", "set", pinned, "--pin", "1.0.0")
	h.within(0, "the pinned one runs the base, so that a retreat is tested", func() bool {
		_, err := h.tryCLI("rollout", "retreat", "press", "--reason", "it hums")
		return err == nil
	})
	h.await(fleet.RolloutRetreated)
	h.within(0, "all run the base", func() bool { return l.running("1.0.0") == 30 })
	if got := h.offered(); got != "1.0.0" {
		t.Errorf("the model is offered %q", got)
	}
	if code := h.codeOf("rollout", "wait", "press"); code != exitFailed {
		t.Errorf("of one that was taken back a wait ends with %d", code)
	}
}

// TestLiveAThresholdIsRead is NervesHub #419, whose failure_threshold is declared and read nowhere: with another
// rollout.alpha a rollout halts elsewhere.
func TestLiveAThresholdIsRead(t *testing.T) {
	t.Parallel()
	h := newHall(t, 40, quick, "rollout.alpha=0.01")
	badRollout(t, h, "1.1.0=silent", "2 of the first 2 devices did not come back")
}
