package dumps

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestAStartMendsWhatAPowerCutLeft(t *testing.T) {
	dir := t.TempDir()
	index := newIndex()
	s := openStore(t, dir, index, nil)
	whole := upload(t, s, "aaaaaaaa", "whole")
	changed := upload(t, s, "aaaaaaaa", "changed")
	lone := upload(t, s, "aaaaaaaa", "without its sidecar")
	orphan := upload(t, s, "aaaaaaaa", "without its dump")
	removed := upload(t, s, "aaaaaaaa", "removal cut off")
	vanished := upload(t, s, "bbbbbbbb", "directory gone")

	device := filepath.Join(dir, "aaaaaaaa")
	write := func(name, body string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(device, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write(string(changed.Name())+".dmp", "CHANGED")
	write(".123.d", "temporary")
	do(os.Remove(filepath.Join(device, string(lone.Name())+".json")))
	do(os.Remove(s.Path("aaaaaaaa", orphan.Name())))
	do(os.Rename(filepath.Join(device, string(removed.Name())+".json"), goneName(device, removed.Name())))
	do(os.RemoveAll(filepath.Join(dir, "bbbbbbbb")))
	delete(index.dumps["aaaaaaaa"], whole.Name()) // the index is behind

	var log bytes.Buffer
	s = openStore(t, dir, index, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	if left := pairs(t, dir, "aaaaaaaa"); len(left) != 1 || left[0] != string(whole.Name()) {
		t.Errorf("left: %v", left)
	}
	if d, known := index.dumps["aaaaaaaa"][whole.Name()]; !known || index.count("aaaaaaaa") != 1 || d.SHA256 != whole.SHA256 {
		t.Errorf("index: %v", index.dumps["aaaaaaaa"])
	}
	if index.count("bbbbbbbb") != 0 {
		t.Errorf("the index still has %s", vanished.Name())
	}
	quarantined, err := os.ReadDir(filepath.Join(dir, "quarantine", "aaaaaaaa"))
	if err != nil || len(quarantined) != 4 {
		t.Errorf("quarantine: %v, %v", quarantined, err)
	}
	if strings.Count(log.String(), "level=ERROR") != 3 || !strings.Contains(s.Trouble(), "3 dumps were found damaged") {
		t.Errorf("trouble %q, alarms: %s", s.Trouble(), log.String())
	}
	if s.Usage() != whole.Size+sidecarRoom {
		t.Errorf("usage %d", s.Usage())
	}
}

func TestAStartHashesOnlyWhatIsNewerThanTheLastCleanStop(t *testing.T) {
	dir := t.TempDir()
	index := newIndex()
	s := openStore(t, dir, index, nil)
	d := upload(t, s, "aaaaaaaa", "12345")
	if err := os.WriteFile(s.Path("aaaaaaaa", d.Name()), []byte("54321"), 0o600); err != nil {
		t.Fatal(err)
	}
	after := func(o *Options) { o.CleanStop = time.Now() }
	s = openStore(t, dir, index, after)
	if n := len(pairs(t, dir, "aaaaaaaa")); n != 1 {
		t.Errorf("a pair of the right size was not taken as it is: %d", n)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(pairs(t, dir, "aaaaaaaa")); n != 0 || index.count("aaaaaaaa") != 0 {
		t.Errorf("the hash in the background missed the damage: %d", n)
	}
}

func BenchmarkWrite(b *testing.B) {
	s := openStore(b, b.TempDir(), newIndex(), nil)
	body := strings.Repeat("x", 64<<10)
	for b.Loop() {
		upload(b, s, "aaaaaaaa", body)
	}
}

func BenchmarkStartWithTenThousandPairs(b *testing.B) {
	dir := b.TempDir()
	index := newIndex()
	s := openStore(b, dir, index, nil)
	for i := range 10_000 {
		key := fleet.DeviceKey("dev" + string([]byte{'0' + byte(i/10%10), '0' + byte(i/100%10), '0' + byte(i/1000%10)}) + "00")
		upload(b, s, key, "x")
	}
	b.ResetTimer()
	for b.Loop() {
		openStore(b, dir, index, func(o *Options) { o.CleanStop = time.Now() })
	}
}
