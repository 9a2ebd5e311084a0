//go:build packages

package packaging

import (
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/page"
)

// held are the files of both packages, with their modes.
var held = map[string]string{
	"/etc/slipway/slipway.yaml":                                         "-rw-r--r--",
	"/usr/bin/slipway":                                                  "-rwxr-xr-x",
	"/usr/lib/systemd/system/slipway.service":                           "-rw-r--r--",
	"/usr/lib/systemd/system/slipway.socket":                            "-rw-r--r--",
	"/usr/lib/sysusers.d/slipway.conf":                                  "-rw-r--r--",
	"/usr/lib/tmpfiles.d/slipway.conf":                                  "-rw-r--r--",
	"/usr/share/bash-completion/completions/slipway":                    "-rw-r--r--",
	"/usr/share/doc/slipway/copyright":                                  "-rw-r--r--",
	"/usr/share/doc/slipway/examples/grafana/slipway-fleet.json":        "-rw-r--r--",
	"/usr/share/doc/slipway/examples/grafana/slipway.json":              "-rw-r--r--",
	"/usr/share/doc/slipway/examples/prometheus/slipway.rules.test.yml": "-rw-r--r--",
	"/usr/share/doc/slipway/examples/prometheus/slipway.rules.yml":      "-rw-r--r--",
	"/usr/share/doc/slipway/examples/prometheus/slipway.yml":            "-rw-r--r--",
	"/usr/share/doc/slipway/sbom.cdx.json":                              "-rw-r--r--",
	"/usr/share/fish/vendor_completions.d/slipway.fish":                 "-rw-r--r--",
	"/usr/share/man/man5/slipway.yaml.5.gz":                             "-rw-r--r--",
	"/usr/share/man/man8/slipway.8.gz":                                  "-rw-r--r--",
}

// heldBy are those of one of them.
var heldBy = map[string][]string{
	"deb": {"/usr/share/doc/slipway/changelog.Debian.gz", "/usr/share/lintian/overrides/slipway", "/usr/share/zsh/vendor-completions/_slipway"},
	"rpm": {"/usr/lib/systemd/system-preset/50-slipway.preset", "/usr/share/zsh/site-functions/_slipway"},
}

func TestPackagesHoldWhatTheyAreToHold(t *testing.T) {
	machines := map[string]string{"amd64": "x86_64", "arm64": "aarch64", "armhf": "armv7hl"}
	for _, deb := range built(t, ".deb") {
		of := strings.TrimSpace(string(command(t, ".", "dpkg-deb", "--field", deb, "Architecture")))
		t.Run(of, func(t *testing.T) {
			compare(t, "deb", listDeb(t, deb))
			rpms := built(t, ".rpm")
			i := slices.IndexFunc(rpms, func(name string) bool { return strings.HasSuffix(name, "."+machines[of]+".rpm") })
			if i < 0 {
				t.Fatalf("there is no .rpm for %s among %q", machines[of], rpms)
			}
			compare(t, "rpm", listRPM(t, rpms[i]))
			checkSettingsAreKept(t, deb, rpms[i])
			unpacked := t.TempDir()
			command(t, ".", "dpkg-deb", "--extract", deb, unpacked)
			checkBinary(t, filepath.Join(unpacked, "usr/bin/slipway"), of)
			checkBill(t, unpacked)
		})
	}
}

// listDeb is path to mode, and fails for what is not root's.
func listDeb(t *testing.T, deb string) map[string]string {
	files := map[string]string{}
	for line := range strings.Lines(string(command(t, ".", "sh", "-c", "dpkg-deb --fsys-tarfile \"$1\" | tar --numeric-owner -tvf -", "sh", deb))) {
		f := strings.Fields(line) // mode, owner, size, day, time, path
		if f[1] != "0/0" {
			t.Errorf("%s belongs to %s", f[5], f[1])
		}
		if !strings.HasSuffix(f[5], "/") {
			files[strings.TrimPrefix(f[5], ".")] = f[0]
		} else if f[0] != "drwxr-xr-x" {
			t.Errorf("folder %s is %s", f[5], f[0])
		}
	}
	return files
}

func listRPM(t *testing.T, rpm string) map[string]string {
	files := map[string]string{}
	for line := range strings.Lines(string(command(t, ".", "rpm", "-qp", "--qf", `[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES}\n]`, rpm))) {
		f := strings.Fields(line)
		if f[1] != "root/root" {
			t.Errorf("%s belongs to %s", f[2], f[1])
		}
		files[f[2]] = f[0]
	}
	return files
}

