//go:build faults

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shiftable is the program with one more file in the wiring, from which every part gets its clock: the wall clock is off by
// the seconds that a file says, and the monotonic one is not, as when somebody sets a machine's clock. The machine's own is
// not touched; a static program has no other way to another time. What asks the kernel itself keeps the right time:
// deadlines, files' times.
const shiftable = `package gateway

import (
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

func shiftedNow() time.Time {
	now := time.Now()
	text, err := os.ReadFile(os.Getenv("SLIPWAY_FAULTS_CLOCK"))
	if err != nil {
		panic(err)
	}
	off, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		panic(err)
	}
	*(*uint64)(unsafe.Pointer(&now)) += uint64(off) << 30 // the seconds of the wall clock: see time.Time
	return now
}
`

// withClock builds it; changes are of one more file, as in without.
func withClock(t *testing.T, file string, changes ...string) (program string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join("..", "pkg", "gateway", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"pkg/gateway/shifted.go": shiftable}
	for _, path := range all {
		name := "pkg/gateway/" + filepath.Base(path)
		code := changed(t, name)
		if file == name {
			code = changed(t, name, changes...)
		}
		if !strings.HasSuffix(path, "_test.go") && (file == name || strings.Contains(code, "time.Now")) {
			code = strings.ReplaceAll(code, "time.Now", "shiftedNow")
			if !strings.Contains(code, "time.") {
				code = strings.Replace(code, "\t\"time\"\n", "", 1)
			}
			files[name] = code
		}
	}
	if _, there := files[file]; file != "" && !there {
		files[file] = changed(t, file, changes...)
	}
	return compiled(t, files)
}

// timed is a gateway whose clock can be set, and a device that uploads by its client id and secret.
type timed struct {
	*plant
	file   string
	device credentials
	last   string // dump
	wrong  []string
}

func newTimed(t *testing.T, program string) *timed {
	t.Helper()
	c := &timed{file: filepath.Join(t.TempDir(), "clock")}
	c.off(t, 0)
	g := newGateway(t, filepath.Join(t.TempDir(), "state"), forLoad()...)
	g.program, g.environment = program, []string{"SLIPWAY_FAULTS_CLOCK=" + c.file}
	g.start()
	c.plant = &plant{t: t, g: g, l: newLoad(t, g)}
	c.device = g.addDevice(loadModel)
	return c
}

