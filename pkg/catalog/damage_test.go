package catalog

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// image is a folder's files, without the zeros at their ends.
type image map[string]imageFile

type imageFile struct {
	content []byte
	size    int64
}

func imageOf(t *testing.T, dir string) image {
	t.Helper()
	files := image{}
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		files[e.Name()] = imageFile{bytes.Clone(bytes.TrimRight(b, "\x00")), int64(len(b))}
		return err
	}))
	return files
}

func (i image) write(t *testing.T, dir string) {
	t.Helper()
	for name, f := range i {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, f.content, 0o600))
		must(t, os.Truncate(path, f.size))
	}
}

// filledCatalog has tables and a log, and is as a kill leaves it, or as a stop does.
func filledCatalog(t *testing.T, stopped bool) (image, [sha256.Size]byte) {
	t.Helper()
	dir := t.TempDir()
	c := open(t, dir)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	must(t, c.AddDevices(t.Context(), devices("pump", 3000)))
	must(t, c.Close())
	c = open(t, dir)
	for n := range 20 {
		d := newDevice("pump", 5000+n)
		must(t, c.AddDevice(t.Context(), d.Device, d.Secrets))
	}
	c.copyCounts() // as the committer does a few seconds later
	holds := contents(t, c)
	if stopped {
		must(t, c.Close())
	}
	return imageOf(t, dir), holds
}

// contents is a hash of all records but those of this store.
func contents(t *testing.T, c *Catalog) (sum [sha256.Size]byte) {
	t.Helper()
	hash := sha256.New()
	must(t, c.view(func(txn *badger.Txn) error {
		return each(txn, "", "", false, func(key string, item *badger.Item) error {
			if neverBackedUp(key) {
				return nil
			}
			return item.Value(func(b []byte) error {
				_, err := fmt.Fprintf(hash, "%q %q\n", key, b)
				return err
			})
		})
	}))
	hash.Sum(sum[:0])
	return sum
}

// verdict opens what lies in a folder: "as before", "refused", "trouble", or what is wrong with that.
func verdict(t *testing.T, dir string, holds [sha256.Size]byte) string {
	t.Helper()
	c, err := Open(settled(t, dir))
	var bad *DamagedError
	var newer *NewerError
	switch {
	case errors.As(err, &bad), errors.As(err, &newer), err != nil && strings.Contains(err.Error(), schemaFile):
		return "refused"
	case err != nil:
		return "an error that is none of ours: " + err.Error()
	}
	defer func() { must(t, c.Close()) }()
	_, whole := c.Whole()
	switch same := contents(t, c) == holds; {
	case same && whole == nil:
		return "as before"
	case whole != nil:
		return "trouble"
	}
	return "SILENT LOSS"
}

// flips is how many places of a file a test looks at, 4 unless told.
func flips(t *testing.T) int {
	t.Helper()
	if s := os.Getenv("SLIPWAY_FLIPS"); s != "" {
		n, err := strconv.Atoi(s)
		must(t, err)
		return n
	}
	return 4
}

func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("SLIPWAY_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		must(t, err)
	}
	t.Logf("SLIPWAY_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func TestNoFlippedBitOfACatalogIsSilent(t *testing.T) {
	for _, stopped := range []bool{true, false} {
		whole, holds := filledCatalog(t, stopped)
		random := seeded(t)
		names := slices.Sorted(maps.Keys(whole))
		seen := map[string]map[string]int{}
		for n := range flips(t) * len(names) {
			name := names[n%len(names)]
			f := whole[name]
			if len(f.content) == 0 {
				continue
			}
			damaged := maps.Clone(whole)
			at, bit := random.IntN(len(f.content)), random.IntN(8)
			content := bytes.Clone(f.content)
			content[at] ^= 1 << bit
			damaged[name] = imageFile{content, f.size}
			dir := t.TempDir()
			damaged.write(t, dir)
			v := verdict(t, dir, holds)
			if kind := filepath.Ext(name); kind != "" {
				name = "*" + kind
			}
			if seen[name] == nil {
				seen[name] = map[string]int{}
			}
			seen[name][v]++
			if v != "as before" && v != "refused" && v != "trouble" {
				t.Errorf("stopped %v: bit %d of byte %d of %s: %s", stopped, bit, at, names[n%len(names)], v)
			}
		}
		t.Logf("stopped %v: %v", stopped, seen)
	}
}

