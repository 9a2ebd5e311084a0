package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/pkg/espcore"
)

// The project's own crash in QEMU, testdata/crash.
var (
	ownDump = filepath.Join("..", "testdata", "crash", "core.dmp")
	ownELF  = filepath.Join("..", "testdata", "crash", "crash.elf")
)

func readOwn(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// runCommand is one call of slipway.
func runCommand(args ...string) (code int, out, errOut string) {
	var stdout, stderr bytes.Buffer
	code = run(context.Background(), args, strings.NewReader(""), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func decodeJSON(t *testing.T, args ...string) *espcore.Report {
	t.Helper()
	code, out, errOut := runCommand(append([]string{"decode", "--format", "json"}, args...)...)
	if code != exitDone || errOut != "" {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	var r espcore.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return &r
}

func TestDecodePrintsABacktrace(t *testing.T) {
	code, out, errOut := runCommand("decode", ownDump, ownELF)
	if code != exitDone || errOut != "" {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	for _, want := range []string{
		"Reason:      StoreAccessFault at the address 0x0000000c\n",
		"Symbols:     exact",
		"#0  0x800002ae in plant::Valve::drive (",
		"\n#4  0x80000366 in app_main () at /crash/crash.cpp:120\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestDecodeTakesTheELFOutOfABundle(t *testing.T) {
	var zip bytes.Buffer
	if err := bundle.Pack(&zip, "valve", bundle.Contents{
		Image: []byte{0xE9}, ELF: readOwn(t, ownELF), Map: []byte("map"), Settings: []byte("CONFIG"), Versions: []byte("{}"),
	}); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	path := writeFile(t, "valve.zip", zip.Bytes())
	r := decodeJSON(t, ownDump, path)
	if r.ELFMatch != espcore.Exact || r.Tasks[0].Frames[0].Function != "plant::Valve::drive" {
		t.Errorf("%+v", r)
	}
	if r.Fingerprint != r.FingerprintFor("valve") || r.Fingerprint == decodeJSON(t, ownDump, ownELF).Fingerprint {
		t.Errorf("the fingerprint is not that of the bundle's model: %s", r.Fingerprint)
	}
	if other := decodeJSON(t, "--model", "pump", ownDump, path); other.Fingerprint != r.FingerprintFor("pump") {
		t.Errorf("the fingerprint is not that of the model that was named: %s", other.Fingerprint)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDecodeSaysThatTheELFIsWrong(t *testing.T) {
	elf := append(readOwn(t, ownELF), 0)
	r := decodeJSON(t, ownDump, writeFile(t, "other.elf", elf))
	if r.ELFMatch != espcore.Mismatch || len(r.Warnings) == 0 || len(r.Tasks[0].Frames) == 0 {
		t.Errorf("%q, %q, %+v", r.ELFMatch, r.Warnings, r.Tasks[0].Frames)
	}
	sum := sha256.Sum256(elf)
	if !strings.Contains(r.Warnings[0], hex.EncodeToString(sum[:])) {
		t.Errorf("%q", r.Warnings)
	}
}

func TestDecodeTakesEveryShapeOfADump(t *testing.T) {
	dump := readOwn(t, ownDump)
	for name, content := range map[string][]byte{
		"partition.elf": append(bytes.Clone(dump), bytes.Repeat([]byte{0xA5}, 4096)...),
		"dump.hex":      []byte(hex.EncodeToString(dump)),
		"naked.bin":     dump[24 : len(dump)-32],
	} {
		if r := decodeJSON(t, writeFile(t, name, content), ownELF); len(r.Tasks) != 3 || r.ELFMatch != espcore.Exact {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestDecodesExitCodeSaysWhatIsWrong(t *testing.T) {
	text := writeFile(t, "text.txt", []byte("this is no dump"))
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no dump named":    {nil, exitUsage, "want 'slipway decode CORE [ELF]'"},
		"a wrong format":   {[]string{"--format", "xml", ownDump, ownELF}, exitUsage, "want text or json"},
		"a missing dump":   {[]string{"none.dmp", ownELF}, exitNotFound, "none.dmp"},
		"a missing ELF":    {[]string{ownDump, "none.elf"}, exitNotFound, "none.elf"},
		"no dump":          {[]string{text, ownELF}, exitFailed, "text.txt: not an ESP-IDF core dump"},
		"no ELF":           {[]string{ownDump, text}, exitFailed, "text.txt: "},
		"a folder":         {[]string{ownDump, t.TempDir()}, exitFailed, ""},
		"a broken bundle":  {[]string{ownDump, writeFile(t, "b.zip", []byte("PK\x03\x04 and no more"))}, exitFailed, "b.zip: "},
		"an empty ELF":     {[]string{ownDump, writeFile(t, "e.elf", nil)}, exitFailed, "e.elf: "},
		"no ROM there":     {[]string{"--rom", t.TempDir(), ownDump, ownELF}, exitFailed, "esp32c3_rev0_rom.elf"},
		"a missing folder": {[]string{"--rom", "none", ownDump, ownELF}, exitNotFound, "none"},
	} {
		code, out, errOut := runCommand(append([]string{"decode"}, c.args...)...)
		if code != c.code || out != "" || !strings.Contains(errOut, c.want) {
			t.Errorf("%s: exit %d, %q, %q", name, code, out, errOut)
		}
	}
}

func TestDecodeWithoutAnELFSaysWhatTheDumpSaysOfItself(t *testing.T) {
	code, out, errOut := runCommand("decode", ownDump)
	if code != exitDone || errOut != "" {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	for _, want := range []string{"Core dump of an ESP32-C3", "Symbols:     missing, give the ELF whose SHA-256 begins with ", "#0  0x800002ae in ?? ()"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}