// off sets how far the clock is off.
func (c *timed) off(t *testing.T, d time.Duration) {
	t.Helper()
	hidden := c.file + ".new"
	if err := os.WriteFile(hidden, fmt.Append(nil, int64(d/time.Second)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(hidden, c.file); err != nil {
		t.Fatal(err)
	}
}

func (c *timed) complain(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

// uploads sends a dump; its name has to come after that of the one before.
func (c *timed) uploads(when, authorization string) {
	c.t.Helper()
	a, err := c.g.tryAsk("POST", uploadPath("esp32c3", "1.0.0"), "", strings.NewReader("a dump "+when), "Authorization", authorization)
	if err != nil || a.StatusCode != http.StatusCreated {
		c.complain("%s: no dump is taken: %v %s", when, err, a.body)
		return
	}
	name := fmt.Sprint(a.json(c.t)["filename"])
	if name <= c.last {
		c.complain("%s: the dump %s comes after %s", when, name, c.last)
	}
	c.last = name
}

// basicOf is the Authorization of a device that shows its client id and secret.
func basicOf(d credentials) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(d.ID, d.Secret)
	return r.Header.Get("Authorization")
}

// mints reports whether tokens are given out.
func (c *timed) mints() bool {
	_, ok := c.l.tokenOf(c.device)
	return ok
}

// end asks for everything with a clock that is right.
func (c *timed) end() (wrong []string, asked int) {
	c.t.Helper()
	if !c.mints() {
		c.complain("no tokens, by a clock that is right")
	}
	for _, gone := range c.l.lost(0) {
		c.complain("acknowledged and lost: %s", gone)
	}
	c.g.stop()
	return c.wrong, c.l.answers()
}

const tenYears = 10 * 365 * 24 * time.Hour

// ahead sets the clock ten years ahead while a fleet asks, starts the gateway so, and sets it right again.
func ahead(t *testing.T, program string) ([]string, int) {
	c := newTimed(t, program)
	token := "Bearer " + c.g.deviceToken(c.device.Key)
	c.uploads("before", token)
	c.l.begin(0)
	c.l.until(20)
	c.off(t, tenYears)
	c.l.until(20)
	c.l.end()
	c.g.restart()
	c.uploads("ten years ahead", "Bearer "+c.g.deviceToken(c.device.Key))
	c.l.begin(1)
	c.l.until(20)
	c.off(t, 0)
	c.l.until(20)
	c.l.end()
	c.uploads("right again", token)
	c.g.restart()
	c.uploads("right again, after a start", token)
	return c.end()
}

// at1970 starts the gateway in 1970, where devices upload and nobody gets a token, and sets the clock right.
func at1970(t *testing.T, program string) ([]string, int) {
	c := newTimed(t, program)
	c.uploads("before", basicOf(c.device))
	c.l.begin(0)
	c.l.until(20)
	c.l.end()
	c.off(t, -time.Since(time.Unix(0, 0)))
	c.g.restart()
	c.uploads("in 1970", basicOf(c.device))
	if c.mints() {
		c.complain("in 1970 a token was given out")
	}
	if out, _ := c.g.tryCLI("status"); !strings.Contains(out, "the clock is wrong") {
		c.complain("in 1970 slipway status does not say that the clock is wrong")
	}
	c.off(t, 0)
	c.uploads("right again", basicOf(c.device))
	return c.end()
}

// back sets the clock back by 30 s while a fleet asks: less than the 60 s that a token may be from the future.
func back(t *testing.T, program string) ([]string, int) {
	c := newTimed(t, program)
	token := "Bearer " + c.g.deviceToken(c.device.Key)
	c.uploads("before", token)
	c.l.begin(0)
	c.l.until(20)
	c.off(t, -30*time.Second)
	c.l.until(20)
	c.l.end()
	c.uploads("30 s back", token)
	c.g.restart()
	c.uploads("30 s back, after a start", token)
	return c.end()
}

// TestFaultsAClockThatIsWrongLosesNothingAndLocksNobodyOut sets the clock of a whole gateway in a process; the machine's own
// stays right. A clock that is ahead for days is pkg/gateway's test, in simulated time.
func TestFaultsAClockThatIsWrongLosesNothingAndLocksNobodyOut(t *testing.T) {
	program := withClock(t, "")
	for _, set := range []struct {
		name    string
		play    func(*testing.T, string) ([]string, int)
		without string
		file    string
		changes []string
	}{
		{
			"clock ten years ahead, then right", ahead, "a leap is noted at once", "pkg/gateway/clock.go",
			[]string{"if now.Sub(noted) <= mostAhead {", "if now.Sub(noted) <= 1<<62 {"},
		},
		{
			"clock in 1970, then right", at1970, "any clock is believed", "pkg/gateway/clock.go",
			[]string{"	if from := noted.Add(-mostBehind); from.After(built) {", "	if from := time.Unix(0, 0); !from.After(built) {"},
		},
		{
			"clock set back by 30 s", back, "names by the clock only", "pkg/dumps/write.go",
			[]string{"micros := max(at.UnixMicro(), sh.last+1)", "micros := at.UnixMicro()"},
		},
	} {
		t.Run(set.name, func(t *testing.T) {
			t.Parallel()
			row := newFault(t, set.name, "the wiring's clock", 1)
			wrong, asked := set.play(t, program)
			for _, w := range wrong {
				t.Error(w)
			}
			row.found("%d acknowledged, none lost; tokens as they should be", asked)
			noticed := ""
			if wrong, _ = set.play(t, withClock(t, set.file, set.changes...)); len(wrong) > 0 {
				noticed = wrong[0]
			}
			row.noticed(set.without, noticed)
		})
	}
}
