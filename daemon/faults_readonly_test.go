//go:build faults

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// readOnly has the whole disk take nothing, as a mount does that nobody can write through. Who has a file open for writing
// keeps it from that.
func (d *disk) readOnly(yes bool) {
	d.t.Helper()
	d.once("mount", "-o", "remount,"+map[bool]string{true: "ro", false: "rw"}[yes], d.dir)
}

// cover lays a mount over a folder through which nothing can be written; what is open stays as it is. uncover takes it away.
func cover(t testing.TB, dir string) (uncover func()) {
	t.Helper()
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err == nil { // read-only before anybody can open a file through it
		defer unix.Close(tree) //nolint:errcheck // it is mounted by then, or nobody's
		err = unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	}
	if err == nil {
		err = unix.MoveMount(tree, "", unix.AT_FDCWD, dir, unix.MOVE_MOUNT_F_EMPTY_PATH)
	}
	if err != nil {
		t.Fatal(err)
	}
	over := &disk{t: t, dir: dir}
	return over.unmount
}

// breakIt has ext4 find an error in itself, after which it is read-only until it was checked: without the flag that says so.
func (d *disk) breakIt() {
	d.t.Helper()
	source, err := exec.Command("findmnt", "-no", "SOURCE", d.dir).Output()
	if err != nil {
		d.t.Fatal(err)
	}
	device := filepath.Base(strings.TrimSpace(string(source)))
	if err := os.WriteFile("/sys/fs/ext4/"+device+"/trigger_fs_error", []byte("by the test"), 0o200); err != nil {
		d.t.Fatal(err)
	}
}

// repaired unmounts it, has it checked and mounts it again.
func (d *disk) repaired() {
	d.t.Helper()
	d.unmount()
	image := d.mount[len(d.mount)-2]
	if out, err := exec.Command("e2fsck", "-fp", image).CombinedOutput(); err != nil {
		var ended *exec.ExitError
		if !errors.As(err, &ended) || ended.ExitCode() != 1 { // 1: it was mended
			d.t.Fatalf("e2fsck: %v\n%s", err, out)
		}
	}
	d.mountAgain()
}

// served says what a device and an operator are not served that only reads, "" for nothing.
func (l *load) served() string {
	token, ok := l.tokenOf(l.devices[1])
	if !ok {
		return "no token"
	}
	for _, path := range []string{"/api/iot/config", "/api/iot/firmware", "/api/iot/firmware-version"} {
		if a, ok := l.asked(http.StatusOK, "GET", path, token, nil); !ok {
			return fmt.Sprintf("%s: %s", path, a.body)
		}
	}
	for path, token := range map[string]string{"/.well-known/jwks.json": "", "/static/style.css": "", "/api/health": "", "/api/devices": l.admin, "/api/crashes": l.admin} {
		if a, ok := l.asked(http.StatusOK, "GET", path, token, nil); !ok {
			return fmt.Sprintf("%s: %s", path, a.body)
		}
	}
	return l.signedIn()
}

// signedIn says why an operator cannot sign in and see the page, "" where that works.
func (l *load) signedIn() string {
	a, ok := l.asked(http.StatusSeeOther, "POST", "/login", "", []byte("token="+l.admin), "Content-Type", "application/x-www-form-urlencoded")
	if !ok {
		return fmt.Sprintf("sign-in: %s", a.body)
	}
	for _, c := range a.Cookies() {
		if a, ok := l.asked(http.StatusOK, "GET", "/", "", nil, "Cookie", c.Name+"="+c.Value); !ok {
			return fmt.Sprintf("the page: %s", a.body)
		}
	}
	return ""
}

// refused says what is not answered as on a disk that takes nothing, "" for nothing: writes with 507, and health says why. Uploads
// make room for themselves where that is all that is missing.
func (l *load) refused(why string) string {
	a, ok := l.asked(http.StatusInsufficientStorage, "POST", uploadPath("esp32c3", "1.0.0"), l.tokens[0], []byte("core"))
	if !ok && (strings.HasPrefix(why, "read-only") || a.Response == nil || a.StatusCode != http.StatusCreated) {
		return answered("an upload", a)
	}
	if a, ok := l.asked(http.StatusInsufficientStorage, "POST", "/api/device-models", l.admin, []byte(`{"code":"another"}`)); !ok {
		return answered("a model", a)
	}
	if a, ok := l.asked(http.StatusInsufficientStorage, "POST", "/api/pipeline/models/"+loadModel+"/firmware", l.admin, bundleOf(l.t, loadModel, "9.9.9")); !ok {
		return answered("a build", a)
	}
	a, _ = l.asked(http.StatusOK, "GET", "/api/health", "", nil)
	var said struct {
		Status  string
		Trouble []string
	}
	if err := json.Unmarshal(a.body, &said); err != nil || said.Status != "degraded" || !regexp.MustCompile(why).MatchString(strings.Join(said.Trouble, "\n")) {
		return fmt.Sprintf("health: %s", a.body)
	}
	return ""
}

