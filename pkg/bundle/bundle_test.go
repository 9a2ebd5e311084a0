package bundle_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestReadTellsWhatABundleHolds(t *testing.T) {
	parts := good(t)
	b, err := read(archive{parts: parts}.bytes())
	if err != nil {
		t.Fatal(err)
	}
	if b.Code != "demo" || b.Version != "1.0.0" || b.Image.App.Project != "slipway_sample" || b.IDFVersion != "v5.4.2" ||
		b.GitCommit != "5b2e1d7c0f3a4c19a6d2f7e8b9a0c1d2e3f40516" || len(b.Warnings) != 0 || b.ELFHashAbsent {
		t.Errorf("%+v", b)
	}
	if b.ImageSHA256 != hashOf(parts[0].data) || b.ELFSHA256 != hashOf(parts[1].data) ||
		b.ImageSize() != int64(len(parts[0].data)) || b.ELFSize() != int64(len(parts[1].data)) {
		t.Error("hashes or sizes are wrong")
	}
	image, err := io.ReadAll(b.OpenImage())
	if err != nil || !bytes.Equal(image, parts[0].data) {
		t.Errorf("the image differs (%v)", err)
	}
	elf, err := io.ReadAll(b.OpenELF())
	if err != nil || !bytes.Equal(elf, parts[1].data) {
		t.Errorf("the ELF differs (%v)", err)
	}
}

