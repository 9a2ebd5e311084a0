package certificate

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// leafFor is the certificate that a client with these settings is shown; nil where there is no handshake.
func leafFor(t *testing.T, id *Identity, client *tls.Config) *x509.Certificate {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	go tls.Server(there, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: id.GetCertificate}).Handshake() //nolint:errcheck // the client's side is what the test looks at
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca(t, id))
	client.RootCAs, client.ServerName = pool, "gw7"
	c := tls.Client(here, client)
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := c.Handshake(); err != nil {
		return nil
	}
	return c.ConnectionState().PeerCertificates[0]
}

func isRSA(leaf *x509.Certificate) bool {
	_, ok := leaf.PublicKey.(*rsa.PublicKey)
	return ok
}

// rsaOnly is what BearSSL in Tasmota of before 2025 offers.
func rsaOnly() *tls.Config {
	return &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}
}

func TestAClientThatKnowsOnlyRSAIsShownARSACertificateAndNobodyElseIs(t *testing.T) {
	dir := t.TempDir()
	without := open(t, dir, nil)
	if leafFor(t, without, rsaOnly()) != nil {
		t.Error("there is a handshake without an RSA certificate")
	}
	id := open(t, dir, func(o *Options) { o.RSA = true })
	old := leafFor(t, id, rsaOnly())
	if old == nil || !isRSA(old) {
		t.Fatalf("RSA only: %v", old)
	}
	for name, client := range map[string]*tls.Config{
		"of today": {}, "TLS 1.2": {MaxVersion: tls.VersionTLS12},
		"TLS 1.2, RSA first": {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}},
	} {
		if leaf := leafFor(t, id, client); leaf == nil || isRSA(leaf) {
			t.Errorf("%s: %v", name, leaf)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, rsaKeyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its key: %v, %v", info, err)
	}
	if again := leafFor(t, open(t, dir, func(o *Options) { o.RSA = true }), rsaOnly()); again.SerialNumber.Cmp(old.SerialNumber) != 0 {
		t.Error("another start made another one")
	}
}

func TestTheRSACertificateIsRenewedAsTheOther(t *testing.T) {
	now, hosts := time.Now(), []string{"localhost", "gw7"}
	id := open(t, t.TempDir(), func(o *Options) {
		o.RSA, o.Now, o.Hosts = true, func() time.Time { return now }, func() []string { return hosts }
	})
	first := leafFor(t, id, rsaOnly())
	id.look()
	if again := leafFor(t, id, rsaOnly()); again.SerialNumber.Cmp(first.SerialNumber) != 0 {
		t.Error("it was made anew for nothing")
	}
	hosts = append(hosts, "10.0.0.7")
	id.look()
	named := leafFor(t, id, rsaOnly())
	if named.VerifyHostname("10.0.0.7") != nil {
		t.Error("it is not good for a new address")
	}
	now = now.AddDate(0, 0, leafDays-60)
	id.look()
	if renewed := leafFor(t, id, rsaOnly()); !renewed.NotAfter.After(named.NotAfter) {
		t.Errorf("it ends %s, and still does 60 days before", renewed.NotAfter)
	}
}