// answered says how something was answered, also where it was not.
func answered(what string, a answer) string {
	if a.Response == nil {
		return what + " without an answer"
	}
	return what + " answered with " + a.Status
}

// reads fails the test unless everything that was acknowledged is read and served, and changes are refused with trouble that
// says why, a regular expression.
func (p *plant) reads(why string) {
	p.t.Helper()
	p.g.within(testPatience, "trouble that says "+why, func() bool { // it looks at its disk now and then
		a, _ := p.l.asked(http.StatusOK, "GET", "/api/health", "", nil)
		return regexp.MustCompile(why).Match(a.body)
	})
	for _, wrong := range append(p.l.lost(0), p.l.served(), p.l.refused(why)) {
		if wrong != "" && !rotated(wrong) {
			p.t.Errorf("on a disk that takes nothing: %s", wrong)
		}
	}
	if trace := goTrace(p.g.log.String()); trace != "" {
		p.t.Errorf("a Go trace in the log:\n%s", trace)
	}
	if p.t.Failed() {
		p.t.Fatal(p.g.log)
	}
}

// takes returns how long after a disk was given back a change was stored.
func (p *plant) takes(since time.Time) time.Duration {
	p.t.Helper()
	p.g.within(testPatience, "a change", func() bool {
		_, ok := p.l.asked(http.StatusOK, "PUT", "/api/devices/"+p.l.devices[1].Key+"/config", p.l.admin, []byte(`{"deviceName":"back"}`))
		return ok
	})
	return time.Since(since)
}

// startWithoutStandIn is how a start ends, on the disk as it is, of a program that makes no copy of the catalog; "" where it
// serves.
func (p *plant) startWithoutStandIn() string {
	p.t.Helper()
	defer func() { p.g.program = "" }()
	p.g.program = sharedWithout(p.t, "pkg/catalog/catalog.go", `errors.Is(err, fleet.ErrFull) && o.StandIn != ""`, "false")
	if err := p.g.tryStart(); err != nil {
		return "no start"
	}
	return ""
}

// TestFaultsAStartOnAReadOnlyDiskServes starts a gateway that was killed on a disk that cannot be written, and makes the disk
// writable under it.
func TestFaultsAStartOnAReadOnlyDiskServes(t *testing.T) {
	for _, kind := range []string{"ext4", "xfs", "tmpfs"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			row := newFault(t, "a start on a read-only disk", kind, times(1, 10))
			row.needsRoot()
			p := newPlantOn(t, newDisk(t, kind), "")
			var longest time.Duration
			for round := range row.rounds {
				p.l.begin(round)
				p.l.until(40)
				p.l.end()
				p.g.end() // a kill leaves logs, which Badger does not open for reading
				p.d.readOnly(true)
				p.g.start()
				p.reads("read-only")
				p.d.readOnly(false)
				longest = max(longest, p.takes(time.Now()))
				p.l.begin(round)
				p.l.until(20)
				p.l.end()
				p.g.restart() // what a kill has left goes
				p.check(0)
				if t.Failed() {
					t.Fatalf("in round %d\n%s", round, p.g.log)
				}
			}
			row.found("all served, writable again after %.1f s at most; %d acknowledged, none lost", longest.Seconds(), p.l.answers())
			p.g.stop()
			p.d.readOnly(true)
			row.noticed("without a copy of the catalog", p.startWithoutStandIn())
			p.close()
		})
	}
}

