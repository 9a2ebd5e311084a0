package bundle_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/bundle"
)

func read(zip []byte) (*bundle.Bundle, error) {
	return bundle.Read(bytes.NewReader(zip), int64(len(zip)), bundle.Expected{Code: "demo"}, bundle.DefaultLimits)
}

// refusal is the reason for which a ZIP is refused; any other outcome fails the test.
func refusal(t *testing.T, zip []byte) string {
	t.Helper()
	b, err := read(zip)
	var refused *bundle.Refusal
	if b != nil || !errors.As(err, &refused) {
		t.Fatalf("want a refusal, got %v and %v", b, err)
	}
	return err.Error()
}

func TestReadNamesTheFileThatIsMissing(t *testing.T) {
	for i, p := range good(t) {
		parts := good(t)
		got := refusal(t, archive{parts: append(parts[:i], parts[i+1:]...)}.bytes())
		if !strings.HasPrefix(got, "the ZIP lacks "+p.name+":") {
			t.Errorf("%s: %s", p.name, got)
		}
	}
}

func TestReadNamesTheFileThatDoesNotBelong(t *testing.T) {
	for _, name := range []string{"README.md", "demo/demo.bin", "../demo.bin", "/demo.bin", `build\demo.bin`, "demo.bin ", "other.bin", ".DS_Store"} {
		got := refusal(t, and(t, part{name: name, data: []byte("x")}).bytes())
		if !strings.Contains(got, fmt.Sprintf("%q", name)) || !strings.Contains(got, "does not belong") {
			t.Errorf("%s: %s", name, got)
		}
	}
	wrong := with(t, "demo.elf", func(p *part) { p.name = "firmware.elf" })
	if got := refusal(t, wrong.bytes()); !strings.Contains(got, "lacks demo.elf and holds \"firmware.elf\"") {
		t.Error(got)
	}
}

