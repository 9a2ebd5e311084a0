package contract

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// DumpWriter is what the device door needs of the dump directories.
type DumpWriter interface {
	Write(ctx context.Context, d fleet.Dump, body io.Reader, size int64) (fleet.Dump, error)
}

// Dumps is run on a store that takes 1 MiB a dump.
func Dumps(t *testing.T, open func(t *testing.T) DumpWriter) {
	const most = 1 << 20
	declared := fleet.Dump{Device: "aaaaaaaa", Model: "pump", Chip: "esp32", FirmwareVersion: "1.0.0"}
	for name, test := range map[string]struct {
		body string
		size int64 // as announced
		kind error // nil: it is taken
	}{
		"of a known size":             {"core", 4, nil},
		"of an unknown size":          {"core", -1, nil},
		"as large as may be":          {strings.Repeat("x", most), most, nil},
		"empty":                       {"", 0, fleet.ErrRefused},
		"empty, of an unknown size":   {"", -1, fleet.ErrRefused},
		"too large, and it says so":   {strings.Repeat("x", most+1), most + 1, fleet.ErrRefused},
		"too large, of unknown size":  {strings.Repeat("x", most+1), -1, fleet.ErrRefused},
		"cut off before it has ended": {"co", 4, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := open(t).Write(t.Context(), declared, strings.NewReader(test.body), test.size)
			switch {
			case test.kind != nil && !errors.Is(err, test.kind):
				t.Errorf("%v, want %v", err, test.kind)
			case test.kind == nil && (err != nil || d.Size != int64(len(test.body)) || d.UploadedAt.IsZero() || d.Device != declared.Device):
				t.Errorf("%+v, %v", d, err)
			}
		})
	}
}

// ImageStore is what the device door needs of the depot.
type ImageStore interface {
	OpenImage(fleet.Model, fleet.Version) (fleet.Image, error)
}

// Images is run on a store that has a version of the model pump.
func Images(t *testing.T, open func(t *testing.T) (ImageStore, fleet.Version)) {
	s, v := open(t)
	image, err := s.OpenImage(fleet.Model{Code: "pump", FirmwareVersion: v}, v)
	must(t, err)
	defer image.File.Close()
	if n, err := io.Copy(io.Discard, image.File); err != nil || n != image.Size || n == 0 {
		t.Errorf("%d of %d bytes, %v", n, image.Size, err)
	}
	if len(image.ETag) < 3 || image.ETag[0] != '"' || image.ETag[len(image.ETag)-1] != '"' || image.Version != v {
		t.Errorf("ETag %s, version %s", image.ETag, image.Version)
	}
	_, err = s.OpenImage(fleet.Model{Code: "pump", FirmwareVersion: v}, "0.0.1")
	is(t, "another version", err, fleet.ErrUnknown)
	_, err = s.OpenImage(fleet.Model{Code: "fan"}, v)
	is(t, "another model", err, fleet.ErrUnknown)
}
