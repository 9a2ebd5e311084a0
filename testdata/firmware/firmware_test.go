package firmware_test

import (
	"bytes"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/pkg/espimage"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

func TestEveryBuildIsAWholeBundleWithoutWarnings(t *testing.T) {
	for _, b := range []firmware.Build{
		{Code: "demo", Version: "1.0.0"},
		{Code: "demo", Version: "1.1.0"},
		{Code: "press_7", Version: "v2.0.0-rc1-14-g5b2e1d7-dirty"},
		{Code: "demo", Version: "3.0.0", Project: "another"},
	} {
		zip, err := b.Bundle()
		if err != nil {
			t.Fatal(err)
		}
		again, err := b.Bundle()
		if err != nil || !bytes.Equal(zip, again) {
			t.Errorf("%s is not the same ZIP twice (%v)", b.Version, err)
		}
		got, err := bundle.Read(bytes.NewReader(zip), int64(len(zip)), bundle.Expected{Code: b.Code}, bundle.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		if got.Version != b.Version || len(got.Warnings) > 0 || got.Image.Chip != "ESP32-C3" || !got.Image.HashValid {
			t.Errorf("version %q chip %q warnings %q", got.Version, got.Image.Chip, got.Warnings)
		}
	}
}

func TestTheSampleIsForTheChipThatIsAskedFor(t *testing.T) {
	image, err := firmware.Build{Code: "demo", Version: "1.0.0", Chip: espimage.ESP32S3}.Image()
	if err != nil {
		t.Fatal(err)
	}
	img, err := espimage.Read(bytes.NewReader(image), int64(len(image)))
	if err != nil || img.Chip != "ESP32-S3" || img.App.Project != firmware.Project {
		t.Errorf("%+v, %v", img, err)
	}
}
