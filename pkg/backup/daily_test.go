package backup

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

func daily(t *testing.T, said io.Writer, now *time.Time) *Daily {
	t.Helper()
	return &Daily{
		Source: gatewayState(t, 3), Dir: filepath.Join(t.TempDir(), "backup"), Space: space, Reserve: 64 << 20,
		Made:   func(_ context.Context, name string, size int64, _ int) { fmt.Fprintln(said, "made", name, size > 0) },
		Logger: slog.New(slog.NewTextHandler(said, nil)), Now: func() time.Time { return *now }, Believed: func() bool { return true },
	}
}

// due makes the copy that is due, if one is.
func (d *Daily) due() error {
	_, err := d.makeDue(context.Background(), false)
	return err
}

func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestABackupIsMadeEveryDayAndTheLastSevenAreKept(t *testing.T) {
	now := noon
	var said bytes.Buffer
	d := daily(t, &said, &now)
	for range 10 * 24 {
		must(t, d.due())
		now = now.Add(time.Hour)
	}
	names := filesIn(t, d.Dir)
	if len(names) != 7 || names[0] != "slipway-20260507T120000Z.age" || names[6] != "slipway-20260513T120000Z.age" {
		t.Errorf("backups: %v", names)
	}
	k, err := ReadKey(d.Source.KeysDir)
	must(t, err)
	id, err := age.ParseX25519Identity(k.Secret)
	must(t, err)
	f, err := os.Open(filepath.Join(d.Dir, names[6]))
	must(t, err)
	defer f.Close()
	if found, err := Check(f, id); err != nil || found.Devices != 3 || found.Keys != 4 {
		t.Errorf("the newest holds %+v, %v", found, err) // the key that opens it among its keys
	}
	for _, path := range []string{f.Name(), filepath.Join(d.Source.KeysDir, KeyName)} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s is %v, %v", path, info.Mode(), err)
		}
	}
	if n := strings.Count(said.String(), "made slipway-"); n != 10 {
		t.Errorf("%d backups were told of:\n%s", n, &said)
	}
	if strings.Contains(said.String(), k.Secret) {
		t.Error("the key is in the journal")
	}
}

func TestABackupFromTheFutureDoesNotEndTheBackups(t *testing.T) {
	now := noon
	d := daily(t, io.Discard, &now)
	must(t, os.Mkdir(d.Dir, 0o700))
	_, err := ensureKey(d.Source.KeysDir, d.Dir, now)
	must(t, err)
	for _, name := range []string{"slipway-20990101T000000Z.age", ".slipway-20260504T110000Z.age-123", "notes.txt"} {
		must(t, os.WriteFile(filepath.Join(d.Dir, name), []byte("cut off"), 0o600))
	}
	must(t, d.due())
	if names := strings.Join(filesIn(t, d.Dir), " "); names != "notes.txt slipway-20260504T120000Z.age slipway-20990101T000000Z.age" {
		t.Errorf("files: %v", names)
	}
}

// run is a process that makes copies for so long, while the clock says so.
func (d *Daily) run(t *testing.T, now *time.Time, hours int) {
	t.Helper()
	for range hours {
		must(t, d.due())
		*now = now.Add(time.Hour)
	}
}

// week lays down seven copies, the last of them yesterday's at noon, and lets the clock say one o'clock today.
func (d *Daily) week(t *testing.T, now *time.Time) (names []string) {
	t.Helper()
	must(t, os.MkdirAll(d.Dir, 0o700))
	for day := range 7 {
		names = append(names, namePrefix+noon.AddDate(0, 0, day).Format(nameTime)+nameSuffix)
		must(t, os.WriteFile(filepath.Join(d.Dir, names[day]), []byte("a copy"), 0o600))
	}
	*now = noon.AddDate(0, 0, 7).Add(-time.Hour)
	_, err := ensureKey(d.Source.KeysDir, t.TempDir(), *now)
	must(t, err)
	return names
}

