//go:build emulated

package packaging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// emulators are the architectures of the packages that this machine is not, with the magic by which the kernel tells
// their binaries, as Debian's qemu-user-static has it.
var emulators = map[string]struct{ name, program, magic string }{
	"arm64": {"aarch64", "qemu-aarch64-static", `\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00`},
	"arm7":  {"arm", "qemu-arm-static", `\x7f\x45\x4c\x46\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00`},
}

const magicMask = `\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`

// emulated makes the kernel run an architecture's binaries, until the test ends. The gateway starts its decode worker by
// executing itself, which only the kernel can do for it: an emulator that is called by name does not see that.
func emulated(t *testing.T, arch string) {
	t.Helper()
	const folder = "/proc/sys/fs/binfmt_misc"
	e := emulators[arch]
	program, err := exec.LookPath(e.program)
	if err != nil {
		t.Fatalf("%s is not here: apt-get install qemu-user-static", e.program)
	}
	if _, err := os.Stat(filepath.Join(folder, "register")); err != nil {
		if out, err := exec.Command("mount", "-t", "binfmt_misc", "binfmt_misc", folder).CombinedOutput(); err != nil {
			t.Fatalf("the kernel cannot be told to run %s: %v\n%s", e.name, err, out)
		}
		t.Cleanup(func() {
			if out, err := exec.Command("umount", folder).CombinedOutput(); err != nil {
				t.Errorf("umount: %v\n%s", err, out)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(folder, "qemu-"+e.name)); err == nil {
		return // Debian's own, which runs them for everybody
	}
	name := "slipway-test-" + e.name
	register := ":" + name + ":M::" + e.magic + ":" + magicMask + ":" + program + ":F"
	if err := os.WriteFile(filepath.Join(folder, "register"), []byte(register), 0); err != nil {
		t.Fatalf("register %s: %v", e.name, err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("-1"), 0); err != nil {
			t.Error(err)
		}
	})
}

// TestEmulatedGatewaysDoTheirWholeJob runs the very binaries of the packages: a bundle in, firmware out, a dump in, its
// report out, stopped and started again.
func TestEmulatedGatewaysDoTheirWholeJob(t *testing.T) {
	for arch := range emulators {
		t.Run(arch, func(t *testing.T) {
			emulated(t, arch)
			binary := filepath.Join(os.Getenv("SLIPWAY_STAGED"), arch, "slipway")
			if _, err := os.Stat(binary); err != nil {
				t.Fatalf("%v: run it with `make test-emulated`", err)
			}
			g := start(t, binary)
			if machine := strings.TrimSpace(g.run("version")); !strings.Contains(machine, "linux/arm") {
				t.Fatalf("it is %s", machine)
			}
			g.doWholeJob(t)
		})
	}
}

func (g *gateway) run(args ...string) string {
	g.t.Helper()
	out, err := g.cmd(args...).CombinedOutput()
	if err != nil {
		g.t.Fatalf("slipway %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (g *gateway) runJSON(v any, args ...string) {
	g.t.Helper()
	if err := json.Unmarshal([]byte(g.run(append(args, "--format", "json")...)), v); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) doWholeJob(t *testing.T) {
	build := crashOf(t, "valve")
	g.run("model", "add", "valve")
	g.run("device", "add", "--model", "valve", "--key", "valve001")
	var minted struct {
		Token string `json:"access_token"`
	}
	g.runJSON(&minted, "device", "token", "valve001")

	began := time.Now()
	drop := filepath.Join(g.state, "drop")
	if err := os.WriteFile(filepath.Join(drop, ".valve.zip"), build.bundle, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(drop, ".valve.zip"), filepath.Join(drop, "valve.zip")); err != nil {
		t.Fatal(err)
	}
	g.within(30*time.Second, "the bundle is accepted", func() bool {
		_, err := os.Stat(filepath.Join(drop, "accepted", "valve.zip"))
		return err == nil
	})
	t.Logf("ingested after %.2f s", time.Since(began).Seconds())

	if got := g.ask(http.StatusOK, http.MethodGet, "/api/iot/firmware", minted.Token, nil); !bytes.Equal(got, build.image) {
		t.Errorf("downloaded %d bytes, want %d", len(got), len(build.image))
	}
	half := len(build.image) / 2
	if got := g.ask(http.StatusPartialContent, http.MethodGet, "/api/iot/firmware", minted.Token, nil, "Range", fmt.Sprintf("bytes=%d-", half)); !bytes.Equal(got, build.image[half:]) {
		t.Errorf("resumed at %d: %d bytes", half, len(got))
	}

	began = time.Now()
	var stored struct{ Filename string }
	answer := g.ask(http.StatusCreated, http.MethodPost, "/api/iot/coredump?chip=esp32c3&firmware_version=1", minted.Token, build.dump)
	if err := json.Unmarshal(answer, &stored); err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSuffix(stored.Filename, ".dmp")
	g.within(30*time.Second, "the dump is reported", func() bool {
		return strings.Contains(g.run("crash", "list"), build.topFrame)
	})
	t.Logf("reported after %.2f s", time.Since(began).Seconds())
	if shown := g.run("dump", "show", "valve001", name); !strings.Contains(shown, strings.Fields(build.topFrame)[0]) {
		t.Errorf("the report does not name %s:\n%s", build.topFrame, shown)
	}
	file := filepath.Join(t.TempDir(), "b.age")
	key := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(key, []byte("correct horse battery staple\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.run("backup", "create", file, "--passphrase-file", key)

	g.stop()
	g.start()
	if got := g.ask(http.StatusOK, http.MethodGet, "/api/iot/firmware", minted.Token, nil); !bytes.Equal(got, build.image) {
		t.Errorf("after a restart %d bytes, want %d", len(got), len(build.image))
	}
	if shown := g.run("crash", "list"); !strings.Contains(shown, build.topFrame) {
		t.Errorf("after a restart:\n%s", shown)
	}
}

func (g *gateway) within(limit time.Duration, what string, holds func() bool) {
	g.t.Helper()
	limit = max(limit, 5*time.Minute) // it only bounds a hang: an emulator on a busy machine is slow
	for began := time.Now(); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > limit {
			g.t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

func (g *gateway) ask(want int, method, path, token string, body []byte, header ...string) []byte {
	g.t.Helper()
	req, err := http.NewRequest(method, g.url+path, bytes.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		g.t.Fatalf("%s %s: %s, %v\n%s", method, path, resp.Status, err, got)
	}
	return got
}
