package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func space() (int64, int64, error) { return math.MaxInt64, math.MaxInt64, nil }

func openCatalog(t testing.TB, dir string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(catalog.Options{
		Dir: dir, Reserve: 64 << 20, Logger: slog.New(slog.DiscardHandler), Beat: func() {}, Space: space,
		Now: func() time.Time { return noon },
	})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

const settingsText = "dumps:\n  keep_per_device: 5\n"

// gatewayState is a state folder with a fleet of n devices, and what backs it up.
func gatewayState(t testing.TB, n int) *Source {
	t.Helper()
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys")
	must(t, os.Mkdir(keys, 0o700))
	for name, content := range map[string]string{
		"ca.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("the CA")})), "ca.key": "secret of the CA",
		"signing-1700000000-abcdefgh.pem": "secret of tokens", "tls.crt": "the leaf", "tls.key": "secret of the leaf", "notes.txt": "somebody's",
	} {
		must(t, os.WriteFile(filepath.Join(keys, name), []byte(content), 0o600))
	}
	settings := filepath.Join(dir, "slipway.yaml")
	must(t, os.WriteFile(settings, []byte(settingsText), 0o644))
	c := openCatalog(t, filepath.Join(dir, "catalog"))
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump", CreatedAt: noon}))
	var devices []auth.NewDevice
	for i := range n {
		name := sha256.Sum256(fmt.Append(nil, i)) // which no compression makes small
		d := fleet.Device{Key: fleet.DeviceKey(fmt.Sprintf("d%07d", i)), Model: "pump", Name: hex.EncodeToString(name[:]), CreatedAt: noon}
		devices = append(devices, auth.NewDevice{Device: d})
	}
	must(t, c.AddDevices(t.Context(), devices))
	return &Source{Catalog: c, KeysDir: keys, SettingsFile: settings, Slipway: "1.2.3", Now: func() time.Time { return noon }}
}

func plainOf(t testing.TB, s *Source) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, s.Write(&b))
	return b.Bytes()
}

func key(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	must(t, err)
	return id
}

func sealed(t testing.TB, plain []byte, to ...age.Recipient) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to...)
	must(t, err)
	_, err = w.Write(plain)
	must(t, errors.Join(err, w.Close()))
	return b.Bytes()
}

