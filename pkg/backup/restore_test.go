package backup

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// machine is one that a backup is restored on.
type machine struct {
	Place
	t *testing.T
}

func newMachine(t *testing.T) *machine {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	return &machine{Place{
		StateDir: state, CatalogDir: filepath.Join(state, "catalog"), KeysDir: filepath.Join(state, "keys"),
		SettingsFile: filepath.Join(dir, "etc", "slipway.yaml"), Space: space,
	}, t}
}

func (m *machine) restore(plain []byte, replace bool) (Restored, error) {
	m.t.Helper()
	id := key(m.t)
	return m.restoreFrom(bytes.NewReader(sealed(m.t, plain, id.Recipient())), replace, id)
}

func (m *machine) restoreFrom(sealed io.Reader, replace bool, by age.Identity) (Restored, error) {
	return (&Restoring{
		At:      func([]byte) (Place, error) { return m.Place, nil },
		Replace: replace, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon },
	}).Run(m.t.Context(), sealed, by)
}

// has is what the machine's gateway would start with.
func (m *machine) has(devices int, caKey, settings string) {
	m.t.Helper()
	c, err := catalog.Open(catalog.Options{
		Dir: m.CatalogDir, Logger: slog.New(slog.DiscardHandler), Beat: func() {}, Space: space,
		Now: func() time.Time { return noon },
	})
	must(m.t, err)
	n, err := c.CountDevices("")
	if n != devices || err != nil {
		m.t.Errorf("it has %d devices, want %d, %v", n, devices, err)
	}
	must(m.t, c.Close())
	if b, err := os.ReadFile(filepath.Join(m.KeysDir, "ca.key")); string(b) != caKey || err != nil {
		m.t.Errorf("the CA's key is %q, want %q, %v", b, caKey, err)
	}
	if b, err := os.ReadFile(m.SettingsFile); string(b) != settings || err != nil {
		m.t.Errorf("the settings are %q, want %q, %v", b, settings, err)
	}
	for _, e := range filesIn(m.t, m.StateDir) {
		if strings.HasSuffix(e, stagedSuffix) || e == markerName || strings.HasPrefix(e, ".") {
			m.t.Errorf("%s is left behind", e)
		}
	}
	if err := CheckFinished(m.StateDir); err != nil {
		m.t.Error(err)
	}
}

// installed makes the machine one on which a gateway has run: blank, or in use.
func (m *machine) installed(inUse bool) {
	m.t.Helper()
	must(m.t, os.MkdirAll(m.KeysDir, 0o700))
	must(m.t, os.WriteFile(filepath.Join(m.KeysDir, "ca.key"), []byte("another secret"), 0o600))
	must(m.t, os.MkdirAll(filepath.Dir(m.SettingsFile), 0o755))
	must(m.t, os.WriteFile(m.SettingsFile, []byte("# nothing is set\n"), 0o640))
	c, err := catalog.Open(catalog.Options{
		Dir: m.CatalogDir, Logger: slog.New(slog.DiscardHandler), Beat: func() {}, Space: space, Now: time.Now,
	})
	must(m.t, err)
	if inUse {
		must(m.t, c.AddModel(m.t.Context(), fleet.Model{Code: "valve", CreatedAt: noon}))
	}
	must(m.t, c.Close())
}

