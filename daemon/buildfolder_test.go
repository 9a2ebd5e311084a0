package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/testdata/buildfolder"
	"github.com/slipway-gateway/slipway/testdata/crash"
)

// handIn is a way to hand in the build in a folder. It runs with an environment of its own, and returns what it printed.
type handIn struct {
	name string
	push func(c *ci, l buildfolder.Layout, model, folder string, env []string) (string, error)
}

// handsIn are those that can be tried here.
func handsIn(c *ci) []handIn {
	all := []handIn{{"upload.sh", pushBySh}, {"slipway firmware add", pushByCLI}}
	if _, err := exec.LookPath("pwsh"); err == nil {
		all = append(all, handIn{"upload.ps1", pushByPs1})
	} else {
		c.t.Log("upload.ps1 is not run: there is no PowerShell here")
	}
	return all
}

func pushBySh(c *ci, l buildfolder.Layout, model, folder string, env []string) (string, error) {
	script := filepath.Join(c.t.TempDir(), "upload.sh")
	if err := os.WriteFile(script, []byte(c.askAt("https", "/api/pipeline/upload.sh")), 0o600); err != nil {
		return "", err
	}
	ca := filepath.Join(filepath.Dir(script), "ca.crt")
	if err := os.WriteFile(ca, []byte(c.askAt("https", "/ca.crt")), 0o600); err != nil {
		return "", err
	}
	cmd := exec.Command("sh", script, model, l.Folder)
	cmd.Dir, cmd.Env = folder, slices.Concat(env, []string{"SLIPWAY_CA=" + ca, "SLIPWAY_TOKEN=" + c.token, "SLIPWAY_ENV=" + l.Env, "SLIPWAY_VERSION=" + l.Version})
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func pushByCLI(c *ci, l buildfolder.Layout, model, folder string, env []string) (string, error) {
	cmd := exec.Command("slipway", "firmware", "add", l.Folder, "--model", model, "--env", l.Env, "--version", l.Version)
	cmd.Dir, cmd.Env = folder, slices.Concat(env, []string{"SLIPWAY_SOCKET=" + c.socket, "GORACE=atexit_sleep_ms=0"})
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func pushByPs1(c *ci, l buildfolder.Layout, model, folder string, env []string) (string, error) {
	script := filepath.Join(c.t.TempDir(), "upload.ps1")
	if err := os.WriteFile(script, []byte(c.askAt("https", "/api/pipeline/upload.ps1")), 0o600); err != nil {
		return "", err
	}
	cmd := exec.Command("pwsh", "-NoProfile", "-File", script, "-Model", model, "-Project", l.Folder, "-Env", l.Env, "-Version", l.Version,
		"-Url", c.urls["http"])
	cmd.Dir, cmd.Env = folder, slices.Concat(env, []string{"SLIPWAY_TOKEN=" + c.token})
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestTheBuildInEachFolderIsPushedOfferedFetchedAndItsDumpDecoded lays what each build system lays.
func TestTheBuildInEachFolderIsPushedOfferedFetchedAndItsDumpDecoded(t *testing.T) {
	t.Parallel()
	c := startCI(t, "dumps.burst=100")
	layouts, err := buildfolder.Layouts()
	if err != nil || len(layouts) < 9 {
		t.Fatalf("%d layouts, %v", len(layouts), err)
	}
	viewer := c.operatorToken("viewer")
	device := map[string]credentials{}
	for _, model := range []string{"valve", "sketch"} {
		c.cli("model", "add", model)
		device[model] = c.addDevice(model)
	}
	hands := handsIn(c)
	for i, l := range layouts {
		for j, hand := range hands {
			t.Run(l.Name+" by "+hand.name, func(t *testing.T) {
				version, model := fmt.Sprintf("%d.%d.0", i+1, j), "valve"
				b, err := crash.Rebuilt(version, "", false)
				if l.Arduino {
					l.Version += fmt.Sprint(".", j)
					version, model = l.Version, "sketch"
					b, err = crash.Rebuilt("", version, true)
				}
				must(t, err)
				other, err := crash.Rebuilt("9.9.9", "", false)
				must(t, err)
				folder, home, temporary := resolved(t), t.TempDir(), t.TempDir()
				must(t, l.Lay(folder, home, temporary, version, b, other))
				if l.Git {
					l.Version = ""
					version = fmt.Sprintf("v3.%d.0", j)
					tagged(t, folder, version)
				}
				out, err := hand.push(c, l, model, folder, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + temporary})
				if err != nil || !strings.Contains(out, model+" "+version) || !strings.Contains(out, "devices are offered it now") {
					t.Fatalf("%v: %s", err, out)
				}
				token := c.deviceToken(device[model].Key)
				a := c.ask("GET", "/api/iot/firmware", token, nil)
				if a.StatusCode != http.StatusOK || a.Header.Get("X-Firmware-Version") != version || !bytes.Equal(a.body, b.Image) {
					t.Errorf("the device gets %s, %q, %d bytes", a.Status, a.Header.Get("X-Firmware-Version"), len(a.body))
				}
				r := c.reportAt(viewer, c.upload(token, device[model].Key, version, b.Dump), "reported")
				if r.Grade != "exact" || r.TopFrame != crash.TopFrame {
					t.Errorf("its dump: %+v", r)
				}
				zip := c.ask("GET", "/api/device-models/"+model+"/firmware?format=zip", viewer, nil)
				if settings := fileOf(t, zip.body, "sdkconfig"); !strings.Contains(settings, l.Settings) || !strings.Contains(settings, `CONFIG_IDF_TARGET="esp32c3"`) {
					t.Errorf("its sdkconfig: %s", settings)
				}
			})
		}
	}
}

func TestAFolderThatHoldsNoSingleBuildSaysWhatToDo(t *testing.T) {
	t.Parallel()
	c := startCI(t)
	own, err := crash.Rebuilt("1.0.0", "", false)
	must(t, err)
	other, err := crash.Rebuilt("2.0.0", "", false)
	must(t, err)
	sketch, err := crash.Rebuilt("", "", true)
	must(t, err)
	for _, test := range []struct {
		name  string
		files map[string][]byte
		env   string
		says  []string
	}{
		{"nothing", map[string][]byte{"main.c": nil}, "", []string{"has no build: run idf.py build, pio run, esphome compile or arduino-cli compile --export-binaries first"}},
		{"a build of another name", map[string][]byte{".pio/build/c3/firmware.bin": own.Image, ".pio/build/c3/firmware.elf": own.ELF}, "s3",
			[]string{`has no build "s3" (there are c3)`}},
		{"two", map[string][]byte{
			".pio/build/c3/firmware.bin": own.Image, ".pio/build/c3/firmware.elf": own.ELF, ".pio/build/s3/firmware.bin": own.Image,
		}, "", []string{"has several builds (there are c3, s3): name one with", "SLIPWAY_ENV", "--env"}},
		{"no ELF", map[string][]byte{".pio/build/c3/firmware.bin": own.Image, ".pio/build/c3/bootloader.elf": {1}, ".pio/build/c3/bootloader.bin": {1}}, "",
			[]string{"has no ELF of firmware.bin: without it no core dump of this build can be read: build it again and keep the .elf"}},
		{"a sketch without its ELF", map[string][]byte{"v.ino": nil, "build/esp32.esp32.esp32/v.ino.bin": own.Image, "build/esp32.esp32.esp32/v.ino.merged.bin": own.Image}, "",
			[]string{"has no ELF of v.ino.bin"}},
		{"two pairs", map[string][]byte{"a.bin": own.Image, "a.elf": own.ELF, "b.bin": other.Image, "b.elf": other.ELF}, "", []string{"has several images with their ELF"}},
		{"the ELF of another build", map[string][]byte{"a.bin": own.Image, "a.elf": other.ELF}, "", []string{"pump.bin was not made from pump.elf"}},
		{"a sketch that nobody has named", map[string][]byte{"firmware.bin": sketch.Image, "firmware.elf": sketch.ELF}, "",
			[]string{`Arduino core, which gives every sketch the version "esp-idf: v4.4.7 38eeba213a": name this build with`}},
	} {
		folder := t.TempDir()
		for name, body := range test.files {
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o750))
			must(t, os.WriteFile(filepath.Join(folder, name), body, 0o600))
		}
		said := ""
		for _, hand := range handsIn(c) {
			out, err := hand.push(c, buildfolder.Layout{Folder: ".", Env: test.env}, "pump", folder,
				[]string{"PATH=" + os.Getenv("PATH"), "HOME=" + folder, "TMPDIR=" + t.TempDir()})
			if err == nil || !strings.Contains(out, test.says[0]) {
				t.Errorf("%s, by %s: %v: %s, want %q", test.name, hand.name, err, out, test.says[0])
			}
			said += out
		}
		for _, also := range test.says {
			if !strings.Contains(said, also) {
				t.Errorf("%s: nobody says %q: %s", test.name, also, said)
			}
		}
	}
	if out, err := c.tryCLI("firmware", "add", t.TempDir()); err == nil || !strings.Contains(out, "does not name its model: use --model") {
		t.Errorf("without a model: %v: %s", err, out)
	}
	if builds := c.builds(); strings.Contains(builds, "1.0.0") {
		t.Errorf("something was pushed:\n%s", builds)
	}
}

