package catalog

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// lived is a catalog with a record of every kind.
func lived(t testing.TB, dir string) *Catalog {
	t.Helper()
	c := open(t, dir)
	ctx := t.Context()
	must(t, c.Rebuilt(ctx))
	must(t, c.AddModel(ctx, fleet.Model{Code: "pump", CreatedAt: noon}))
	must(t, c.AddDevices(ctx, devices("pump", 500)))
	_, _, err := c.RecordBuild(ctx, fleet.Build{Model: "pump", Version: "1.0", ELFSHA256: "ab"}, true)
	must(t, err)
	d := fleet.Dump{Device: keyOf(1), Model: "pump", FirmwareVersion: "1.0", UploadedAt: noon}
	must(t, c.RecordDumps(ctx, []fleet.Dump{d}))
	_, err = c.RecordCrash(ctx, crash.Crash{Device: d.Device, Model: d.Model, Name: d.Name(), State: crash.Reported, Fingerprint: "f", Version: "1.0"}, 0)
	must(t, err)
	must(t, c.NoteTime(noon))
	return c
}

func backupOf(t testing.TB, c *Catalog) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, c.Backup(&b))
	return b.Bytes()
}

// content is every record but those of the store itself.
func content(t testing.TB, c *Catalog) string {
	t.Helper()
	var all strings.Builder
	must(t, c.db.View(func(txn *badger.Txn) error {
		return each(txn, "", "", false, func(key string, item *badger.Item) error {
			if neverBackedUp[key] {
				return nil
			}
			return item.Value(func(v []byte) error {
				all.WriteString(key + "\x00" + string(v) + "\x00")
				return nil
			})
		})
	}))
	return all.String()
}

func TestARestoredCatalogIsTheOneThatWasBackedUp(t *testing.T) {
	c := lived(t, t.TempDir())
	backup := backupOf(t, c)
	before := content(t, c)
	must(t, c.RemoveDevice(t.Context(), keyOf(7))) // later than the backup

	dir := filepath.Join(t.TempDir(), "catalog") // not there yet
	must(t, Restore(settled(t, dir), bytes.NewReader(backup)))
	restored := open(t, dir)
	if content(t, restored) != before {
		t.Error("the restored catalog is another one")
	}
	if restored.Created() {
		t.Error("a restored catalog would have its models rebuilt")
	}
	checkIndexes(t, restored)
	b, _, err := restored.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: "1.1", ELFSHA256: "cd"}, false)
	if err != nil || b.Sequence != 2 {
		t.Errorf("the order of acceptance starts again: %d, %v", b.Sequence, err)
	}
}

func TestARestoreTakesNothingButAnEmptyFolder(t *testing.T) {
	dir := t.TempDir()
	c := lived(t, dir)
	backup := backupOf(t, c)
	before := content(t, c)
	must(t, c.Close())
	want(t, Restore(settled(t, dir), bytes.NewReader(backup)), fleet.ErrTaken)
	if content(t, open(t, dir)) != before {
		t.Error("the catalog that was there is another one now")
	}
}

func TestADamagedBackupRestoresNothing(t *testing.T) {
	backup := backupOf(t, lived(t, t.TempDir()))
	plain := unzipped(t, backup)
	flipped := bytes.Clone(plain)
	flipped[len(flipped)/2] ^= 1
	broken := errors.New("the disk broke")
	for name, test := range map[string]struct {
		backup io.Reader
		want   error
	}{
		"empty":              {strings.NewReader(""), errBackup},
		"text":               {strings.NewReader("hello, this is no backup at all"), errBackup},
		"cut off":            {bytes.NewReader(backup[:len(backup)/2]), errBackup},
		"its end is missing": {bytes.NewReader(backup[:len(backup)-1]), errBackup},
		"a bit is flipped":   {bytes.NewReader(zipped(t, flipped)), errBackup},
		"a record is gone":   {bytes.NewReader(zipped(t, plain[:len(plain)-33])), errBackup},
		"more behind it":     {bytes.NewReader(append(bytes.Clone(backup), 'x')), errBackup},
		"more inside":        {bytes.NewReader(zipped(t, append(bytes.Clone(plain), 0))), errBackup},
		"a huge length":      {bytes.NewReader(zipped(t, []byte("slipway catalog 1\n\x01k\xff\xff\xff\xff\x0f"))), errBackup},
		"cannot be read":     {io.MultiReader(bytes.NewReader(backup[:len(backup)/2]), errReader{broken}), broken},
		"newer":              {bytes.NewReader(zipped(t, []byte("slipway catalog 2\n\x00"))), nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			err := Restore(settled(t, dir), test.backup)
			var newer *NewerError
			if test.want == nil && !errors.As(err, &newer) || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("got %v", err)
			}
			if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
				t.Errorf("%d files are left, %v", len(left), err)
			}
		})
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func unzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	must(t, err)
	plain, err := io.ReadAll(r)
	must(t, err)
	return plain
}