// TestFaultsADiskThatBecomesReadOnlyIsReadFrom takes the disk's writability from a gateway that a fleet asks.
func TestFaultsADiskThatBecomesReadOnlyIsReadFrom(t *testing.T) {
	for _, kind := range []string{"ext4", "tmpfs"} {
		t.Run(kind+" under a read-only mount", func(t *testing.T) {
			t.Parallel()
			row := newFault(t, "read-only while it runs: a mount over it", kind, times(2, 20))
			row.needsRoot()
			p := newPlantOn(t, newDisk(t, kind), "")
			var longest time.Duration
			for round := range row.rounds {
				p.l.begin(round)
				p.l.until(40)
				uncover := cover(t, p.d.path("state"))
				p.l.end()
				p.reads("read-only")
				uncover()
				longest = max(longest, p.takes(time.Now()))
				p.g.restart() // what could not be removed goes
				p.check(0)
				if t.Failed() {
					t.Fatalf("in round %d\n%s", round, p.g.log)
				}
			}
			row.found("all served, writable again after %.1f s at most; %d acknowledged, none lost", longest.Seconds(), p.l.answers())
			p.g.program = sharedWithout(t, "pkg/gateway/disk.go", "stat.Flags&unix.ST_RDONLY != 0 {\n\t\t\treturn", "false {\n\t\t\treturn")
			p.g.restart()
			uncover := cover(t, p.d.path("state"))
			noticed := p.l.refused("read-only")
			uncover()
			p.close()
			row.noticed("nobody asks whether it is", noticed)
		})
	}
	t.Run("ext4 after an error", func(t *testing.T) {
		t.Parallel()
		row := newFault(t, "read-only while it runs: an error of the file system", "ext4", times(2, 20))
		row.needsRoot()
		p := newPlantOn(t, newDisk(t, "ext4"), "")
		tell(t, "mount", "-o", "remount,errors=remount-ro", p.d.dir)
		for round := range row.rounds {
			p.l.begin(round)
			p.l.until(40)
			p.d.breakIt()
			p.l.end()
			p.reads("read-only|disk failed") // what was being written gets EIO, what comes later EROFS
			p.g.end()
			p.g.start() // a crash of it there, too
			p.reads("read-only")
			p.g.end()
			p.d.repaired()
			tell(t, "mount", "-o", "remount,errors=remount-ro", p.d.dir)
			p.g.start()
			p.check(0)
			if t.Failed() {
				t.Fatalf("in round %d\n%s", round, p.g.log)
			}
		}
		row.found("all served, also after a start on it; %d acknowledged, none lost", p.l.answers())
		p.g.stop()
		p.d.breakIt()
		row.noticed("without a copy of the catalog", p.startWithoutStandIn())
		p.close()
	})
}

// TestFaultsAStartWithoutRoomForACopyServesImagesAndKeys starts a gateway on a read-only disk, with too little memory for a copy
// of its catalog.
func TestFaultsAStartWithoutRoomForACopyServesImagesAndKeys(t *testing.T) {
	row := newFault(t, "a start on a read-only disk, no room for a copy", "tmpfs", times(1, 10))
	row.needsRoot()
	p := newPlantOn(t, newDisk(t, "tmpfs"), "")
	p.g.drop("seven.zip", bundleOf(t, loadModel, "7.0.0"))
	p.g.within(testPatience, "the bundle", func() bool { return p.g.exists("drop", "accepted", "seven.zip") })
	small := mountAt(t, "-t", "tmpfs", "-o", "size=16m", "tmpfs")
	for round := range row.rounds {
		p.l.begin(round)
		p.l.until(20)
		p.l.end()
		p.g.end()
		p.d.readOnly(true)
		usual := p.g.socket
		p.g.socket = small.path("s")
		p.g.start()
		if wrong := p.l.bare("7.0.0"); wrong != "" {
			t.Errorf("%s\n%s", wrong, p.g.log)
		}
		p.d.readOnly(false)
		if err := <-p.g.ended; err != nil {
			t.Errorf("it ended with %v\n%s", err, p.g.log)
		}
		p.g.cmd, p.g.socket = nil, usual
		p.g.start()
		p.check(0)
	}
	row.found("keys and images served, ended in order when it could be written; %d acknowledged, none lost", p.l.answers())
	p.g.stop()
	p.d.readOnly(true)
	usual := p.g.socket
	p.g.socket = small.path("s")
	p.g.program = sharedWithout(t, "pkg/gateway/serve.go", "errors.Is(err, catalog.ErrNoStandIn)", "false")
	noticed := ""
	if err := p.g.tryStart(); err != nil {
		noticed = "no start"
	}
	p.g.program, p.g.socket = "", usual
	p.close()
	row.noticed("nothing is served without a catalog", noticed)
}

// bare says what is not served of keys and images, or is served beyond them, "" for nothing.
func (l *load) bare(version string) string {
	for _, of := range []struct {
		status              int
		method, path, token string
	}{
		{http.StatusOK, "GET", "/api/health", ""},
		{http.StatusOK, "GET", "/.well-known/jwks.json", ""},
		{http.StatusOK, "GET", "/ca.crt", ""},
		{http.StatusOK, "GET", "/api/iot/firmware/" + version, l.tokens[0]},
		{http.StatusNotFound, "GET", "/api/iot/firmware/99.0.0", l.tokens[0]},
		{http.StatusUnauthorized, "GET", "/api/iot/firmware/" + version, l.admin},
		{http.StatusServiceUnavailable, "GET", "/api/iot/firmware", l.tokens[0]},
		{http.StatusServiceUnavailable, "GET", "/api/iot/config", l.tokens[0]},
		{http.StatusServiceUnavailable, "POST", "/api/oauth/token", ""},
		{http.StatusServiceUnavailable, "POST", uploadPath("esp32c3", "1.0.0"), l.tokens[0]},
		{http.StatusServiceUnavailable, "GET", "/api/devices", l.admin},
	} {
		a, ok := l.asked(of.status, of.method, of.path, of.token, nil)
		if !ok {
			return answered(of.path, a)
		}
		if of.path == "/api/health" && !strings.Contains(string(a.body), "degraded") {
			return string(a.body)
		}
	}
	return ""
}
