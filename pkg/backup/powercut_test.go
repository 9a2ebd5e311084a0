package backup

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"

	"github.com/slipway-gateway/slipway/pkg/durable/powercut"
)

func TestAWrittenBackupOutlivesAPowerCutWhole(t *testing.T) {
	s, id := gatewayState(t, 3), key(t)
	plain := plainOf(t, s)
	root := t.TempDir()
	record := powercut.Record(t, root)
	_, _, err := WriteFile(filepath.Join(root, "gateway.age"), func(w io.Writer) error {
		_, err := w.Write(plain)
		return err
	}, []age.Recipient{id.Recipient()}, id)
	must(t, err)
	record.Acknowledge("gateway.age")
	record.Cut(t, func(t *testing.T, root string, acknowledged []string) {
		for _, name := range acknowledged {
			f, err := os.Open(filepath.Join(root, name))
			must(t, err)
			defer f.Close()
			if found, err := Check(f, id); err != nil || found.Records == 0 {
				t.Errorf("%+v, %v", found, err)
			}
		}
	})
}