func zipped(t testing.TB, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(plain)
	must(t, errors.Join(err, w.Close()))
	return b.Bytes()
}

func TestARestoreThatWasCutOffIsNoCatalog(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	must(t, c.update(t.Context(), func(tx *tx) error { tx.mark(keyRestoring); return nil }))
	must(t, c.Close())
	_, err := Open(settled(t, dir))
	if err == nil || !strings.Contains(err.Error(), "empty the folder and restore again") {
		t.Errorf("got %v", err)
	}
}

func FuzzReadRecords(f *testing.F) {
	c := withModel(f, "pump")
	must(f, c.AddDevices(f.Context(), devices("pump", 3)))
	plain := unzipped(f, backupOf(f, c))
	must(f, c.Close()) // Badger's own goroutines would look like progress to the fuzzer
	f.Add(plain)
	f.Add(plain[:len(plain)/2])
	f.Add([]byte("slipway catalog 1\n\x00"))
	f.Fuzz(func(t *testing.T, plain []byte) {
		yielded := 0
		err := readRecords(bytes.NewReader(plain), func(key, value []byte) error {
			if len(key) == 0 || len(key) > mostKey || len(value) > mostRecord {
				t.Errorf("a key of %d bytes and a value of %d", len(key), len(value))
			}
			yielded += len(key) + len(value)
			return nil
		})
		if yielded > len(plain) {
			t.Errorf("%d bytes came out of %d", yielded, len(plain))
		}
		sum := sha256.Sum256(plain[:max(0, len(plain)-sha256.Size)])
		if err == nil && !bytes.HasSuffix(plain, sum[:]) {
			t.Error("it is taken for whole and its hash is wrong")
		}
	})
}

func TestACopyIsMadeEveryDayAndTheLastSevenAreKept(t *testing.T) {
	now := noon
	var said bytes.Buffer
	b := &Backups{Catalog: lived(t, t.TempDir()), Dir: filepath.Join(t.TempDir(), "backup"), Logger: textLog(&said), Now: func() time.Time { return now }}
	for range 10 * 24 {
		must(t, b.makeDue())
		now = now.Add(time.Hour)
	}
	names := filesIn(t, b.Dir)
	if len(names) != 7 || names[0] != "catalog-20260507T120000Z.backup.gz" || names[6] != "catalog-20260513T120000Z.backup.gz" {
		t.Errorf("copies: %v", names)
	}
	newest := filepath.Join(b.Dir, names[6])
	f, err := os.Open(newest)
	must(t, err)
	defer f.Close()
	if n, err := CheckBackup(f); n < 1000 || err != nil {
		t.Errorf("the copy has %d records, %v", n, err)
	}
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy, with its hashes of secrets, is %v, %v", info.Mode(), err)
	}
	if n := strings.Count(said.String(), "catalog backed up"); n != 10 {
		t.Errorf("%d copies are in the journal:\n%s", n, &said)
	}
}

func TestACopyFromTheFutureDoesNotEndTheCopying(t *testing.T) {
	now := noon
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "catalog-20990101T000000Z.backup.gz"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, ".catalog-20260504T110000Z.backup.gz"), []byte("cut off"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600))
	b := &Backups{Catalog: lived(t, t.TempDir()), Dir: dir, Logger: textLog(io.Discard), Now: func() time.Time { return now }}
	must(t, b.makeDue())
	names := filesIn(t, dir)
	if strings.Join(names, " ") != "catalog-20990101T000000Z.backup.gz catalog-20990101T000001Z.backup.gz notes.txt" {
		t.Errorf("files: %v", names)
	}
}

func TestACopyThatFailsIsTroubleUntilOneSucceeds(t *testing.T) {
	o := settled(t, t.TempDir())
	free := int64(1 << 30)
	o.Space = func() (int64, int64, error) { return free, 1 << 30, nil }
	c, err := Open(o)
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	b := &Backups{Catalog: c, Dir: t.TempDir(), Logger: textLog(io.Discard), Now: func() time.Time { return noon }}
	free = 1
	err = b.makeDue()
	want(t, err, fleet.ErrFull)
	b.note(err)
	if !strings.Contains(b.Trouble(), "MiB is free") {
		t.Errorf("trouble: %q", b.Trouble())
	}
	if names := filesIn(t, b.Dir); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
	free = 1 << 30
	b.note(b.makeDue())
	if b.Trouble() != "" || len(filesIn(t, b.Dir)) != 1 {
		t.Errorf("trouble: %q, files %v", b.Trouble(), filesIn(t, b.Dir))
	}
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

func TestCopyingEndsWithItsContext(t *testing.T) {
	b := &Backups{Catalog: lived(t, t.TempDir()), Dir: t.TempDir(), Logger: textLog(io.Discard), Now: func() time.Time { return noon }}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, b.Run(ctx))
	if names := filesIn(t, b.Dir); len(names) != 1 {
		t.Errorf("copies: %v", names)
	}
}