func TestABackupHoldsCatalogKeysAndSettings(t *testing.T) {
	// More than one part of the catalog.
	s := gatewayState(t, 8_000)
	got := map[string]string{}
	parts := 0
	in := tar.NewReader(bytes.NewReader(plainOf(t, s)))
	var names []string
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		b, err := io.ReadAll(in)
		must(t, err)
		if strings.HasPrefix(h.Name, "catalog/") {
			parts++
			continue
		}
		names = append(names, h.Name)
		got[h.Name] = string(b)
	}
	if want := "manifest.json slipway.yaml keys/ca.crt keys/ca.key keys/signing-1700000000-abcdefgh.pem"; strings.Join(names, " ") != want {
		t.Errorf("it has %q, want %q", names, want)
	}
	if got["slipway.yaml"] != settingsText || got["keys/ca.key"] != "secret of the CA" || parts < 2 {
		t.Errorf("settings %q, key %q, %d parts", got["slipway.yaml"], got["keys/ca.key"], parts)
	}
	id := key(t)
	found, err := Check(bytes.NewReader(sealed(t, plainOf(t, s), id.Recipient())), id)
	if err != nil || found.Models != 1 || found.Devices != 8_000 || found.Keys != 3 || !found.Settings || found.Records < 8_000 ||
		found.Slipway != "1.2.3" || !found.MadeAt.Equal(noon) {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestABackupWithoutSettingsIsWhole(t *testing.T) {
	s := gatewayState(t, 1)
	s.SettingsFile = filepath.Join(t.TempDir(), "none.yaml")
	id := key(t)
	found, err := Check(bytes.NewReader(sealed(t, plainOf(t, s), id.Recipient())), id)
	if err != nil || found.Settings {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestAPassphraseOpensWhatItHasSealedAndNothingElse(t *testing.T) {
	plain := plainOf(t, gatewayState(t, 1))
	to, err := ForPassphrase("five words are long enough")
	must(t, err)
	b := sealed(t, plain, to)
	asks, again, err := AsksForPassphrase(bytes.NewReader(b))
	if err != nil || !asks {
		t.Errorf("asks for a passphrase: %t, %v", asks, err)
	}
	right, err := ByPassphrase("five words are long enough")
	must(t, err)
	if _, err := Check(again, right); err != nil {
		t.Error(err)
	}
	wrong, err := ByPassphrase("five words are long enougg")
	must(t, err)
	if _, err := Check(bytes.NewReader(b), wrong); err == nil || !strings.Contains(err.Error(), "opens the backup") {
		t.Errorf("by another passphrase: %v", err)
	}
	if _, err := Check(bytes.NewReader(b), key(t)); err == nil {
		t.Error("a key opens it")
	}
	if asks, _, err := AsksForPassphrase(bytes.NewReader(sealed(t, plain, key(t).Recipient()))); asks || err != nil {
		t.Errorf("of a key's: %t, %v", asks, err)
	}
	if asks, _, err := AsksForPassphrase(strings.NewReader("x")); asks || err != nil {
		t.Errorf("of text: %t, %v", asks, err)
	}
}

// entry is a file of a tar that a test makes.
type entry struct {
	name, content string
	kind          byte // 0: a file
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Size: int64(len(e.content)), Mode: 0o600}
		if e.kind != 0 {
			h.Typeflag, h.Linkname, h.Size = e.kind, "/etc/shadow", 0
		}
		must(t, w.WriteHeader(h))
		if e.kind == 0 {
			_, err := io.WriteString(w, e.content)
			must(t, err)
		}
	}
	must(t, w.Close())
	return b.Bytes()
}

// sparse is a backup whose settings claim to be 512 KiB of nothing.
func sparse(t testing.TB, before, after entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	file := func(e entry) {
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: e.name, Size: int64(len(e.content)), Mode: 0o600}))
		_, err := io.WriteString(w, e.content)
		must(t, err)
	}
	file(before)
	// The hole's records under other names, which the writer does not refuse, and then under their own.
	must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "slipway.yaml", Size: 512, Format: tar.FormatPAX, PAXRecords: map[string]string{
		"GNU/sparse.major": "1", "GNU/sparse.minor": "0", "GNU/sparse.realsize": "524288", "GNU/sparse.name": "slipway.yaml",
	}}))
	_, err := io.WriteString(w, "1\n524288\n0\n"+strings.Repeat("\x00", 512-11))
	must(t, err)
	file(after)
	must(t, w.Close())
	return bytes.ReplaceAll(b.Bytes(), []byte("GNU/sparse"), []byte("GNU.sparse"))
}

