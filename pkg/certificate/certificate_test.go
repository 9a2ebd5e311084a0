package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func open(t *testing.T, dir string, change func(*Options)) *Identity {
	t.Helper()
	o := Options{Dir: dir, Hosts: func() []string { return []string{"localhost", "127.0.0.1", "gw7"} }, Now: time.Now,
		Logger: slog.New(slog.DiscardHandler), Beat: func() {}}
	if change != nil {
		change(&o)
	}
	id, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// handshake connects as a device that trusts only the CA, believes that it is the time now, and asks for a name.
func handshake(t *testing.T, id *Identity, caPEM []byte, name string, now time.Time) error {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(caPEM) {
		t.Fatal("no CA")
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: id.GetCertificate})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		c, err := listener.Accept()
		if err == nil {
			c.(*tls.Conn).Handshake() //nolint:errcheck // the client's side is what the test looks at
			c.Close()
		}
	}()
	raw, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	return tls.Client(raw, &tls.Config{RootCAs: pool, ServerName: name, Time: func() time.Time { return now }}).Handshake()
}

func ca(t *testing.T, id *Identity) []byte {
	t.Helper()
	b, err := os.ReadFile(id.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestADeviceWithTheCAVerifiesTheGatewayByNameAndByAddressEvenInNineteenSeventy(t *testing.T) {
	id := open(t, t.TempDir(), nil)
	for _, name := range []string{"localhost", "127.0.0.1", "gw7"} {
		for _, now := range []time.Time{time.Now(), time.Unix(3600, 0)} {
			if err := handshake(t, id, ca(t, id), name, now); err != nil {
				t.Errorf("%s at %s: %v", name, now, err)
			}
		}
	}
	if err := handshake(t, id, ca(t, id), "other", time.Now()); err == nil {
		t.Error("good for a name that this host does not have")
	}
	leaf := id.current.Load().Leaf
	if leaf.DNSNames[1] != "127.0.0.1" || len(leaf.IPAddresses) != 1 {
		t.Errorf("addresses %v, names %v: old mbedTLS needs both", leaf.IPAddresses, leaf.DNSNames)
	}
	for name, mode := range map[string]os.FileMode{caKeyFile: 0o600, leafKeyFile: 0o600} {
		if info, err := os.Stat(filepath.Join(id.options.Dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestTheLeafRenewsUnderTheSameCABeforeItEndsAndWhenAddressesChange(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, nil)
	authority := ca(t, first)

	same := open(t, dir, nil)
	if same.current.Load().Leaf.SerialNumber.Cmp(first.current.Load().Leaf.SerialNumber) != 0 {
		t.Error("a restart made another leaf")
	}
	moved := open(t, dir, func(o *Options) { o.Hosts = func() []string { return []string{"localhost", "127.0.0.1", "10.0.0.9"} } })
	if err := handshake(t, moved, authority, "10.0.0.9", time.Now()); err != nil {
		t.Errorf("with a new address: %v", err)
	}
	later := time.Now().AddDate(0, 11, 0)
	renewed := open(t, dir, func(o *Options) { o.Now = func() time.Time { return later } })
	if !renewed.NotAfter().After(later.AddDate(0, 6, 0)) {
		t.Errorf("ends %s, on %s", renewed.NotAfter(), later)
	}
	if err := handshake(t, renewed, authority, "localhost", later); err != nil {
		t.Errorf("renewed: %v", err)
	}
	if years := time.Until(parse(t, authority).NotAfter).Hours() / 24 / 365; years < 29.9 {
		t.Errorf("the CA ends in %.1f years", years)
	}
}

func parse(t *testing.T, caPEM []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(caPEM)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Devices ask for the address that the gateway has today, whatever its disk does.
func TestALeafThatCannotBeStoredIsServedAndIsTrouble(t *testing.T) {
	dir := t.TempDir()
	trusted := ca(t, open(t, dir, nil))
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("nothing can be mounted here (%v): run as root to see what a read-only disk does", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	id := open(t, dir, func(o *Options) { o.Hosts = func() []string { return []string{"localhost", "gw8"} } })
	if err := handshake(t, id, trusted, "gw8", time.Now()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(id.Trouble(), "read-only") {
		t.Errorf("trouble %q", id.Trouble())
	}
	if err := unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	if id.look(); id.Trouble() != "" {
		t.Errorf("trouble %q once it can be stored", id.Trouble())
	}
}

func TestAnOperatorsOwnPairIsReadAgainWhenItChanges(t *testing.T) {
	a, b := open(t, t.TempDir(), nil), open(t, t.TempDir(), nil)
	dir := t.TempDir()
	install := func(from *Identity, at time.Time) {
		t.Helper()
		for _, name := range []string{leafFile, leafKeyFile} {
			text, err := os.ReadFile(filepath.Join(from.options.Dir, name))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
			}
			if err == nil {
				err = os.Chtimes(filepath.Join(dir, name), at, at)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	install(a, time.Now().Add(-time.Hour))
	own := open(t, "", func(o *Options) {
		o.CertFile, o.KeyFile = filepath.Join(dir, leafFile), filepath.Join(dir, leafKeyFile)
	})
	if err := handshake(t, own, ca(t, a), "localhost", time.Now()); err != nil {
		t.Error(err)
	}
	install(b, time.Now())
	if err := own.refresh(); err != nil {
		t.Fatal(err)
	}
	if err := handshake(t, own, ca(t, b), "localhost", time.Now()); err != nil {
		t.Error("not reloaded:", err)
	}
	if err := os.WriteFile(filepath.Join(dir, leafFile), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if own.refresh() == nil || handshake(t, own, ca(t, b), "localhost", time.Now()) != nil {
		t.Error("a broken file must be an error, and the old certificate served on")
	}
}

func TestALostHalfOfTheCAIsTroubleAndNoNewOneIsMade(t *testing.T) {
	for _, lost := range [][]string{{caFile}, {caKeyFile}, {caFile, caKeyFile}} {
		dir := t.TempDir()
		id := open(t, dir, nil)
		for _, name := range lost {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		id.look() // as it does each minute
		if !strings.Contains(id.Trouble(), filepath.Join(dir, lost[0])) {
			t.Errorf("%v: trouble: %q", lost, id.Trouble())
		}
		if id.current.Load() == nil {
			t.Errorf("%v: nothing is served any more", lost)
		}
		if _, err := Open(id.options); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, lost[0])) {
			t.Errorf("%v: after a restart: %v", lost, err)
		}
		for _, name := range lost {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				t.Errorf("%v: %s was made anew", lost, name)
			}
		}
	}
}

func TestAFirstStartThatWasCutOffBehindTheCAsKeyIsRepeated(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, nil)
	for _, name := range []string{caFile, leafFile, leafKeyFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if id := open(t, dir, nil); handshake(t, id, ca(t, id), "gw7", time.Now()) != nil {
		t.Error("the gateway has no identity")
	}
}

func TestADamagedCAIsRefusedWhereverTheDamageIs(t *testing.T) {
	dir := t.TempDir()
	o := open(t, dir, nil).options
	path := filepath.Join(dir, caFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(whole)
	for i := range block.Bytes {
		block.Bytes[i] ^= 1
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(o); err == nil {
			t.Errorf("a flip in byte %d of %d is taken", i, len(block.Bytes))
		}
		block.Bytes[i] ^= 1
	}
}

func TestAClockThatIsPastTheCAsEndMakesNoLeafEachMinute(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	id := open(t, dir, func(o *Options) { o.Now = func() time.Time { return now } })
	right, authority := now, ca(t, id)
	now = now.AddDate(caYears+10, 0, 0)
	if err := id.refresh(); err != nil {
		t.Fatal(err)
	}
	made := id.current.Load()
	for range 3 {
		if err := id.refresh(); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
	}
	if id.current.Load() != made {
		t.Error("it made another that ends no later")
	}
	now = right
	if err := id.refresh(); err != nil {
		t.Fatal(err)
	}
	if err := handshake(t, id, authority, "gw7", right); err != nil {
		t.Errorf("once the clock is right: %v", err)
	}
}