func TestNoLostFileOfACatalogIsSilent(t *testing.T) {
	for _, stopped := range []bool{true, false} {
		whole, holds := filledCatalog(t, stopped)
		for name := range whole {
			left := maps.Clone(whole)
			delete(left, name)
			dir := t.TempDir()
			left.write(t, dir)
			v := verdict(t, dir, holds)
			t.Logf("stopped %v: without %s: %s", stopped, name, v)
			lasting := whole[name].size > 0 && (filepath.Ext(name) == tableSuffix || filepath.Ext(name) == logSuffix || name == manifestFile)
			if lasting && v != "refused" || !lasting && v != "as before" {
				t.Errorf("stopped %v: without %s: %s", stopped, name, v)
			}
		}
	}
}

// newestLog is the last log that is not empty.
func newestLog(t *testing.T, dir string) (newest []byte) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "*"+logSuffix))
	must(t, err)
	for _, path := range logs {
		b, err := os.ReadFile(path)
		must(t, err)
		if len(b) > 0 {
			newest = b
		}
	}
	return newest
}

func TestATransactionThatWasTornIsNoDamage(t *testing.T) {
	whole, _ := filledCatalog(t, false)
	dir := t.TempDir()
	whole.write(t, dir)
	before := newestLog(t, dir)
	begun := len(bytes.TrimRight(before, "\x00"))
	c, err := Open(settled(t, dir)) // one more device, in a log of its own
	must(t, err)
	d := newDevice("pump", 7000)
	must(t, c.AddDevice(t.Context(), d.Device, d.Secrets))
	more := newestLog(t, dir)
	must(t, c.Close())
	written := bytes.TrimRight(more[logHeader:], "\x00")

	for length := range written { // a kill while it was written
		b := slices.Concat(before[:begun], written[:length], make([]byte, 1024))
		if _, rotten := readLog(b); rotten {
			t.Fatalf("%d of %d bytes of it are taken for damage", length, len(written))
		}
	}
	for at := 0; at < len(written); { // a kill in the middle of an entry whose beginning is copied last
		e, whole := entryAt(written[at:])
		if !whole {
			t.Fatalf("no entry at %d", at)
		}
		for length := at; length <= at+e.length; length++ {
			b := slices.Concat(before[:begun], written[:length], make([]byte, 1024))
			clear(b[begun+at : begun+min(at+32, length)])
			if _, rotten := readLog(b); rotten {
				t.Fatalf("%d bytes of the entry at %d without their beginning are taken for damage", length-at, at)
			}
		}
		at += e.length
	}
	b := slices.Concat(before[:begun], written, make([]byte, 1024))
	for at := begun - begun%sector; at < begun+len(written); at += sector { // a power cut before a sector was written
		torn := bytes.Clone(b)
		clear(torn[max(at, begun):min(at+sector, len(torn))])
		if _, rotten := readLog(torn); rotten {
			t.Errorf("without the sector at %d it is taken for damage", at)
		}
	}
	for at := range written { // the transaction is whole, and a byte has changed
		bad := bytes.Clone(b)
		bad[begun+at] ^= 4
		if _, rotten := readLog(bad); !rotten {
			t.Errorf("a flip in byte %d of %d of the last transaction is not seen", at, len(written))
		}
	}
}

func TestRecordsThatVanishWithoutATransactionAreMissed(t *testing.T) {
	c := withModel(t, "pump")
	must(t, c.AddDevices(t.Context(), devices("pump", 10)))
	must(t, c.RemoveDevice(t.Context(), keyOf(3)))
	counts, err := c.Whole()
	if err != nil || counts.Models != 1 || counts.Devices != 9 {
		t.Fatalf("%+v, %v", counts, err)
	}
	must(t, c.store.db.Update(func(txn *badger.Txn) error { return txn.Delete([]byte(deviceKey(keyOf(4)))) }))
	var bad *DamagedError
	if _, err := c.Whole(); !errors.As(err, &bad) || !strings.Contains(c.Trouble(), "8 devices") {
		t.Errorf("%v; trouble %q", err, c.Trouble())
	}
}

func TestACatalogThatHasGoneBackIsTrouble(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	must(t, c.Close())
	old := imageOf(t, dir)
	c = open(t, dir)
	must(t, c.AddDevices(t.Context(), devices("pump", 10)))
	must(t, c.Close())
	counts, err := os.ReadFile(filepath.Join(dir, countsFile))
	must(t, err)
	var noted Counts
	must(t, json.Unmarshal(counts, &noted))
	if noted.Devices != 10 {
		t.Errorf("beside the catalog: %s", counts)
	}
	must(t, emptyFolder(dir))
	old.write(t, dir)
	must(t, os.WriteFile(filepath.Join(dir, countsFile), counts, 0o600))
	c = open(t, dir)
	if !strings.Contains(c.Trouble(), "10 devices") {
		t.Errorf("trouble: %q", c.Trouble())
	}
	if _, err := c.Whole(); err == nil {
		t.Error("it may be backed up")
	}
}
