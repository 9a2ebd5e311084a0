package dumps

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// shortIndex is the catalog as the store sees it.
type shortIndex struct {
	mu     sync.Mutex
	dumps  map[fleet.DeviceKey]map[fleet.DumpName]fleet.Dump
	single map[fleet.DumpName]bool // dumps that are the last of their crash
}

func newIndex() *shortIndex {
	return &shortIndex{dumps: map[fleet.DeviceKey]map[fleet.DumpName]fleet.Dump{}, single: map[fleet.DumpName]bool{}}
}

func (x *shortIndex) RecordDumpLater(d fleet.Dump) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.dumps[d.Device] == nil {
		x.dumps[d.Device] = map[fleet.DumpName]fleet.Dump{}
	}
	x.dumps[d.Device][d.Name()] = d
}

func (x *shortIndex) RecordDumps(_ context.Context, dumps []fleet.Dump) error {
	for _, d := range dumps {
		x.RecordDumpLater(d)
	}
	return nil
}

func (x *shortIndex) RemoveDump(_ context.Context, key fleet.DeviceKey, name fleet.DumpName) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.dumps[key], name)
	return nil
}

func (x *shortIndex) EachDump(yield func(fleet.Dump) error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, dumps := range x.dumps {
		for _, d := range dumps {
			if err := yield(d); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *shortIndex) LastOfItsCrash(_ fleet.DeviceKey, name fleet.DumpName) (bool, error) {
	return x.single[name], nil
}

func (x *shortIndex) count(key fleet.DeviceKey) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.dumps[key])
}

const mib = 1 << 20