func TestReadRefusesEveryHostileZIP(t *testing.T) {
	image := func(change func(*part)) archive { return with(t, "demo.bin", change) }
	elf := func(change func(*part)) archive { return with(t, "demo.elf", change) }
	manyParts := good(t)
	for i := range 60 {
		manyParts = append(manyParts, part{name: fmt.Sprint("file", i)})
	}
	const (
		link, folder, device = 0xA1FF << 16, 0x41ED << 16, 0x21B6 << 16
		unix                 = 3
	)
	for _, c := range []struct {
		name string
		zip  archive
		want string
	}{
		{"which are the same name", and(t, part{name: "sdkconfig", data: []byte("x")}), `"sdkconfig" and "sdkconfig", which are the same name`},
		{"the same name in capitals", and(t, part{name: "SDKCONFIG", data: []byte("x")}), "which are the same name"},
		{"a folder", and(t, part{name: "demo/", stored: true}), `the folder "demo/"`},
		{"a folder by its mode", and(t, part{name: "demo", creator: unix, attributes: folder}), `the folder "demo"`},
		{"a folder by its DOS attribute", and(t, part{name: "demo", attributes: 0x10}), `the folder "demo"`},
		{"a link in place of the map", with(t, "demo.map", func(p *part) { p.creator, p.attributes = unix, link }), `"demo.map" is a link or another special file`},
		{"a device", with(t, "demo.map", func(p *part) { p.creator, p.attributes = unix, device }), "a link or another special file"},
		{"no name", and(t, part{name: ""}), "without a name"},
		{"a name of 300 bytes", and(t, part{name: strings.Repeat("n", 300)}), "too long"},
		{"encrypted", elf(func(p *part) { p.flags = 1 }), `"demo.elf" is encrypted`},
		{"encrypted in the local header alone", elf(func(p *part) { p.localFlags = ptr(uint16(1)) }), "is encrypted"},
		{"strong encryption", elf(func(p *part) { p.flags = 1 << 6 }), "is encrypted"},
		{"packed with bzip2", elf(func(p *part) { p.method = 12 }), "packed with method 12"},
		{"bytes before", archive{parts: good(t), before: []byte("#!/bin/sh\n")}, "bytes before"},
		{"bytes before the directory", archive{parts: good(t), gap: []byte("hidden")}, "6 bytes before its directory"},
		{"bytes between two files", image(func(p *part) { p.junk = []byte("hidden") }), `6 bytes before "demo.elf"`},
		{"bytes behind packed ones", elf(func(p *part) { p.packed = append(deflate(p.data), "hidden"...) }), `bytes behind "demo.elf"`},
		{"65 files", archive{parts: manyParts}, "more than 64 files"},
		{"a count of 64 for five files", archive{parts: good(t), entries: ptr(uint16(64))}, "directory ends within an entry"},
		{"a count of four for five files", archive{parts: good(t), entries: ptr(uint16(4))}, "more than the 4 files"},
		{"no file at all", archive{}, "the ZIP lacks demo.bin, demo.elf, demo.map, sdkconfig, version.json"},
		{"two files in the same bytes", and(t, part{name: "x", skipLocal: true, at: ptr(uint32(0))}), "does not belong"},
		{"the map in the image's bytes", with(t, "demo.map", func(p *part) { p.skipLocal, p.at = true, ptr(uint32(0)) }), "lies over another file"},
		{"a header beyond the end", with(t, "demo.map", func(p *part) { p.at = ptr(uint32(1 << 30)) }), "belong to no file"},
		{"the last header beyond the end", with(t, "version.json", func(p *part) { p.skipLocal, p.at = true, ptr(uint32(1<<30)) }), "belong to no file"},
		{"a header in the directory", with(t, "version.json", func(p *part) { p.skipLocal = true }), "trap"},
		{"wrong checksum", elf(func(p *part) { p.crc = ptr(uint32(1)) }), "demo.elf is damaged"},
		{"wrong checksum of the map", with(t, "demo.map", func(p *part) { p.crc = ptr(uint32(1)) }), "demo.map is damaged"},
		{"wrong checksum of the settings", with(t, "sdkconfig", func(p *part) { p.crc = ptr(uint32(1)) }), "sdkconfig is damaged"},
		{"wrong checksum of the image", image(func(p *part) { p.crc = ptr(uint32(1)) }), "demo.bin is damaged"},
		{"wrong checksum of the versions", with(t, "version.json", func(p *part) { p.crc = ptr(uint32(1)) }), "version.json is damaged"},
		{"no deflate stream", elf(func(p *part) { p.packed = []byte{0xFF, 0xFF, 0xFF} }), "demo.elf is damaged"},
		{"half a deflate stream", elf(func(p *part) { p.packed = deflate(p.data)[:900] }), "demo.elf is damaged"},
		{"the local header has another name", elf(func(p *part) { p.localName = "demo.ELF" }), "described in two ways"},
		{"the local header has another size", elf(func(p *part) { p.localSize = ptr(uint32(1)) }), "described in two ways"},
		{"the local header has another checksum", elf(func(p *part) { p.localCRC = ptr(uint32(1)) }), "described in two ways"},
		{"larger than it claims", elf(func(p *part) { p.size = ptr(uint64(100)) }), "larger than the 100 bytes that it claims"},
		{"smaller than it claims", elf(func(p *part) { p.size = ptr(uint64(len(p.data) + 1)) }), "demo.elf is damaged"},
		{"stored with two sizes", elf(func(p *part) { p.stored, p.size = true, ptr(uint64(1)) }), "described in two ways"},
		{"336 GB", elf(func(p *part) {
			p.size = ptr(uint64(336 << 30))
			p.extra = le.AppendUint64([]byte{1, 0, 8, 0}, 336<<30)
			p.localExtra = p.extra
		}), "demo.elf has 360777252864 bytes, at most 268435456"},
		{"a ZIP64 size below zero", elf(func(p *part) {
			p.size = ptr(uint64(1 << 40))
			p.extra = le.AppendUint64([]byte{1, 0, 8, 0}, 1<<63)
		}), "sizes that cannot be"},
		{"a ZIP64 field that is not there", elf(func(p *part) { p.size = ptr(uint64(1 << 40)) }), "sizes that cannot be"},
		{"a ZIP64 field twice", elf(func(p *part) {
			p.extra = append(le.AppendUint64([]byte{1, 0, 8, 0}, 1), le.AppendUint64([]byte{1, 0, 8, 0}, 2)...)
		}), "sizes that cannot be"},
		{"an extra field longer than its room", elf(func(p *part) { p.extra = []byte{1, 0, 200, 0} }), "sizes that cannot be"},
		{"two end records that contradict", archive{parts: good(t), zip64: func(start, size, entries, at uint64) []byte {
			return end64(start, size, entries+1, at)
		}}, "contradict each other"},
		{"a ZIP64 end record elsewhere", archive{parts: good(t), end: full, zip64: func(start, size, entries, at uint64) []byte {
			return end64(start, size, entries, at-10)
		}}, "not where it should be"},
		{"a ZIP64 end record of 4 billion files", archive{parts: good(t), end: full, zip64: func(start, size, _, at uint64) []byte {
			return end64(start, size, 1<<32, at)
		}}, "more than 64 files"},
		{"a ZIP64 directory below zero", archive{parts: good(t), end: full, zip64: func(_, size, entries, at uint64) []byte {
			return end64(1<<63, size, entries, at)
		}}, "does not lie before its end record"},
		{"ZIP64 announced but absent", archive{parts: good(t), end: full}, "does not lie before its end record"},
		{"part of several", archive{parts: good(t), end: func(b []byte) { b[4] = 1 }}, "one part of several"},
		{"a file on another disk", elf(func(p *part) { p.disk = 1 }), "one part of several"},
		{"the directory elsewhere", archive{parts: good(t), end: func(b []byte) { le.PutUint32(b[16:], 0) }}, "does not lie before its end record"},
		{"a data descriptor that lies", elf(func(p *part) {
			p.flags, p.descriptor = 8, append(bytes.Repeat([]byte{1}, 4), descriptorOf(*p, false, false)[4:]...)
		}), "described in two ways"},
		{"a data descriptor that is not there", elf(func(p *part) { p.flags = 8 }), "bytes behind"},
		{"a data descriptor without its signature", elf(func(p *part) {
			p.flags, p.descriptor = 8, append(descriptorOf(*p, false, false), 0, 0, 0, 0)
		}), "bytes behind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := refusal(t, c.zip.bytes()); !strings.Contains(got, c.want) {
				t.Errorf("%s\nwant: %s", got, c.want)
			}
		})
	}
}

