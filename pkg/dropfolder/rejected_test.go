package dropfolder

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// withRejected is a folder in which files were rejected: each lies there with its reason.
func withRejected(t *testing.T, names ...string) *Folder {
	t.Helper()
	f, err := Open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := filepath.Join(f.options.Dir, rejectedDir, name)
		for at, text := range map[string]string{path: "PK", path + reasonSuffix: name + " was rejected on Monday:\n\nthere is no model \"pump\"\x1b[2J\n"} {
			if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return f
}

func lies(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Lstat(path)
	return err == nil
}

func TestRejectedFilesAreListedWithTheirReasons(t *testing.T) {
	f := withRejected(t, "pump.zip", "evil\x1b.zip", "a.reason.txt")
	if err := os.Symlink("/etc/passwd", filepath.Join(f.options.Dir, rejectedDir, "link.zip")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.options.Dir, rejectedDir, "bare.zip"), []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := f.Rejected()
	var names []string
	for _, d := range all {
		names = append(names, d.Name)
		if want := `there is no model "pump"\x1b[2J`; d.Name != "bare.zip" && (d.Reason != want || d.Size != 2 || time.Since(d.RejectedAt) > time.Minute) {
			t.Errorf("%+v, want the reason %s", d, want)
		}
	}
	if err != nil || !slices.Equal(names, []string{"a.reason.txt", "bare.zip", `evil\x1b.zip`, "pump.zip"}) {
		t.Errorf("%q, %v", names, err)
	}
}

func TestARejectedFileIsTakenAgainOrDismissedOnceThatWasTold(t *testing.T) {
	for name, act := range map[string]func(*Folder, string, func(fleet.Drop) error) error{"retry": (*Folder).Retry, "dismiss": (*Folder).Dismiss} {
		f := withRejected(t, "evil\x1b.zip")
		from, to := filepath.Join(f.options.Dir, rejectedDir, "evil\x1b.zip"), filepath.Join(f.options.Dir, "evil\x1b.zip")
		full := fleet.Full("no room for the event")
		if err := act(f, `evil\x1b.zip`, func(fleet.Drop) error { return full }); !errors.Is(err, fleet.ErrFull) || !lies(t, from) || lies(t, to) {
			t.Errorf("%s that cannot be told of: %v", name, err)
		}
		var told []string
		err := act(f, `evil\x1b.zip`, func(d fleet.Drop) error {
			told = append(told, d.Name+": "+d.Reason)
			if !lies(t, from) {
				t.Errorf("%s: it is gone before it is told", name)
			}
			return nil
		})
		if err != nil || len(told) != 1 || !strings.HasPrefix(told[0], `evil\x1b.zip: there is no model`) || lies(t, from) || lies(t, from+reasonSuffix) || lies(t, to) != (name == "retry") {
			t.Errorf("%s: %v, told %q", name, err, told)
		}
		for _, path := range []string{`evil\x1b.zip`, "../pump.zip", "", ".", "rejected"} {
			if err := act(f, path, func(fleet.Drop) error { t.Errorf("told of %q", path); return nil }); !errors.Is(err, fleet.ErrUnknown) {
				t.Errorf("%s of %q: %v", name, path, err)
			}
		}
	}
	f := withRejected(t, "pump.zip")
	if err := os.WriteFile(filepath.Join(f.options.Dir, "pump.zip"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Retry("pump.zip", func(fleet.Drop) error { t.Error("told"); return nil }); !errors.Is(err, fleet.ErrTaken) || !lies(t, filepath.Join(f.options.Dir, rejectedDir, "pump.zip")) {
		t.Errorf("where another one lies: %v", err)
	}
}
