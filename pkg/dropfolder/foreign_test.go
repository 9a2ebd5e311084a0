package dropfolder

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestARejectedFileIsToldWhatItIs(t *testing.T) {
	tar := strings.Repeat("\x00", 257) + "ustar\x0000" + strings.Repeat("\x00", 300)
	for _, test := range []struct{ name, body, says string }{
		{"pump.bin", "\xe9\x05\x02\x20 image", "plain ESP32 image, which does not say its model: slipway firmware add --model CODE"},
		{"pump.elf", "\x7fELF\x01\x01", "an ELF"},
		{"pump.zip", "\x7fELF\x01\x01", "an ELF"},
		{"pump.tgz", "\x1f\x8b\x08\x00", "a gzip file"},
		{"pump.tar", tar, "a tar archive"},
		{"pump.7z", "7z\xbc\xaf\x27\x1c\x00\x04", "a 7z archive"},
		{"pump.rar", "Rar!\x1a\x07\x01\x00", "a RAR archive"},
		{"pump.map", "Archive member included", "a linker map"},
		{"pump.dmp", "\x40\x00\x00\x00", "a core dump"},
		{"pump.fw", "\x00\x01", `its ending ".fw" is unknown`},
		{"pump", "text", "not a ZIP"},
		{"pump.zip", "text", "not a ZIP, although its name says so"},
		{"pump.zip", "PK\x03\x04 half", "incomplete"},
		{"pump.bin", "\x00\x00", "no ESP32 image"},
		{"pump.zip", "", "is empty"},
	} {
		r := strings.NewReader(test.body)
		got := foreign(r)
		if got == "" {
			got = unfinished(test.name, r, r.Size(), time.Minute)
		}
		if !strings.Contains(got, test.says) {
			t.Errorf("%s %q: %q does not say %q", test.name, test.body, got, test.says)
		}
	}
}

func TestAForeignFileIsRejectedSoonAndCounted(t *testing.T) {
	counted := make(chan error, 10)
	dir, _ := watched(t, &gate{}, func(o *Options) {
		o.StalledAfter = time.Hour
		o.Observe = func(_ time.Duration, err error) { counted <- err }
	})
	drop(t, dir, "pump.7z", "7z\xbc\xaf\x27\x1c\x00\x04")
	eventually(t, "its reason", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, rejectedDir, "pump.7z.reason.txt"))
		return err == nil && strings.Contains(string(text), "a 7z archive") && strings.Contains(string(text), "version.json")
	})
	if err := <-counted; err == nil {
		t.Error("it is counted as a success")
	}
}

func TestWhatStaysInTheFolderIsTroubleUntilItIsGone(t *testing.T) {
	f, err := Open(Options{Dir: filepath.Join(t.TempDir(), "drop"), Logger: slog.New(slog.DiscardHandler), StalledAfter: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	folder, link := filepath.Join(f.options.Dir, "builds"), filepath.Join(f.options.Dir, "latest.zip")
	if err := os.Mkdir(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", link); err != nil {
		t.Fatal(err)
	}
	f.scan(t.Context())
	got := strings.Join(f.Trouble(), "\n")
	if !strings.Contains(got, `"builds" in the drop folder is not taken: it is a folder`) || !strings.Contains(got, `"latest.zip" in the drop folder is not taken: it is a symbolic link`) {
		t.Errorf("the trouble is %q", got)
	}
	for _, path := range []string{folder, link} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		f.look(t.Context(), filepath.Base(path))
	}
	if trouble := f.Trouble(); len(trouble) > 0 {
		t.Errorf("they are gone, and the trouble is %q", trouble)
	}
}