func TestReadRefusesBytesBehindTheEnd(t *testing.T) {
	zip := archive{parts: good(t)}.bytes()
	for _, tail := range []string{"\n", "\x00\x00", "hidden"} {
		if got := refusal(t, append(bytes.Clone(zip), tail...)); !strings.Contains(got, "end record is not at its end") {
			t.Errorf("%q: %s", tail, got)
		}
	}
}

// TestReadRefusesAnOverlappingBomb builds what Go's reader accepts: many entries over one kernel of bytes.
func TestReadRefusesAnOverlappingBomb(t *testing.T) {
	kernel := make([]byte, 60<<10)
	parts := []part{{name: "demo.bin", data: kernel}}
	for _, name := range []string{"demo.elf", "demo.map", "sdkconfig", "version.json"} {
		parts = append(parts, part{name: name, data: kernel, skipLocal: true, at: ptr(uint32(0))})
	}
	if got := refusal(t, archive{parts: parts}.bytes()); !strings.Contains(got, "trap") {
		t.Error(got)
	}
}

func TestReadRefusesWhatIsBeyondTheLimits(t *testing.T) {
	zip := archive{parts: good(t)}.bytes()
	for name, c := range map[string]struct {
		change func(*bundle.Limits)
		want   string
	}{
		"the ZIP":      {func(l *bundle.Limits) { l.Whole = int64(len(zip)) - 1 }, "the ZIP has"},
		"the image":    {func(l *bundle.Limits) { l.Image = 65839 }, "demo.bin has 65840 bytes, at most 65839"},
		"the ELF":      {func(l *bundle.Limits) { l.ELF = 100 }, "demo.elf has"},
		"the map":      {func(l *bundle.Limits) { l.Map = 100 }, "demo.map has"},
		"the settings": {func(l *bundle.Limits) { l.Settings = 100 }, "sdkconfig has"},
		"the versions": {func(l *bundle.Limits) { l.Versions = 100 }, "version.json has"},
	} {
		limits := bundle.DefaultLimits
		c.change(&limits)
		_, err := bundle.Read(bytes.NewReader(zip), int64(len(zip)), bundle.Expected{Code: "demo"}, limits)
		var refused *bundle.Refusal
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNoBeginningOfABundleIsComplete(t *testing.T) {
	zip := archive{parts: good(t)}.bytes()
	complete := func(b []byte) bool {
		ok, err := bundle.Complete(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	for n := range zip {
		if complete(zip[:n]) {
			t.Errorf("%d of %d bytes are complete", n, len(zip))
		}
	}
	if !complete(zip) || complete(append(zip, 0)) {
		t.Error("the whole is not complete, or a byte more is")
	}
}
