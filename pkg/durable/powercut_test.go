package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/durable/powercut"
)

// Keys, certificates and markers are written this way.
func TestAWrittenFileOutlivesAPowerCutWhole(t *testing.T) {
	root := t.TempDir()
	record := powercut.Record(t, root)
	for _, content := range []string{"first", "second"} {
		if err := durable.WriteFile(filepath.Join(root, "key"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		record.Acknowledge(content)
	}
	record.Cut(t, func(t *testing.T, root string, acknowledged []string) {
		got, err := os.ReadFile(filepath.Join(root, "key"))
		if len(acknowledged) > 0 && err != nil {
			t.Fatal(err)
		}
		want := append([]string{""}, acknowledged...)
		if s := string(got); err == nil && s != want[len(want)-1] && (s != "first" && s != "second" || s < want[len(want)-1]) {
			t.Errorf("%q is neither the old one nor the new one", s)
		}
	})
}