func TestReadTakesWhatZIPProgramsWrite(t *testing.T) {
	stored, elves := good(t), with(t, "demo.elf", func(*part) {}).parts[1]
	for i := range stored {
		stored[i].stored = true
	}
	described := func(wide, signature bool) archive {
		return with(t, "demo.elf", func(p *part) { p.flags, p.descriptor = 8, descriptorOf(elves, wide, signature) })
	}
	for name, a := range map[string]archive{
		"stored":                          {parts: stored},
		"a comment":                       {parts: good(t), comment: []byte("made by CI")},
		"a data descriptor":               described(false, true),
		"one without signature":           described(false, false),
		"one of ZIP64":                    described(true, true),
		"one of ZIP64, without signature": described(true, false),
		"ZIP64 end records":               {parts: good(t), zip64: end64},
		"ZIP64 end records alone":         {parts: good(t), zip64: end64, end: full},
		"extra fields":                    with(t, "demo.elf", func(p *part) { p.extra, p.localExtra = []byte{'U', 'T', 1, 0, 0}, []byte{'u', 'x', 0, 0} }),
		"Unix modes":                      with(t, "demo.elf", func(p *part) { p.creator, p.attributes = 3, 0x81A4<<16 }),
		"DOS archive attribute":           with(t, "demo.elf", func(p *part) { p.attributes = 0x20 }),
	} {
		if _, err := read(a.bytes()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	turned := good(t)
	turned[0], turned[4] = turned[4], turned[0]
	if _, err := read(archive{parts: turned}.bytes()); err != nil {
		t.Errorf("another order: %v", err)
	}
}

// TestReadTakesInfoZIPs tries the real program where it is.
func TestReadTakesInfoZIPs(t *testing.T) {
	program, err := exec.LookPath("zip")
	if err != nil {
		t.Skip("no zip program here: what Info-ZIP writes is not tried")
	}
	dir := t.TempDir()
	for _, p := range good(t) {
		if err := os.WriteFile(filepath.Join(dir, p.name), p.data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, options := range []string{"-q", "-q0", "-q -X", "-q -fd"} {
		cmd := exec.Command(program, append(strings.Fields(options), "-", "demo.bin", "demo.elf", "demo.map", "sdkconfig", "version.json")...)
		cmd.Dir = dir
		zip, err := cmd.Output() // into a pipe, so that it streams
		if err != nil {
			t.Fatal(err)
		}
		if _, err := read(zip); err != nil {
			t.Errorf("zip %s: %v", options, err)
		}
	}
}

func TestReadFindsTheModelByTheImagesName(t *testing.T) {
	code := func(a archive) (string, error) {
		zip := a.bytes()
		b, err := bundle.Read(bytes.NewReader(zip), int64(len(zip)), bundle.Expected{}, bundle.DefaultLimits)
		if err != nil {
			return "", err
		}
		return b.Code, nil
	}
	if got, err := code(archive{parts: good(t)}); got != "demo" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := code(and(t, part{name: "bootloader.bin"})); err == nil || !strings.Contains(err.Error(), `holds "bootloader.bin"`) {
		t.Errorf("with a bootloader: %v", err)
	}
	for name, a := range map[string]archive{
		"capitals": with(t, "demo.bin", func(p *part) { p.name = "Demo.bin" }),
		"none":     with(t, "demo.bin", func(p *part) { p.name = "firmware" }),
		"two":      and(t, part{name: "x.bin"}, part{name: "x.elf"}),
	} {
		if _, err := code(a); err == nil || !strings.Contains(err.Error(), "does not show its model") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadRefusesAnImageThatIsNone(t *testing.T) {
	change := func(f func([]byte) []byte) archive {
		return with(t, "demo.bin", func(p *part) { p.data = f(bytes.Clone(p.data)) })
	}
	version := func(v string) archive {
		return change(func(b []byte) []byte { clear(b[0x30:0x50]); copy(b[0x30:], v); return b })
	}
	for name, c := range map[string]struct {
		zip  archive
		want string
	}{
		"wrong magic":          {change(func(b []byte) []byte { b[0] = 0; return b }), "demo.bin is no ESP application image: wrong magic 0x00"},
		"too short":            {change(func(b []byte) []byte { return b[:5000] }), "demo.bin is no ESP application image: too short"},
		"empty":                {change(func([]byte) []byte { return nil }), "demo.bin is no ESP application image: it is empty"},
		"no descriptor":        {change(func(b []byte) []byte { b[32] = 0; return b }), "demo.bin has no app descriptor"},
		"an empty version":     {version(""), "its version is empty"},
		"a version in Latin 1": {version("1.0\xe9"), "is not UTF-8"},
		"made of another ELF":  {with(t, "demo.elf", func(p *part) { p.data = []byte("another") }), "demo.bin was not made from demo.elf"},
	} {
		if got := refusal(t, c.zip.bytes()); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestReadRefusesVersionsThatAreNoTexts(t *testing.T) {
	for text, want := range map[string]string{
		``:     "version.json is not a JSON object",
		`[1]`:  "version.json is not a JSON object",
		`null`: "version.json lacks git_commit",
		`{"idf_version":"5","firmware_version":"1"}`:                     "version.json lacks git_commit",
		`{"git_commit":"a","firmware_version":"1"}`:                      "version.json lacks idf_version",
		`{"git_commit":"a","idf_version":"5"}`:                           "version.json lacks firmware_version",
		`{"git_commit":"a","idf_version":5.4,"firmware_version":"1"}`:    "version.json: idf_version is not a text",
		`{"git_commit":null,"idf_version":"5","firmware_version":"1"}`:   "version.json: git_commit is not a text",
		`{"git_commit":"a","idf_version":"5","firmware_version":"1"} {}`: "version.json is not a JSON object",
	} {
		got := refusal(t, with(t, "version.json", func(p *part) { p.data = []byte(text) }).bytes())
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func TestReadWarnsWhereThePapersDifferFromTheImage(t *testing.T) {
	parts := good(t)
	parts[4].data = []byte("\xef\xbb\xbf" + `{"git_commit":"abc","idf_version":"v4.4","firmware_version":"2.0.0","by":"CI"}`)
	parts[3].data = []byte("# ESP-IDF\r\nCONFIG_IDF_TARGET=\"esp32s3\"\r\n")
	b, err := read(archive{parts: parts}.bytes())
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(b.Warnings, "\n")
	for _, want := range []string{
		`version.json says version "2.0.0", the image says "1.0.0"`, `version.json says ESP-IDF "v4.4", the image says "v5.4.2"`,
		`sdkconfig is for "esp32s3", the image for "esp32c3"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if b.GitCommit != "abc" || b.Version != "1.0.0" {
		t.Errorf("commit %q, version %q", b.GitCommit, b.Version)
	}
}

func TestReadTakesAnImageThatDoesNotKnowItsELFAndSaysSo(t *testing.T) {
	b, err := read(with(t, "demo.bin", func(p *part) { clear(p.data[0xB0:0xD0]) }).bytes())
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(b.Warnings, "\n")
	for _, want := range []string{"does not say which ELF", "its checksum is", "its validation hash is wrong"} {
		if !b.ELFHashAbsent || !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}

func TestOpenFindsTheELFWithoutReadingTheRest(t *testing.T) {
	damaged := with(t, "demo.bin", func(p *part) { p.crc = ptr(uint32(1)) }).bytes()
	a, err := bundle.Open(bytes.NewReader(damaged), int64(len(damaged)), "", bundle.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	elf, err := io.ReadAll(a.OpenELF())
	if err != nil || hashOf(elf) != hashOf(good(t)[1].data) {
		t.Error(err)
	}
	_, err = io.ReadAll(a.OpenImage())
	var refused *bundle.Refusal
	if !errors.As(err, &refused) {
		t.Errorf("a damaged image is handed out whole: %v", err)
	}
}

func TestReadNeedsTheSameMemoryForAnyBundle(t *testing.T) {
	const large = 200 << 20
	image, err := firmware.Build{Code: "demo", Version: "1.0.0"}.Image()
	if err != nil {
		t.Fatal(err)
	}
	clear(image[0xB0:0xD0]) // no ELF's hash
	parts := good(t)
	parts[0].data = image
	parts[1].data = make([]byte, large)
	zip := archive{parts: parts}.bytes()
	runtime.GC()

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b, err := read(zip)
	runtime.ReadMemStats(&after)
	if err != nil || b.ELFSize() != large {
		t.Fatal(b, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 2<<20 {
		t.Errorf("%d bytes were allocated for an ELF of %d", used, large)
	}
}

// broken fails beyond some bytes, as a disk does.
type broken struct {
	io.ReaderAt
	from, to int64
}

var errDisk = errors.New("input/output error")

func (b broken) ReadAt(p []byte, at int64) (int, error) {
	if at < b.to && at+int64(len(p)) > b.from {
		return 0, errDisk
	}
	return b.ReaderAt.ReadAt(p, at)
}

func TestAFailingDiskIsNotTheBundlesFault(t *testing.T) {
	zip := archive{parts: good(t)}.bytes()
	size := int64(len(zip))
	for at := int64(0); at < size; at += 100 {
		_, err := bundle.Read(broken{bytes.NewReader(zip), at, at + 1}, size, bundle.Expected{Code: "demo"}, bundle.DefaultLimits)
		var refused *bundle.Refusal
		if !errors.Is(err, errDisk) || errors.As(err, &refused) {
			t.Fatalf("a disk that fails at %d: %v", at, err)
		}
	}
	if _, err := bundle.Complete(broken{bytes.NewReader(zip), size - 1, size}, size); !errors.Is(err, errDisk) {
		t.Errorf("complete: %v", err)
	}
}

func TestReadTakesTheRealBuilds(t *testing.T) {
	for _, name := range []string{"esp32", "esp32_bin", "esp32c3", "esp32c6"} {
		file := func(f string) []byte {
			b, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "fixtures", "coredumps", name, f))
			if os.IsNotExist(err) {
				t.Skip("../shared/fixtures is not there: the real ESP-IDF builds are not tested")
			}
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		parts := good(t)
		parts[0].data, parts[1].data = file("app.bin"), file("app.elf")
		b, err := read(archive{parts: parts}.bytes())
		if err != nil {
			t.Fatal(err)
		}
		if b.ELFSHA256 != b.Image.App.ELFSHA256 || !b.Image.HashValid {
			t.Errorf("%s: %+v", name, b)
		}
	}
}