func openStore(t testing.TB, dir string, index Index, change func(*Options)) *Store {
	t.Helper()
	o := Options{
		Dir: dir, MaxBytes: mib, KeepPerDevice: 20, Reserve: 64 * mib, Index: index,
		MaxUse: func(total int64) int64 { return total / 10 }, KeepFree: func(total int64) int64 { return total / 100 * 15 },
		Space:  func() (int64, int64, error) { return 1 << 40, 1 << 41, nil },
		Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	}
	if change != nil {
		change(&o)
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func upload(t testing.TB, s *Store, key fleet.DeviceKey, body string) fleet.Dump {
	t.Helper()
	d, err := s.Write(t.Context(), fleet.Dump{Device: key, Model: "pump", Chip: "esp32", FirmwareVersion: "1.0.0"}, strings.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// pairs lists a device's directory and fails on anything that is no whole pair.
func pairs(t testing.TB, dir string, key fleet.DeviceKey) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, string(key)))
	if err != nil {
		t.Fatal(err)
	}
	halves := map[string]int{}
	for _, e := range entries {
		base, suffix := splitSuffix(e.Name())
		if suffix != dumpSuffix && suffix != sidecarSuffix {
			t.Errorf("%s lies in the directory", e.Name())
		}
		halves[base]++
	}
	var whole []string
	for base, n := range halves {
		if n != 2 {
			t.Errorf("%s is half a pair", base)
		}
		whole = append(whole, base)
	}
	return whole
}

func TestAWrittenDumpLiesByteForByteBesideItsSidecar(t *testing.T) {
	dir := t.TempDir()
	index := newIndex()
	s := openStore(t, dir, index, nil)
	d := upload(t, s, "aaaaaaaa", "core bytes")
	got, err := os.ReadFile(s.Path("aaaaaaaa", d.Name()))
	if err != nil || string(got) != "core bytes" {
		t.Fatalf("dump %q, %v", got, err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "aaaaaaaa", string(d.Name())+".json"))
	if err != nil {
		t.Fatal(err)
	}
	wantStart := `{"chip":"esp32","firmware_version":"1.0.0","device_key":"aaaaaaaa","model_code":"pump","uploaded_at":"`
	if !strings.HasPrefix(string(raw), wantStart) {
		t.Errorf("sidecar %s", raw)
	}
	var sidecar struct {
		UploadedAt time.Time `json:"uploaded_at"`
		Size       int64
		SHA256     string
	}
	if err := json.Unmarshal(raw, &sidecar); err != nil || sidecar.UploadedAt.Location() != time.UTC || sidecar.Size != 10 || len(sidecar.SHA256) != 64 {
		t.Errorf("sidecar %+v, %v", sidecar, err)
	}
	if len(pairs(t, dir, "aaaaaaaa")) != 1 || index.count("aaaaaaaa") != 1 {
		t.Error("not exactly one pair")
	}
}

func TestWhatIsEmptyTooLongOrCutOffLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, newIndex(), nil)
	broken := errors.New("connection reset")
	for name, test := range map[string]struct {
		body io.Reader
		size int64
		want error
	}{
		"empty":                     {strings.NewReader(""), 0, fleet.ErrRefused},
		"empty, no length":          {strings.NewReader(""), -1, fleet.ErrRefused},
		"declared too long":         {strings.NewReader(""), mib + 1, fleet.ErrRefused},
		"too long without a length": {io.LimitReader(zeros{}, mib+1), -1, fleet.ErrRefused},
		"shorter than declared":     {strings.NewReader("abc"), 10, io.ErrUnexpectedEOF},
		"broken":                    {io.MultiReader(strings.NewReader("abc"), failing{broken}), -1, broken},
	} {
		_, err := s.Write(t.Context(), fleet.Dump{Device: "aaaaaaaa"}, test.body, test.size)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left := pairs(t, dir, "aaaaaaaa"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	for _, size := range []int64{mib, -1} {
		if _, err := s.Write(t.Context(), fleet.Dump{Device: "aaaaaaaa"}, io.LimitReader(zeros{}, mib), size); err != nil {
			t.Errorf("exactly the limit, declared %d: %v", size, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestThirtyTwoUploadsAtOnceMakeThirtyTwoPairs(t *testing.T) {
	dir := t.TempDir()
	frozen := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) // all in one microsecond
	s := openStore(t, dir, newIndex(), func(o *Options) { o.KeepPerDevice = 100; o.Now = func() time.Time { return frozen } })
	var wait sync.WaitGroup
	for i := range 32 {
		wait.Go(func() { upload(t, s, "aaaaaaaa", fmt.Sprint("body ", i)) })
	}
	wait.Wait()
	if n := len(pairs(t, dir, "aaaaaaaa")); n != 32 {
		t.Errorf("%d pairs", n)
	}
}

func TestNamesNeverRunBackwardsOnADevice(t *testing.T) {
	dir := t.TempDir()
	index := newIndex()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	clock := func(o *Options) { o.Now = func() time.Time { return now } }
	s := openStore(t, dir, index, clock)
	first := upload(t, s, "aaaaaaaa", "a")
	now = now.Add(-time.Hour)
	second := upload(t, s, "aaaaaaaa", "b")
	s = openStore(t, dir, index, clock)
	third := upload(t, s, "aaaaaaaa", "c")
	if first.Name() >= second.Name() || second.Name() >= third.Name() {
		t.Errorf("%s, %s, %s", first.Name(), second.Name(), third.Name())
	}
}

func TestTheTwentyFirstDumpRemovesTheOldestPair(t *testing.T) {
	dir := t.TempDir()
	index := newIndex()
	s := openStore(t, dir, index, nil)
	oldest := upload(t, s, "aaaaaaaa", "0")
	if err := s.WriteReport("aaaaaaaa", oldest.Name(), []byte("gz")); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		upload(t, s, "aaaaaaaa", fmt.Sprint(i))
	}
	left := pairs(t, dir, "aaaaaaaa")
	if len(left) != 20 || index.count("aaaaaaaa") != 20 {
		t.Errorf("%d pairs, %d in the index", len(left), index.count("aaaaaaaa"))
	}
	for _, name := range left {
		if name == string(oldest.Name()) {
			t.Error("the oldest is still there")
		}
	}
}

func TestRotationOfADevicePassesOverTheLastDumpOfACrash(t *testing.T) {
	dir := t.TempDir()
	index := newIndex()
	s := openStore(t, dir, index, func(o *Options) { o.KeepPerDevice = 2 })
	first := upload(t, s, "aaaaaaaa", "0")
	second := upload(t, s, "aaaaaaaa", "1")
	index.single[first.Name()] = true
	upload(t, s, "aaaaaaaa", "2")
	if _, err := os.Stat(s.Path("aaaaaaaa", first.Name())); err != nil {
		t.Error("the last dump of its crash went:", err)
	}
	if _, err := os.Stat(s.Path("aaaaaaaa", second.Name())); err == nil {
		t.Error("the next oldest stayed")
	}
}

func TestTargetsTakeFromTheFullestDeviceAndNeverTheNewest(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	free := int64(1 << 40)
	s := openStore(t, dir, newIndex(), func(o *Options) {
		o.Space = func() (int64, int64, error) { return free, 1 << 41, nil }
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	only := upload(t, s, "bbbbbbbb", "only")
	for i := range 5 {
		upload(t, s, "aaaaaaaa", fmt.Sprint(i))
	}
	free = 100 * mib // below keep_free, above the reserve
	newest := upload(t, s, "aaaaaaaa", "newest")
	upload(t, s, "aaaaaaaa", "newer")
	if got := pairs(t, dir, "aaaaaaaa"); len(got) != 1 {
		t.Errorf("the fullest device keeps %v", got)
	}
	if _, err := os.Stat(s.Path("bbbbbbbb", only.Name())); err != nil {
		t.Error("the only dump of a device went")
	}
	if s.Trouble() == "" || strings.Count(log.String(), "rotation cannot reach its target") != 1 {
		t.Errorf("trouble %q, log %s", s.Trouble(), log.String())
	}
	if _, err := os.Stat(s.Path("aaaaaaaa", newest.Name())); err == nil {
		t.Error("an older dump outlived the newest")
	}
}

func TestBelowTheReserveAnUploadMakesRoomAndOnlyThenIsRefused(t *testing.T) {
	dir := t.TempDir()
	index := newIndex()
	var s *Store
	full := func() (int64, int64, error) {
		return 64*mib - 1 + int64(7-index.count("aaaaaaaa"))*mib, 1 << 41, nil // each removal frees one MiB
	}
	s = openStore(t, dir, index, nil)
	for i := range 7 {
		upload(t, s, "aaaaaaaa", fmt.Sprint(i))
	}
	s.Space = full
	s.KeepFree = func(int64) int64 { return 0 }
	upload(t, s, "cccccccc", "new")
	if n := len(pairs(t, dir, "aaaaaaaa")); n != 6 {
		t.Errorf("%d dumps left of 7", n)
	}
	s.Space = func() (int64, int64, error) { return mib, 1 << 41, nil }
	_, err := s.Write(t.Context(), fleet.Dump{Device: "dddddddd"}, strings.NewReader("x"), 1)
	if !errors.Is(err, fleet.ErrFull) {
		t.Errorf("with nothing left to rotate away: %v", err)
	}
	if n := len(pairs(t, dir, "aaaaaaaa")); n != 1 {
		t.Errorf("%d dumps left, want the newest", n)
	}
}
