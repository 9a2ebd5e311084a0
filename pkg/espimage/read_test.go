package espimage_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/espimage"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// sample is a whole image of the project's own firmware.
func sample(tb testing.TB) []byte {
	tb.Helper()
	b, err := firmware.Build{Code: "demo", Version: "1.0.0"}.Image()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func read(b []byte) (*espimage.Image, error) {
	return espimage.Read(bytes.NewReader(b), int64(len(b)))
}

func TestReadTellsWhatAnImageSaysOfItself(t *testing.T) {
	b := sample(t)
	img, err := read(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(img)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"image_size":65840`, `"image_type":"ESP32-C3"`, `"flash_size":"4MB"`, `"flash_mode":"DIO"`, `"flash_freq":"40m"`,
		`"wp_pin":"0xee"`, `"max_chip_revision":"v655.35"`, `"checksum_valid":true`, `"validation_hash_valid":true`,
		`{"index":0,"length":"0x00134","load_address":"0x3c000020","file_offset":"0x00000018","memory_types":["DROM"]}`,
		`"project_name":"slipway_sample","version":"1.0.0","compile_time":""`, `"max_efuse_block_revision":"0.99"`,
		`"mmu_page_size":"64 KB"`, `"secure_version":0`,
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if img.Signature != nil || img.App.ELFHashAbsent() {
		t.Errorf("signature %v, ELF hash %s", img.Signature, img.App.ELFSHA256)
	}
}

func TestReadRefusesEveryBeginningOfAnImage(t *testing.T) {
	b := sample(t)
	for n := 0; n < len(b); n += 1 + n/100 {
		img, err := read(b[:n])
		var format *espimage.FormatError
		if img != nil || !errors.As(err, &format) {
			t.Fatalf("%d bytes: %v, %v", n, img, err)
		}
		if n >= 24 && !strings.Contains(err.Error(), "too short") {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

func TestReadRefusesWhatIsNoImage(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
		want   string
	}{
		{"an ELF", func(b []byte) []byte { return append([]byte("\x7fELF"), b...) }, "wrong magic 0x7f, want 0xe9"},
		{"an image of the ESP8266", func(b []byte) []byte { b[0] = 0xEA; return b }, "wrong magic 0xea"},
		{"17 segments", func(b []byte) []byte { b[1] = 17; return b }, "17 segments, at most 16"},
		{"a hash flag of 2", func(b []byte) []byte { b[23] = 2; return b }, "hash flag is 0x02"},
		{"a segment of 4 GiB", func(b []byte) []byte { binary.LittleEndian.PutUint32(b[28:], 0xFFFFFFFF); return b }, "segment 0 has 4294967295 bytes"},
		{"one segment more than there are", func(b []byte) []byte { b[1]++; return b }, "too short"},
	} {
		t.Run(c.name, func(t *testing.T) {
			img, err := read(c.change(sample(t)))
			if img != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %v", img, err)
			}
		})
	}
}

func TestReadReportsDamageThatADeviceWouldRefuse(t *testing.T) {
	b := sample(t)
	b[0x210] ^= 1
	img, err := read(b)
	if err != nil {
		t.Fatal(err)
	}
	if img.ChecksumValid || img.HashValid || img.Checksum == img.ChecksumCalculated {
		t.Errorf("checksum %s, calculated %s, hash valid %v", img.Checksum, img.ChecksumCalculated, img.HashValid)
	}
}

func TestReadTakesAChipThatItDoesNotKnow(t *testing.T) {
	b := sample(t)
	binary.LittleEndian.PutUint16(b[12:], 77)
	img, err := read(b)
	if err != nil {
		t.Fatal(err)
	}
	if img.Chip != "unknown chip 77" || img.ChipID.Known() || img.ChipID.Target() != "" || len(img.Segments[0].Memories) != 0 {
		t.Errorf("%q, target %q, %v", img.Chip, img.ChipID.Target(), img.Segments[0].Memories)
	}
}

func TestReadTakesAnImageWithoutDescriptorOrHash(t *testing.T) {
	b := sample(t)
	b[32] = 0 // the descriptor's magic
	b[23] = 0
	img, err := read(b[:len(b)-32])
	if err != nil {
		t.Fatal(err)
	}
	if img.App != nil || img.HashAppended || img.Hash != "" {
		t.Errorf("app %v, hash %q", img.App, img.Hash)
	}
}

// signed appends signature blocks of version 2 as espsecure does.
func signed(b []byte, blocks ...[]byte) []byte {
	for len(b)%4096 != 0 {
		b = append(b, 0xFF)
	}
	digest := sha256.Sum256(b)
	for _, block := range blocks {
		copy(block[4:], digest[:])
		binary.LittleEndian.PutUint32(block[1196:], crc32.ChecksumIEEE(block[:1196]))
		b = append(b, block...)
	}
	return append(b, bytes.Repeat([]byte{0xFF}, 4096-1216*len(blocks))...)
}

func signatureBlock(version, curve byte) []byte {
	b := make([]byte, 1216)
	b[0], b[1], b[36] = 0xE7, version, curve
	return b
}

func TestReadFindsTheSecureBootSignature(t *testing.T) {
	img, err := read(signed(sample(t), signatureBlock(2, 0), signatureBlock(3, 2)))
	if err != nil || img.Signature == nil {
		t.Fatal(img, err)
	}
	if s := img.Signature; s.Version != 2 || len(s.Keys) != 2 || s.Keys[0].Scheme != "RSA-3072" || s.Keys[1].Scheme != "ECDSA P-256" ||
		!s.Keys[0].DigestValid || !s.Keys[1].CRCValid {
		t.Errorf("%+v", s)
	}
	b := signed(sample(t), signatureBlock(3, 3))
	b[67000] ^= 1 // padding between hash and signature is signed too
	img, err = read(b)
	if err != nil || img.Signature == nil || img.Signature.Keys[0].DigestValid || !img.Signature.Keys[0].CRCValid {
		t.Errorf("%+v, %v", img.Signature, err)
	}
	img, err = read(append(sample(t), make([]byte, 68)...))
	if err != nil || img.Signature == nil || img.Signature.Version != 1 {
		t.Errorf("version 1: %+v, %v", img, err)
	}
	img, err = read(append(sample(t), bytes.Repeat([]byte{0xFF}, 9000)...))
	if err != nil || img.Signature != nil {
		t.Errorf("padding taken for a signature: %+v, %v", img.Signature, err)
	}
}

func TestReadDescriptorReadsTheFirst288BytesAlone(t *testing.T) {
	b := sample(t)
	h, app, err := espimage.ReadDescriptor(bytes.NewReader(b[:288]), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	img, err := read(b)
	if err != nil || h != img.Header || app != *img.App {
		t.Errorf("%+v %+v, %v", h, app, err)
	}
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":         {nil, "it is empty"},
		"too short":     {b[:287], "too short for an app descriptor"},
		"no descriptor": {append(bytes.Clone(b[:32]), make([]byte, 256)...), "no app descriptor"},
	} {
		_, _, err := espimage.ReadDescriptor(bytes.NewReader(c.b), int64(len(c.b)))
		var format *espimage.FormatError
		if !errors.As(err, &format) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAVersionMustBeText(t *testing.T) {
	for version, want := range map[string]string{"": "its version is empty", "1.\xff": `its version "1.\xff" is not UTF-8`, "1.0": ""} {
		err := espimage.App{Version: version}.CheckVersion()
		if (err == nil) != (want == "") || err != nil && !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %v", version, err)
		}
	}
}

// broken fails as a disk does.
type broken struct{ good []byte }

var errDisk = errors.New("input/output error")

func (b broken) ReadAt(p []byte, at int64) (int, error) {
	if at >= int64(len(b.good)) {
		return 0, errDisk
	}
	n := copy(p, b.good[at:])
	if n < len(p) {
		return n, errDisk
	}
	return n, nil
}

func TestAFailingDiskIsNotTheImagesFault(t *testing.T) {
	b := sample(t)
	var format *espimage.FormatError
	for _, n := range []int{0, 10, 24, 40, 300, 40000, len(b) - 1} {
		_, err := espimage.Read(broken{b[:n]}, int64(len(b)))
		if !errors.Is(err, errDisk) || errors.As(err, &format) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	_, err := espimage.Read(bytes.NewReader(b[:500]), int64(len(b)))
	if !errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &format) {
		t.Errorf("a file that shrank: %v", err)
	}
	if _, _, err := espimage.ReadDescriptor(broken{b[:100]}, int64(len(b))); !errors.Is(err, errDisk) {
		t.Errorf("descriptor: %v", err)
	}
}

func TestTheChipsHaveTheNamesOfTheBuildSettings(t *testing.T) {
	for chip, want := range map[espimage.Chip]string{
		espimage.ESP32: "esp32", espimage.ESP32S2: "esp32s2", espimage.ESP32S3: "esp32s3", espimage.ESP32C2: "esp32c2",
		espimage.ESP32C3: "esp32c3", espimage.ESP32C5: "esp32c5", espimage.ESP32C6: "esp32c6", espimage.ESP32C61: "esp32c61",
		espimage.ESP32H2: "esp32h2", espimage.ESP32H21: "esp32h21", espimage.ESP32H4: "esp32h4", espimage.ESP32P4: "esp32p4",
		espimage.ESP32S31: "esp32s31",
	} {
		if !chip.Known() || chip.Target() != want {
			t.Errorf("%d: %q, want %q", chip, chip.Target(), want)
		}
	}
}

// FuzzRead holds that any bytes yield either an image or an error, that a stream yields the same as a file, and that
// bytes that are all there are never the disk's fault.
func FuzzRead(f *testing.F) {
	whole := sample(f)
	small := append(bytes.Clone(whole[:24]), whole[24:32+256]...)
	small[1] = 1
	binary.LittleEndian.PutUint32(small[28:], 256)
	f.Add(append(small, make([]byte, 48)...))
	f.Add(small)
	f.Add(signed(append(small, make([]byte, 48)...), signatureBlock(2, 0)))
	f.Add([]byte{0xE9})
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := read(b)
		if (img == nil) == (err == nil) {
			t.Fatalf("%v and %v", img, err)
		}
		var format *espimage.FormatError
		if err != nil && !errors.As(err, &format) {
			t.Fatal(err)
		}
		again, scanned := espimage.Scan(bytes.NewReader(b), int64(len(b)))
		if !reflect.DeepEqual(img, again) || (err == nil) != (scanned == nil) {
			t.Fatalf("read %v, %v; scanned %v, %v", img, err, again, scanned)
		}
		h, app, short := espimage.ReadDescriptor(bytes.NewReader(b), int64(len(b)))
		if img != nil && img.App != nil && (short != nil || h != img.Header || app != *img.App) {
			t.Fatalf("descriptor %v, %v, %v", h, app, short)
		}
		if img != nil {
			if _, err := json.Marshal(img); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestReadTellsWhatADeviceTellsOfItsImage(t *testing.T) {
	plain := sample(t)
	whole := md5.Sum(plain)
	for name, b := range map[string][]byte{"as it is": plain, "signed": signed(plain, signatureBlock(2, 0)), "with bytes behind it": append(slices.Clone(plain), 1, 2, 3)} {
		img, err := read(b)
		if err != nil {
			t.Fatal(err)
		}
		if sum := md5.Sum(b); img.MD5 != hex.EncodeToString(sum[:]) || img.SHA1 != fmt.Sprintf("%x", sha1.Sum(b)) {
			t.Errorf("%s: MD5 %s and SHA-1 %s of the file", name, img.MD5, img.SHA1)
		}
		if img.RunningMD5 != hex.EncodeToString(whole[:]) || img.RunningSHA256 != img.Hash {
			t.Errorf("%s: running: MD5 %s, SHA-256 %s", name, img.RunningMD5, img.RunningSHA256)
		}
	}
	bare := slices.Clone(plain[:len(plain)-32])
	bare[23] = 0 // no hash is appended
	img, err := read(bare)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(bare); img.RunningSHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("without a hash: SHA-256 %s", img.RunningSHA256)
	}
}
