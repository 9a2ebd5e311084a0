package catalog

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

// content is every record but those of the store itself and the events.
func content(t testing.TB, c *Catalog) string {
	t.Helper()
	var all strings.Builder
	must(t, c.view(func(txn *badger.Txn) error {
		return each(txn, "", "", false, func(key string, item *badger.Item) error {
			if neverBackedUp(key) || key == keyEvents || strings.HasPrefix(key, eventPrefix) || strings.HasPrefix(key, objectEventPrefix) {
				return nil // what was done to it goes on being told
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
	n, err := Restore(settled(t, dir), bytes.NewReader(backup))
	must(t, err)
	if counted, err := CheckBackup(bytes.NewReader(backup)); n != counted || n < 1000 || err != nil {
		t.Errorf("%d records are restored of %d, %v", n, counted, err)
	}
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
	_, err := Restore(settled(t, dir), bytes.NewReader(backup))
	want(t, err, fleet.ErrTaken)
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
		"newer":              {bytes.NewReader(zipped(t, fmt.Appendf(nil, "slipway catalog %d\n\x00", Schema+1))), nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := Restore(settled(t, dir), test.backup)
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
		_, err := readRecords(bytes.NewReader(plain), func(key, value []byte) error {
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
