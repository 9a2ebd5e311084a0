package bundle_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/pkg/espimage"
)

// fuzzLimits keep bombs that are within the limits from costing the fuzzer's time.
var fuzzLimits = func() bundle.Limits {
	l := bundle.DefaultLimits
	l.ELF, l.Map = 1<<20, 1<<20
	return l
}()

// checkRead holds that bytes yield a bundle or a refusal; that a bundle ends with its end record, that its image is
// one, and that another reader sees the same five files in it.
func checkRead(t *testing.T, b []byte) {
	t.Helper()
	size := int64(len(b))
	got, err := bundle.Read(bytes.NewReader(b), size, bundle.Expected{}, fuzzLimits)
	if (got == nil) == (err == nil) {
		t.Fatalf("%v and %v", got, err)
	}
	var refused *bundle.Refusal
	if err != nil && !errors.As(err, &refused) {
		t.Fatal(err)
	}
	if got == nil {
		return
	}
	if ok, err := bundle.Complete(bytes.NewReader(b), size); !ok || err != nil {
		t.Fatalf("accepted but not complete: %v", err)
	}
	image, err := io.ReadAll(got.OpenImage())
	if err != nil || hashOf(image) != got.ImageSHA256 {
		t.Fatal(err)
	}
	if _, err := espimage.Read(bytes.NewReader(image), int64(len(image))); err != nil {
		t.Fatal(err)
	}
	other, err := zip.NewReader(bytes.NewReader(b), size)
	if err != nil || len(other.File) != 5 {
		t.Fatalf("accepted, but archive/zip says %v", err)
	}
	for _, f := range other.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		if f.Name == got.Code+".bin" && hashOf(data) != got.ImageSHA256 || f.Name == got.Code+".elf" && hashOf(data) != got.ELFSHA256 {
			t.Fatalf("archive/zip reads another %s", f.Name)
		}
	}
}

// small makes a ZIP that the fuzzer gets through quickly; its image is refused.
func small(a archive) []byte {
	for i := range a.parts {
		a.parts[i].data = a.parts[i].data[:min(len(a.parts[i].data), 100)]
	}
	return a.bytes()
}

func FuzzRead(f *testing.F) {
	f.Add(archive{parts: good(f)}.bytes())
	f.Add(small(archive{parts: good(f)}))
	f.Add(small(archive{parts: good(f), zip64: end64, end: full}))
	f.Add(small(and(f, part{name: "demo/"})))
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(checkRead)
}

// FuzzStructure changes the structure around five good files, their checksums and all, which FuzzRead hardly gets to.
func FuzzStructure(f *testing.F) {
	parts := good(f)
	f.Add(byte(1), uint16(8), uint16(8), uint32(0), uint16(0), descriptorOf(parts[1], false, true), []byte{}, []byte{}, []byte{}, uint32(0), []byte{})
	f.Add(byte(2), uint16(8), uint16(8), uint32(0), uint16(0), descriptorOf(parts[2], true, false), []byte{}, []byte{}, []byte{}, uint32(0), []byte{})
	f.Add(byte(3), uint16(0), uint16(0), uint32(0x81A4<<16), uint16(0), []byte{}, []byte{}, []byte{'U', 'T', 1, 0, 0}, []byte{}, uint32(0), []byte("note"))
	f.Add(byte(4), uint16(0), uint16(0), uint32(0), uint16(0), []byte{}, []byte("junk"), []byte{}, []byte{1, 0, 0, 0}, uint32(1), []byte{})
	f.Fuzz(func(t *testing.T, which byte, flags, localFlags uint16, attributes uint32, method uint16,
		descriptor, junk, extra, localExtra []byte, at uint32, comment []byte,
	) {
		a := archive{parts: good(t), comment: comment[:min(len(comment), 65535)]}
		if which&0x80 != 0 {
			a.zip64 = end64
		}
		if which&0x40 != 0 {
			a.zip64, a.end = end64, full
		}
		p := &a.parts[which&0x3F%5]
		p.flags, p.localFlags, p.attributes, p.creator, p.method = flags, &localFlags, attributes, which>>4&3, method
		p.descriptor, p.junk, p.extra, p.localExtra = descriptor, junk, extra, localExtra
		if at != 0 {
			p.at = &at
		}
		checkRead(t, a.bytes())
	})
}
