package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oauth2-proxy/mockoidc"
)

// TestAPersonSignsInAtTheIssuerThatTheSettingsName has an issuer with a certificate of the plant's CA, and a secret in a file.
func TestAPersonSignsInAtTheIssuerThatTheSettingsName(t *testing.T) {
	dir := t.TempDir()
	certificate, ca := plantCertificate(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := mockoidc.NewServer(nil)
	if err != nil {
		t.Fatal(err)
	}
	secured := &tls.Config{Certificates: []tls.Certificate{certificate}}
	if err := issuer.Start(tls.NewListener(l, secured), secured); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = issuer.Shutdown() })
	for name, text := range map[string]string{"ca.pem": ca, "secret": issuer.ClientSecret + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	settings := []string{"oidc.issuer=" + issuer.Issuer(), "oidc.client_id=" + issuer.ClientID, "oidc.client_secret_file=" + dir + "/secret",
		`oidc.scopes=["profile","groups"]`, `oidc.operators=["maintenance"]`}
	signsIn := func(g *running) (*http.Response, error) {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(ca))
		browser := &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
		issuer.QueueUser(&mockoidc.MockUser{Subject: "u-17", PreferredUsername: "ana", Groups: []string{"maintenance"}})
		return browser.Get(g.url + "/login/oidc?to=/events")
	}
	g := startGateway(t, append(settings, "oidc.ca="+dir+"/ca.pem")...)
	resp, err := signsIn(g)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page := readAll(t, resp)
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/events" || !strings.Contains(page, "Signed in as ana, operator") {
		t.Fatalf("%s at %s\n%s", resp.Status, resp.Request.URL, page)
	}
	if strings.Contains(g.log.String(), issuer.ClientSecret) || strings.Contains(g.cli("config", "show"), issuer.ClientSecret) {
		t.Error("the client secret is printed")
	}
	other := startGateway(t, settings...) // which does not know the plant's CA
	resp, err = signsIn(other)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if page := readAll(t, resp); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(page, "cannot be asked now") {
		t.Errorf("by a certificate of whomever: %s\n%s", resp.Status, page)
	}
	other.within(testPatience, "the journal says why", func() bool { return strings.Contains(other.log.String(), "unknown authority") })
}

// plantCertificate is one of 127.0.0.1, and the PEM of its CA: itself.
func plantCertificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "plant"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	var b strings.Builder
	if err := resp.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