func TestAClockThatWasAheadOnceCostsNoGoodBackup(t *testing.T) {
	now := noon
	var said bytes.Buffer
	d := daily(t, &said, &now)
	good := d.week(t, &now)
	right := now
	now = now.AddDate(10, 0, 0)
	d.run(t, &now, 2)
	if names := filesIn(t, d.Dir); len(names) != 7 || !slices.Equal(names[:6], good[1:]) || names[6] != "slipway-20360511T110000Z.age" {
		t.Errorf("while it was ahead: %v", names)
	}
	now = right.Add(2 * time.Hour)
	d.run(t, &now, 2)
	if names := filesIn(t, d.Dir); len(names) != 7 || !slices.Equal(names[:6], good[1:]) || names[6] != "slipway-20260511T130000Z.age" {
		t.Errorf("once it is back: %v", names)
	}
	must(t, os.WriteFile(filepath.Join(d.Dir, "slipway-20360511T110000Z.age"), nil, 0o600))
	if newest, err := Newest(d.Dir, now); err != nil || filepath.Base(newest) != "slipway-20260511T130000Z.age" {
		t.Errorf("the newest is %s, %v", newest, err)
	}
	if kept, err := KeepNewest(d.Dir, "new-catalog", now); err != nil || filepath.Base(kept) != "slipway-before-new-catalog-20260511T130000Z.age" {
		t.Errorf("the newest is kept as %s, %v", kept, err)
	}
	if n := strings.Count(said.String(), "made slipway-"); n != 2 {
		t.Errorf("%d copies were made in four hours", n)
	}
}

func TestAStepBackOfTheClockMakesNoSecondBackup(t *testing.T) {
	now := noon
	d := daily(t, io.Discard, &now)
	must(t, d.due())
	for _, back := range []time.Duration{time.Second, 5 * time.Minute, 23 * time.Hour} {
		now = noon.Add(-back)
		must(t, d.due())
	}
	if names := filesIn(t, d.Dir); len(names) != 1 {
		t.Errorf("backups: %v", names)
	}
}

func TestStartsIn1970PushNoBackupOut(t *testing.T) {
	now := noon
	d := daily(t, io.Discard, &now)
	good := d.week(t, &now)
	d.Believed = func() bool { return false }
	for range 10 {
		now, d.turns = time.Unix(0, 0), 0 // a start
		d.run(t, &now, 20)
	}
	if names := filesIn(t, d.Dir); !slices.Equal(names, good) {
		t.Errorf("after ten starts: %v, want %v", names, good)
	}
	d.run(t, &now, 10) // a process that runs for a day makes a copy, in order
	if names := filesIn(t, d.Dir); len(names) != 7 || !slices.Equal(names[:6], good[1:]) || names[6] != "slipway-20260510T120001Z.age" {
		t.Errorf("after a day: %v", names)
	}
}

func TestABackupThatFailsIsTroubleUntilOneSucceeds(t *testing.T) {
	now := noon
	d := daily(t, io.Discard, &now)
	free := int64(1)
	d.Space = func() (int64, int64, error) { return free, 1 << 30, nil }
	for name, failed := range map[string]func(){
		"a full disk": func() {},
		"a broken key": func() {
			free = 1 << 30
			must(t, os.WriteFile(filepath.Join(d.Source.KeysDir, KeyName), []byte("hello"), 0o600))
		},
	} {
		failed()
		d.note(d.due())
		if d.Trouble() == "" || len(filesIn(t, d.Dir)) > 0 {
			t.Errorf("%s: trouble %q, files %v", name, d.Trouble(), filesIn(t, d.Dir))
		}
	}
	must(t, os.Remove(filepath.Join(d.Source.KeysDir, KeyName)))
	free = 1 << 30
	d.note(d.due())
	if d.Trouble() != "" || len(filesIn(t, d.Dir)) != 1 {
		t.Errorf("trouble: %q, files %v", d.Trouble(), filesIn(t, d.Dir))
	}
}

func TestBackingUpEndsWithItsContext(t *testing.T) {
	now := noon
	d := daily(t, io.Discard, &now)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, d.Run(ctx))
	if names := filesIn(t, d.Dir); len(names) != 1 {
		t.Errorf("backups: %v", names)
	}
}

func TestNothingIsLeftOfABackupThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "b.age")
	must(t, os.WriteFile(path, []byte("the one of yesterday"), 0o600))
	_, _, err := WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(make([]byte, 1<<20)) // no backup
		return err
	}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "read the backup back") {
		t.Errorf("zeros as a backup: %v", err)
	}
	_, _, err = WriteFile(path, func(io.Writer) error { return io.ErrUnexpectedEOF }, nil, nil)
	if err == nil {
		t.Error("a backup whose source broke off is one")
	}
	if text, err := os.ReadFile(path); string(text) != "the one of yesterday" || err != nil || len(filesIn(t, dir)) != 1 {
		t.Errorf("the old one is %q, %v; files %v", text, err, filesIn(t, dir))
	}
}

func TestALostKeyOfTheCopiesIsTroubleAndNoOtherIsMade(t *testing.T) {
	now := noon
	d := daily(t, io.Discard, &now)
	must(t, d.due())
	key := filepath.Join(d.Source.KeysDir, KeyName)
	must(t, os.Remove(key))
	now = now.Add(every)
	d.note(d.due())
	if _, err := os.Stat(key); err == nil || !strings.Contains(d.Trouble(), key) || len(filesIn(t, d.Dir)) != 1 {
		t.Errorf("trouble %q, files %v", d.Trouble(), filesIn(t, d.Dir))
	}
}

func TestTheNewestCopyIsFoundWhateverItWasMadeForAndCanBeKept(t *testing.T) {
	dir := t.TempDir()
	if newest, err := Newest(filepath.Join(dir, "none"), noon); newest != "" || err != nil {
		t.Errorf("of no folder: %q, %v", newest, err)
	}
	for _, name := range []string{"slipway-20260504T110000Z.age", "slipway-20260505T110000Z.age", "slipway-before-schema-2-20260506T110000Z.age", "slipway-zzz.age", "zzz"} {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	if newest, err := Newest(dir, noon.AddDate(0, 0, 2)); filepath.Base(newest) != "slipway-before-schema-2-20260506T110000Z.age" || err != nil {
		t.Errorf("%q, %v", newest, err)
	}
	kept, err := KeepNewest(dir, "new-catalog", noon.AddDate(0, 0, 2))
	if filepath.Base(kept) != "slipway-before-new-catalog-20260505T110000Z.age" || err != nil {
		t.Errorf("%q, %v", kept, err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}

func TestACopyThatIsWantedTakesThePlaceOfThatDaysAndOfNoOther(t *testing.T) {
	now := noon
	d := daily(t, io.Discard, &now)
	for range 7 * 24 { // a copy at noon of each of seven days
		must(t, d.due())
		now = now.Add(time.Hour)
	}
	now = now.Add(-21 * time.Hour) // three o'clock of the seventh
	before := filesIn(t, d.Dir)
	for range 5 {
		made, err := d.MakeNow(t.Context())
		must(t, err)
		if made.Size == 0 || made.Records == 0 {
			t.Errorf("made %+v", made)
		}
		names := filesIn(t, d.Dir)
		if len(names) != 7 || !slices.Equal(names[:6], before[:6]) || names[6] != made.Name {
			t.Errorf("%v, and before there were %v", names, before)
		}
		now = now.Add(100 * time.Millisecond) // several within a second
	}
	must(t, d.due())
	if names := filesIn(t, d.Dir); len(names) != 7 {
		t.Errorf("one more was due: %v", names)
	}
	now = now.Add(24 * time.Hour)
	made, err := d.MakeNow(t.Context())
	must(t, err)
	if names := filesIn(t, d.Dir); len(names) != 7 || names[0] != before[1] || names[6] != made.Name {
		t.Errorf("a day later: %v", names)
	}
}

func TestACopyThatIsWantedAndCannotBeMadeTakesNoneAway(t *testing.T) {
	now := noon
	d := daily(t, io.Discard, &now)
	must(t, d.due())
	before := filesIn(t, d.Dir)
	d.Space = func() (free, total int64, err error) { return 1 << 20, 1 << 40, nil }
	if made, err := d.MakeNow(t.Context()); err == nil || made.Name != "" {
		t.Errorf("made %+v", made)
	}
	if names := filesIn(t, d.Dir); !slices.Equal(names, before) {
		t.Errorf("%v", names)
	}
}
