//go:build packages

package packaging

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// built are the packages that `make test-package` has made.
func built(t *testing.T, suffix string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(os.Getenv("SLIPWAY_PACKAGES"), "*"+suffix))
	if err != nil || len(found) != 3 {
		t.Fatalf("packages: %q, %v: run it with `make test-package`", found, err)
	}
	return found
}

func command(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, &said)
	}
	return out
}

// TestPackagesAreTheSameBytesFromAnotherFolder builds what lies here once more, elsewhere, as another person would.
func TestPackagesAreTheSameBytesFromAnotherFolder(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "another checkout")
	command(t, "..", "git", "clone", "--quiet", ".", elsewhere)
	if changed := command(t, "..", "git", "diff", "--binary", "HEAD"); len(changed) > 0 {
		patch := filepath.Join(t.TempDir(), "patch")
		if err := os.WriteFile(patch, changed, 0o644); err != nil {
			t.Fatal(err)
		}
		command(t, elsewhere, "git", "apply", patch)
	}
	tools, err := filepath.Abs("../.tools/bin")
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	command(t, elsewhere, "sh", "-c", `umask 077; TZ=Asia/Tokyo LC_ALL=C HOSTNAME=other exec make package "TOOLS=$1" "PACKAGE_OUT=$2" "VERSION=$3" "COMMIT=$4"`, "sh",
		tools, out, os.Getenv("SLIPWAY_VERSION"), os.Getenv("SLIPWAY_COMMIT"))
	for _, first := range append(built(t, ".deb"), built(t, ".rpm")...) {
		a, err := os.ReadFile(first)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(out, filepath.Base(first)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s has other bytes when it is built elsewhere", filepath.Base(first))
		}
	}
}

func TestPackagesAreSmall(t *testing.T) {
	const most = 15 << 20
	for _, name := range append(built(t, ".deb"), built(t, ".rpm")...) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.1f MB", filepath.Base(name), float64(info.Size())/1e6)
		if info.Size() > most {
			t.Errorf("%s has %d bytes, want at most %d", filepath.Base(name), info.Size(), most)
		}
	}
}

func TestPackageVersionsAreSortedByRpm(t *testing.T) {
	for i, older := range inOrder[:len(inOrder)-1] {
		newer := inOrder[i+1]
		if out := command(t, ".", "rpm", "--eval", `%{lua:print(rpm.vercmp("`+older+`", "`+newer+`"))}`); strings.TrimSpace(string(out)) != "-1" {
			t.Errorf("%s beside %s is %s, want -1", older, newer, out)
		}
	}
}