func TestWhatGitSaysBesideAWarningNamesASketch(t *testing.T) {
	c := startCI(t)
	for i, hand := range handsIn(c) {
		version := fmt.Sprintf("v3.%d.0", i)
		b, err := crash.Rebuilt("", version, true)
		must(t, err)
		folder, bin := t.TempDir(), t.TempDir()
		must(t, os.WriteFile(filepath.Join(folder, "firmware.bin"), b.Image, 0o600))
		must(t, os.WriteFile(filepath.Join(folder, "firmware.elf"), b.ELF, 0o600))
		must(t, os.WriteFile(filepath.Join(bin, "git"), []byte("#!/bin/sh\necho \"warning: tag 'v4' is externally known as 'v3'\" >&2\necho "+version+"\n"), 0o700))
		out, err := hand.push(c, buildfolder.Layout{Folder: "."}, "pump", folder,
			[]string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + folder, "TMPDIR=" + t.TempDir()})
		if err != nil || !strings.Contains(out, "pump "+version) {
			t.Errorf("by %s: %v: %s", hand.name, err, out)
		}
	}
}

func TestADescriptionOfComponentsWhoseNamesDifferInCaseIsRead(t *testing.T) {
	c := startCI(t)
	for i, hand := range handsIn(c) {
		version := fmt.Sprintf("1.%d.0", i)
		b, err := crash.Rebuilt(version, "", false)
		must(t, err)
		folder := t.TempDir()
		must(t, os.Mkdir(filepath.Join(folder, "build"), 0o750))
		for name, body := range map[string][]byte{
			"app.bin": b.Image, "app.elf": b.ELF, "other.bin": b.Image, "other.elf": b.ELF, "project_description.json": []byte(
				"{\n    \"project_name\": \"app\",\n    \"build_component_info\": {\"mqtt\": {}, \"MQTT\": {}}\n}\n"),
		} {
			must(t, os.WriteFile(filepath.Join(folder, "build", name), body, 0o600))
		}
		out, err := hand.push(c, buildfolder.Layout{Folder: "."}, "pump", folder,
			[]string{"PATH=" + os.Getenv("PATH"), "HOME=" + folder, "TMPDIR=" + t.TempDir()})
		if err != nil || !strings.Contains(out, "pump "+version) {
			t.Errorf("by %s: %v: %s", hand.name, err, out)
		}
	}
}

// resolved is a temporary folder without links in its path.
func resolved(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tagged makes a folder a git repository with one commit and a tag.
func tagged(t *testing.T, folder, tag string) {
	t.Helper()
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"commit", "-q", "-m", "a sketch"}, {"tag", tag}} {
		cmd := exec.Command("git", append([]string{"-c", "user.name=test", "-c", "user.email=test@example.com"}, args...)...)
		cmd.Dir = folder
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
}

// fileOf is the text of a file in a bundle.
func fileOf(t *testing.T, zip []byte, name string) (text string) {
	t.Helper()
	repack(t, zip, func(n string, body []byte) []byte {
		if n == name {
			text = string(body)
		}
		return body
	})
	return text
}
