package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/slipway-gateway/slipway/pkg/catalog"
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

// The catalog lies on another file system than the keys, so that no sync is of both.
func TestARestoreOutlivesAPowerCutAsTheOldGatewayOrTheNewOneOrSaysThatItIsNeither(t *testing.T) {
	root := t.TempDir()
	at := func(root string) *machine {
		return &machine{Place{
			StateDir: filepath.Join(root, "state"), KeysDir: filepath.Join(root, "state", "keys"),
			CatalogDir: filepath.Join(root, "other", "catalog"), SettingsFile: filepath.Join(root, "etc", "slipway.yaml"), Space: space,
		}, t}
	}
	m := at(root)
	must(t, os.MkdirAll(filepath.Dir(m.CatalogDir), 0o755))
	m.installed(true)
	r := &Restoring{Replace: true, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon }}
	staged := stagedFrom(t, r, m.Place, plainOf(t, gatewayState(t, 5)))
	record := powercut.Record(t, root)
	_, err := r.swap(staged)
	must(t, err)
	record.Acknowledge("restored")
	outcomes := map[string]int{}
	record.Cut(t, func(t *testing.T, root string, acknowledged []string) {
		m := at(root)
		m.t = t
		outcome := m.outcome()
		outcomes[outcome]++
		if len(acknowledged) > 0 && outcome != "new" {
			t.Errorf("it was restored and is %s", outcome)
		}
	})
	for _, want := range []string{"old", "neither", "new"} {
		if outcomes[want] == 0 {
			t.Errorf("no power cut left it %s: %v", want, outcomes)
		}
	}
}

// stagedFrom is a backup that has been read and whose files last.
func stagedFrom(t *testing.T, r *Restoring, p Place, plain []byte) *staged {
	t.Helper()
	var s *staged
	id := key(t)
	must(t, Open(bytes.NewReader(sealed(t, plain, id.Recipient())), Taker{
		Manifest: func(Manifest) error { return nil },
		Settings: func(settings []byte) (err error) { s, err = stage(p, settings); return err },
		Key:      func(name string, content []byte) error { return s.key(name, content) },
		Catalog:  func(in io.Reader) error { _, err := catalog.Restore(r.options(p, s.catalog), in); return err },
	}, id))
	return s
}

// outcome is which gateway a folder has: keys, catalog and settings of one, or the word that it is neither.
func (m *machine) outcome() string {
	m.t.Helper()
	if CheckFinished(m.StateDir) != nil {
		return "neither"
	}
	c, err := catalog.Open((&Restoring{Logger: slog.New(slog.DiscardHandler), Now: time.Now}).options(m.Place, m.CatalogDir))
	must(m.t, err)
	n, err := c.CountDevices("")
	must(m.t, errors.Join(err, c.Close()))
	key, err := os.ReadFile(filepath.Join(m.KeysDir, "ca.key"))
	must(m.t, err)
	settings, err := os.ReadFile(m.SettingsFile)
	must(m.t, err)
	switch what := fmt.Sprintf("%d devices, %s, %s", n, key, settings); what {
	case "0 devices, another secret, # nothing is set\n":
		return "old"
	case "5 devices, secret of the CA, " + settingsText:
		return "new"
	default:
		m.t.Errorf("it is neither and does not say so: %s", what)
		return what
	}
}