func TestABackupIsRestoredOnABareMachine(t *testing.T) {
	m := newMachine(t)
	done, err := m.restore(plainOf(t, gatewayState(t, 50)), false)
	must(t, err)
	m.has(50, "secret of the CA", settingsText)
	if done.Records < 50 || done.Keys != 3 || !done.Settings || len(done.Aside) > 0 ||
		done.CA != "56d66c4982cee7c9b80102da4fda50467184375922cc7a4f874912e237cbb655" { // printf 'the CA' | sha256sum
		t.Errorf("restored %+v", done)
	}
	for name, mode := range map[string]os.FileMode{"ca.key": 0o600, "ca.crt": 0o644, "signing-1700000000-abcdefgh.pem": 0o600} {
		if info, err := os.Stat(filepath.Join(m.KeysDir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

func TestWhatAFreshInstallationHasMadeIsMovedAside(t *testing.T) {
	m := newMachine(t)
	m.installed(false)
	done, err := m.restore(plainOf(t, gatewayState(t, 50)), false)
	must(t, err)
	m.has(50, "secret of the CA", settingsText)
	if info, err := os.Stat(m.SettingsFile); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the settings file has another mode: %v, %v", info, err)
	}
	const suffix = ".before-restore-20260504T120000Z"
	if strings.Join(done.Aside, " ") != m.KeysDir+suffix+" "+m.CatalogDir+suffix+" "+m.SettingsFile+suffix {
		t.Errorf("moved aside: %q", done.Aside)
	}
	if b, err := os.ReadFile(filepath.Join(m.KeysDir+suffix, "ca.key")); string(b) != "another secret" || err != nil {
		t.Errorf("the key of before: %q, %v", b, err)
	}
}

func TestAGatewayThatIsInUseIsReplacedOnlyWhenAsked(t *testing.T) {
	m := newMachine(t)
	m.installed(true)
	backup := plainOf(t, gatewayState(t, 50))
	_, err := m.restore(backup, false)
	if !errors.Is(err, fleet.ErrTaken) || !strings.Contains(err.Error(), "1 models") || !strings.Contains(err.Error(), "--replace") {
		t.Errorf("got %v", err)
	}
	m.has(0, "another secret", "# nothing is set\n")
	_, err = m.restore(backup, true)
	must(t, err)
	m.has(50, "secret of the CA", settingsText)
	done, err := m.restore(plainOf(t, gatewayState(t, 60)), true) // within the same second
	must(t, err)
	m.has(60, "secret of the CA", settingsText)
	if len(done.Aside) != 2 || !strings.HasSuffix(done.Aside[0], "Z-2") {
		t.Errorf("moved aside: %q", done.Aside)
	}
}

func TestARunningGatewayIsNotReplaced(t *testing.T) {
	m := newMachine(t)
	m.installed(false)
	held := openCatalog(t, m.CatalogDir)
	for _, replace := range []bool{false, true} {
		if _, err := m.restore(plainOf(t, gatewayState(t, 1)), replace); !errors.Is(err, catalog.ErrInUse) || !strings.Contains(err.Error(), "systemctl stop") {
			t.Errorf("got %v", err)
		}
	}
	must(t, held.Close())
	m.has(0, "another secret", "# nothing is set\n")
}

func TestADamagedBackupChangesNothing(t *testing.T) {
	m := newMachine(t)
	m.installed(false)
	id := key(t)
	b := sealed(t, plainOf(t, gatewayState(t, 500)), id.Recipient())
	for _, at := range []int{0, 100, len(b) / 2, len(b) - 1} {
		flipped := bytes.Clone(b)
		flipped[at] ^= 1
		if _, err := m.restoreFrom(bytes.NewReader(flipped), true, id); err == nil {
			t.Errorf("byte %d is another one, and it is restored", at)
		}
		if _, err := m.restoreFrom(bytes.NewReader(b[:at]), true, id); err == nil {
			t.Errorf("it ends at byte %d, and it is restored", at)
		}
		m.has(0, "another secret", "# nothing is set\n")
	}
}

func TestARestoreThatCannotBeFinishedIsTakenBack(t *testing.T) {
	m := newMachine(t)
	m.installed(false)
	must(t, os.RemoveAll(filepath.Dir(m.SettingsFile)))
	must(t, os.WriteFile(filepath.Dir(m.SettingsFile), nil, 0o644)) // a file where the folder of the settings has to be: the last step fails
	if _, err := m.restore(plainOf(t, gatewayState(t, 50)), false); err == nil {
		t.Fatal("it is restored")
	}
	must(t, os.Remove(filepath.Dir(m.SettingsFile)))
	must(t, os.MkdirAll(filepath.Dir(m.SettingsFile), 0o755))
	must(t, os.WriteFile(m.SettingsFile, []byte("# again\n"), 0o640))
	m.has(0, "another secret", "# again\n")
}

func TestAGatewayDoesNotStartOnHalfARestore(t *testing.T) {
	m := newMachine(t)
	m.installed(false)
	must(t, os.WriteFile(filepath.Join(m.StateDir, markerName), nil, 0o644)) // as a power cut leaves it
	if err := CheckFinished(m.StateDir); err == nil || !strings.Contains(err.Error(), "backup restore") {
		t.Errorf("got %v", err)
	}
	must(t, os.MkdirAll(m.KeysDir+stagedSuffix, 0o700))
	must(t, os.WriteFile(filepath.Join(m.KeysDir+stagedSuffix, "signing-1600000000-ijklmnop.pem"), []byte("half"), 0o600))
	_, err := m.restore(plainOf(t, gatewayState(t, 50)), false)
	must(t, err)
	m.has(50, "secret of the CA", settingsText)
	if names := strings.Join(filesIn(t, m.KeysDir), " "); names != "ca.crt ca.key signing-1700000000-abcdefgh.pem" {
		t.Errorf("keys: %s", names)
	}
}
