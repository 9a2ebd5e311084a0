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
	firsts map[fleet.DumpName]bool // of their crash
	lasts  map[fleet.DumpName]bool
	asked  int // about the ends of a crash
}

func newIndex() *shortIndex {
	return &shortIndex{dumps: map[fleet.DeviceKey]map[fleet.DumpName]fleet.Dump{}, firsts: map[fleet.DumpName]bool{}, lasts: map[fleet.DumpName]bool{}}
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

func (x *shortIndex) EndsOfCrash(_ fleet.DeviceKey, name fleet.DumpName) (first, last bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.asked++
	return x.firsts[name], x.lasts[name], nil
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
	return pairsBeside(t, dir, key, "")
}

// pairsBeside is pairs where one more file may lie.
func pairsBeside(t testing.TB, dir string, key fleet.DeviceKey, more string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, string(key)))
	if err != nil {
		t.Fatal(err)
	}
	halves := map[string]int{}
	for _, e := range entries {
		if e.Name() == more {
			continue
		}
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
	oldest := upload(t, s, "aaaaaaaa", "oldest")
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

func TestRotationOfADevicePassesOverTheOnlyDumpOfACrash(t *testing.T) {
	dir := t.TempDir()
	index := newIndex()
	s := openStore(t, dir, index, func(o *Options) { o.KeepPerDevice = 2 })
	first := upload(t, s, "aaaaaaaa", "0")
	second := upload(t, s, "aaaaaaaa", "1")
	index.firsts[first.Name()], index.lasts[first.Name()] = true, true
	upload(t, s, "aaaaaaaa", "2")
	if _, err := os.Stat(s.Path("aaaaaaaa", first.Name())); err != nil {
		t.Error("the only dump of its crash went:", err)
	}
	if _, err := os.Stat(s.Path("aaaaaaaa", second.Name())); err == nil {
		t.Error("the next oldest stayed")
	}
}

// hall is a store on a file system whose free space follows from what the dumps take.
func hall(t *testing.T, total int64, others *int64, index *shortIndex, log io.Writer) *Store {
	t.Helper()
	var s *Store
	s = openStore(t, t.TempDir(), index, func(o *Options) {
		o.KeepPerDevice, o.Reserve = 100, 0
		o.Logger = slog.New(slog.NewTextHandler(log, nil))
		o.Space = func() (int64, int64, error) {
			if s == nil {
				return total, total, nil
			}
			return total - *others - s.Usage(), total, nil
		}
	})
	return s
}

const pairBytes = sidecarRoom + 1 // of a dump of one byte

func there(t *testing.T, s *Store, d fleet.Dump) bool {
	t.Helper()
	_, err := os.Stat(s.Path(d.Device, d.Name()))
	return err == nil
}

func TestTargetsTakeFromTheFullestDeviceAndNeverTheNewest(t *testing.T) {
	index := newIndex()
	s := hall(t, 1000*pairBytes, new(int64), index, io.Discard) // room for 100 pairs
	only := upload(t, s, "bbbbbbbb", "x")
	var all []fleet.Dump
	for i := range 99 {
		all = append(all, upload(t, s, "aaaaaaaa", string([]byte{byte(i)})))
	}
	index.firsts[all[0].Name()], index.lasts[all[2].Name()] = true, true
	upload(t, s, "cccccccc", "y")
	upload(t, s, "cccccccc", "z")
	for i, want := range []bool{true, false, true, false, true} { // the first and the last of a fingerprint stay
		if there(t, s, all[i]) != want {
			t.Errorf("dump %d of the fullest device is there: %v", i, !want)
		}
	}
	if !there(t, s, only) {
		t.Error("the only dump of a device went")
	}
	if s.Trouble() != "" || s.Usage() > 100*pairBytes {
		t.Errorf("trouble %q, %d pairs", s.Trouble(), s.Usage()/pairBytes)
	}
}

func TestATargetThatCannotBeReachedCostsOnlyWhatTheUploadNeeds(t *testing.T) {
	var log bytes.Buffer
	index := newIndex()
	var devices []fleet.Dump
	others := int64(0)
	s := hall(t, 1000*pairBytes, &others, index, &log)
	for i := range 10 {
		for j := range 5 {
			devices = append(devices, upload(t, s, fleet.DeviceKey(fmt.Sprintf("device%02d", i)), fmt.Sprint(j)))
		}
	}
	left := func() (n int) {
		for _, d := range devices {
			if there(t, s, d) {
				n++
			}
		}
		return n
	}
	others = 900 * pairBytes // they take 90 % of the disk
	before, kept := s.Usage(), left()
	for i := range 5 { // one in, one out
		devices = append(devices, upload(t, s, "device00", fmt.Sprint(5+i)))
	}
	if now := s.Usage(); now > before+16 || left() < kept {
		t.Errorf("%d of %d dumps left, %d bytes of %d", left(), kept, now, before)
	}
	if s.Trouble() == "" || strings.Count(log.String(), "rotation cannot reach its target") != 1 {
		t.Errorf("trouble %q, log %s", s.Trouble(), log.String())
	}
	asked := index.asked
	upload(t, s, "device09", "one more")
	if index.asked-asked > mostAsked {
		t.Errorf("one upload asked the index about %d dumps", index.asked-asked)
	}
}

func TestAtTheReserveFirstsGoBeforeLastsAndNeverADevicesOnlyDump(t *testing.T) {
	index := newIndex()
	s := hall(t, 1<<40, new(int64), index, io.Discard)
	s.options.KeepFree, s.options.MaxUse = func(int64) int64 { return 0 }, func(total int64) int64 { return total }
	var all []fleet.Dump
	for i := range 4 {
		all = append(all, upload(t, s, "aaaaaaaa", fmt.Sprint(i)))
	}
	only := upload(t, s, "bbbbbbbb", "only")
	index.lasts[all[0].Name()], index.firsts[all[1].Name()] = true, true
	s.options.Reserve = 64 * mib
	for step, gone := range []int{2, 1, 0} { // one of many, then a first, then a last
		usage := s.Usage()
		s.options.Space = func() (int64, int64, error) {
			return s.options.Reserve + 1 + usage - s.Usage() - pairBytes, 1 << 41, nil
		}
		s.options.KeepPerDevice = 100
		fresh := upload(t, s, "cccccccc", fmt.Sprint("new", step))
		if there(t, s, all[gone]) || !there(t, s, fresh) || !there(t, s, only) || !there(t, s, all[3]) {
			t.Errorf("step %d: dump %d is there %v", step, gone, there(t, s, all[gone]))
		}
		for _, later := range []int{2, 1, 0}[step+1:] {
			if !there(t, s, all[later]) {
				t.Errorf("step %d: dump %d went, too", step, later)
			}
		}
		if err := s.Remove(t.Context(), "cccccccc", fresh.Name()); err != nil {
			t.Fatal(err)
		}
	}
	s.options.Space = func() (int64, int64, error) { return 0, 1 << 41, nil }
	if _, err := s.Write(t.Context(), fleet.Dump{Device: "dddddddd"}, strings.NewReader("x"), 1); !errors.Is(err, fleet.ErrFull) {
		t.Errorf("with nothing left to rotate away: %v", err)
	}
	if !there(t, s, only) || !there(t, s, all[3]) {
		t.Error("a device's only dump went")
	}
}