func TestNothingButABackupIsTaken(t *testing.T) {
	whole := plainOf(t, gatewayState(t, 3))
	var records bytes.Buffer
	must(t, openCatalog(t, t.TempDir()).Backup(&records))
	manifest := entry{name: "manifest.json", content: `{"format":1}`}
	catalogue := entry{name: "catalog/000000", content: records.String()}
	many := []entry{manifest}
	for i := range mostKeys + 1 {
		many = append(many, entry{name: fmt.Sprintf("keys/signing-%d-abcdefgh.pem", 1700000000+i)})
	}
	half := records.Len() / 2
	for name, plain := range map[string][]byte{
		"empty":                     {},
		"text":                      []byte(strings.Repeat("hello, this is no tar at all. ", 40)),
		"cut off within the header": whole[:200],
		"cut off within a key":      whole[:3100],
		"cut off in the catalog":    whole[:len(whole)-1500],
		"no manifest":               tarOf(t, catalogue),
		"a manifest of text":        tarOf(t, entry{name: "manifest.json", content: "hello"}, catalogue),
		"no catalog":                tarOf(t, manifest),
		"half a catalog":            tarOf(t, manifest, entry{name: "catalog/000000", content: records.String()[:half]}),
		"a part is missing":         tarOf(t, manifest, entry{name: "catalog/000000", content: records.String()[:half]}, entry{name: "catalog/000002", content: records.String()[half:]}),
		"more behind the catalog":   tarOf(t, manifest, catalogue, entry{name: "catalog/000001", content: "more"}),
		"a stranger behind it":      tarOf(t, manifest, catalogue, entry{name: "keys/ca.crt"}),
		"sparse settings":           sparse(t, manifest, catalogue),
		"a foreign file":            tarOf(t, manifest, entry{name: "etc/passwd"}, catalogue),
		"a key that climbs out":     tarOf(t, manifest, entry{name: "keys/../../etc/cron.d/x"}, catalogue),
		"a key of another name":     tarOf(t, manifest, entry{name: "keys/authorized_keys"}, catalogue),
		"a key that is a link":      tarOf(t, manifest, entry{name: "keys/ca.crt", kind: tar.TypeSymlink}, catalogue),
		"a folder":                  tarOf(t, manifest, entry{name: "keys/", kind: tar.TypeDir}, catalogue),
		"a key twice":               tarOf(t, manifest, entry{name: "keys/ca.crt"}, entry{name: "keys/ca.crt"}, catalogue),
		"too many keys":             tarOf(t, append(many, catalogue)...),
		"a huge key":                tarOf(t, manifest, entry{name: "keys/ca.crt", content: strings.Repeat("x", mostKey+1)}, catalogue),
		"huge settings":             tarOf(t, manifest, entry{name: "slipway.yaml", content: strings.Repeat("#", mostSettings+1)}, catalogue),
		"settings behind the keys":  tarOf(t, manifest, entry{name: "keys/ca.crt"}, entry{name: "slipway.yaml"}, catalogue),
	} {
		t.Run(name, func(t *testing.T) {
			id := key(t)
			if found, err := Check(bytes.NewReader(sealed(t, plain, id.Recipient())), id); err == nil || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("got %+v, %v", found, err)
			}
		})
	}
	id := key(t)
	if _, err := Check(bytes.NewReader(sealed(t, tarOf(t, manifest, catalogue), id.Recipient())), id); err != nil {
		t.Errorf("a small one is not taken: %v", err)
	}
	newer := tarOf(t, entry{name: "manifest.json", content: `{"format":2,"slipway":"9.0"}`}, catalogue)
	if _, err := Check(bytes.NewReader(sealed(t, newer, id.Recipient())), id); err == nil || !strings.Contains(err.Error(), `"9.0"`) {
		t.Errorf("of a newer slipway: %v", err)
	}
}

func TestEveryByteOfAFileCounts(t *testing.T) {
	id := key(t)
	b := sealed(t, plainOf(t, gatewayState(t, 3)), id.Recipient())
	for at := 0; at < len(b); at += 37 {
		flipped := slices.Clone(b)
		flipped[at] ^= 1
		if _, err := Check(bytes.NewReader(flipped), id); err == nil {
			t.Fatalf("byte %d of %d is another one, and nobody sees it", at, len(b))
		}
		if _, err := Check(bytes.NewReader(b[:at]), id); err == nil {
			t.Fatalf("it ends at byte %d of %d, and nobody sees it", at, len(b))
		}
	}
	if _, err := Check(bytes.NewReader(b), id); err != nil {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	var records bytes.Buffer
	dir := f.TempDir()
	c, err := catalog.Open(catalog.Options{
		Dir: dir, Logger: slog.New(slog.DiscardHandler), Beat: func() {}, Space: space, Now: time.Now,
	})
	must(f, err)
	must(f, c.Backup(&records))
	must(f, c.Close()) // Badger's own goroutines would look like progress to the fuzzer
	f.Add(tarOf(f, entry{name: "manifest.json", content: `{"format":1}`}, entry{name: "slipway.yaml", content: "#"},
		entry{name: "keys/ca.crt", content: "x"}, entry{name: "catalog/000000", content: records.String()}))
	f.Add(tarOf(f, entry{name: "manifest.json", content: `{"format":1}`}, entry{name: "catalog/000000", content: "a"}, entry{name: "catalog/000001", content: "b"}))
	f.Fuzz(func(t *testing.T, plain []byte) {
		taken := 0
		_ = Read(bytes.NewReader(plain), Taker{
			Manifest: func(Manifest) error { return nil },
			Settings: func(b []byte) error { taken += len(b); return nil },
			Key: func(name string, b []byte) error {
				if filepath.Base(name) != name || !keyNames().MatchString(name) {
					t.Errorf("a key %q", name)
				}
				taken += len(b)
				return nil
			},
			Catalog: func(r io.Reader) error {
				n, err := io.Copy(io.Discard, io.LimitReader(r, int64(len(plain))+1))
				taken += int(n)
				return err
			},
		})
		if taken > len(plain) {
			t.Errorf("%d bytes came out of %d", taken, len(plain))
		}
	})
}
