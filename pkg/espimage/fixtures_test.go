package espimage_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/espimage"
)

var fixtureChips = map[string]espimage.Chip{
	"esp32": espimage.ESP32, "esp32_bin": espimage.ESP32, "esp32c3": espimage.ESP32C3, "esp32c6": espimage.ESP32C6,
}

// fixture reads a file of the real builds that lie beside the checkout.
func fixture(tb testing.TB, chip, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "fixtures", "coredumps", chip, name))
	if os.IsNotExist(err) {
		tb.Skip("../shared/fixtures is not there: the real ESP-IDF builds are not tested")
	}
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestWriteMakesTheImageThatElf2imageMakesByteForByte(t *testing.T) {
	for name, chip := range fixtureChips {
		t.Run(name, func(t *testing.T) {
			elf, want := fixture(t, name, "app.elf"), fixture(t, name, "app.bin")
			var got bytes.Buffer
			if err := espimage.Write(&got, bytes.NewReader(elf), int64(len(elf)), espimage.Options{Chip: chip}); err != nil {
				t.Fatal(err)
			}
			if got.Len() != len(want) {
				t.Errorf("%d bytes, want %d", got.Len(), len(want))
			}
			for i, b := range got.Bytes()[:min(got.Len(), len(want))] {
				if b != want[i] {
					t.Fatalf("byte %#x is %#02x, want %#02x", i, b, want[i])
				}
			}
		})
	}
}