func compare(t *testing.T, kind string, got map[string]string) {
	t.Helper()
	for path, mode := range held {
		if got[path] != mode {
			t.Errorf("in the .%s %s is %q, want %s", kind, path, got[path], mode)
		}
	}
	for path, mode := range got {
		if held[path] == "" && (!slices.Contains(heldBy[kind], path) || mode != "-rw-r--r--") {
			t.Errorf("in the .%s is %s %s", kind, mode, path)
		}
	}
	if want := len(held) + len(heldBy[kind]); len(got) != want {
		t.Errorf("the .%s has %d files, want %d", kind, len(got), want)
	}
}

// checkSettingsAreKept looks that both package managers know what an administrator edits.
func checkSettingsAreKept(t *testing.T, deb, rpm string) {
	t.Helper()
	if kept := strings.TrimSpace(string(command(t, ".", "sh", "-c", `dpkg-deb --ctrl-tarfile "$1" | tar -xO ./conffiles`, "sh", deb))); kept != "/etc/slipway/slipway.yaml" {
		t.Errorf("conffiles of the .deb: %q", kept)
	}
	flags := string(command(t, ".", "rpm", "-qp", "--qf", `[%{FILENAMES} %{FILEFLAGS:fflags}\n]`, rpm))
	if !strings.Contains(flags, "/etc/slipway/slipway.yaml cn\n") { // config, noreplace
		t.Errorf("flags of the .rpm's files:\n%s", flags)
	}
}

// checkBinary looks that it is for its machine, static, without symbols, and knows from what it was built.
func checkBinary(t *testing.T, path, of string) {
	t.Helper()
	binary, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	f, err := elf.NewFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "armhf": elf.EM_ARM}[of]; f.Machine != want {
		t.Errorf("it is for %s, want %s", f.Machine, want)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("it is not static: it has a %s", p.Type)
		}
	}
	if f.Section(".symtab") != nil || f.Section(".debug_info") != nil {
		t.Error("it is not stripped")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{os.Getenv("SLIPWAY_VERSION"), os.Getenv("SLIPWAY_COMMIT")} {
		if want == "" || !strings.Contains(string(text), want) {
			t.Errorf("it does not know that it is of %q", want)
		}
	}
	if of != "amd64" {
		return // another machine's
	}
	out, err := exec.Command(path, "version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), os.Getenv("SLIPWAY_VERSION")) || !strings.Contains(string(out), os.Getenv("SLIPWAY_COMMIT")) {
		t.Errorf("slipway version: %v\n%s", err, out)
	}
}

// checkBill holds the bill of materials against what the linker has noted in the binary.
func checkBill(t *testing.T, unpacked string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(unpacked, "usr/share/doc/slipway/sbom.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var bill struct {
		Format     string `json:"bomFormat"`
		Components []struct {
			Name, Version string
			Licenses      []any
			Evidence      struct{ Licenses []any }
		}
	}
	if err := json.Unmarshal(text, &bill); err != nil || bill.Format != "CycloneDX" {
		t.Fatalf("format %q, %v", bill.Format, err)
	}
	listed := map[string]bool{}
	for _, c := range bill.Components {
		listed[c.Name+" "+c.Version] = true
		if len(c.Licenses)+len(c.Evidence.Licenses) == 0 && c.Name != "std" {
			t.Errorf("the bill has no licence for %s", c.Name)
		}
	}
	for _, l := range page.Libraries {
		if !listed[l.Name+" "+l.Version] {
			t.Errorf("the bill does not list %s %s", l.Name, l.Version)
		}
	}
	info, err := buildinfo.ReadFile(filepath.Join(unpacked, "usr/bin/slipway"))
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Deps) < 20 {
		t.Errorf("the binary names only %d modules", len(info.Deps))
	}
	for _, d := range info.Deps {
		if !listed[d.Path+" "+d.Version] {
			t.Errorf("the bill does not list %s %s", d.Path, d.Version)
		}
	}
}

// TestPackagesRunTheGatewayInASandbox scores the unit as it is shipped.
func TestPackagesRunTheGatewayInASandbox(t *testing.T) {
	const most = 1.5
	out := string(command(t, "../systemd", "systemd-analyze", "security", "--offline=true", "./slipway.service"))
	line := out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:]
	t.Log(strings.TrimSpace(line))
	_, rest, _ := strings.Cut(line, ": ")
	score, err := strconv.ParseFloat(strings.Fields(rest + " x")[0], 64)
	if err != nil || score > most {
		t.Error(fmt.Sprintf("%q, want at most %.1f", line, most), err)
	}
}
