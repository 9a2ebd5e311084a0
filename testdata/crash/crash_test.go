package crash_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/testdata/crash"
)

func TestTheCrashedBuildIsAWholeBundleOfItsELF(t *testing.T) {
	zip, err := crash.Bundle("valve")
	if err != nil {
		t.Fatal(err)
	}
	got, err := bundle.Read(bytes.NewReader(zip), int64(len(zip)), bundle.Expected{Code: "valve"}, bundle.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != crash.Version || len(got.Warnings) > 0 || got.Image.App.ELFSHA256 != fmt.Sprintf("%x", sha256.Sum256(crash.ELF)) {
		t.Errorf("%+v", got)
	}
}
