package certificate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/slipway-gateway/slipway/pkg/durable"
)

const (
	caFile      = "ca.crt"
	caKeyFile   = "ca.key"
	leafFile    = "tls.crt"
	leafKeyFile = "tls.key"
	rsaFile     = "tls-rsa.crt"
	rsaKeyFile  = "tls-rsa.key"

	caYears     = 30
	leafDays    = 398 // what the strictest clients accept
	renewBefore = 120 * 24 * time.Hour
)

// Files are the names of the CA's files, which are made once.
var Files = []string{caFile, caKeyFile}

// epoch is where a host without a clock believes to be.
var epoch = time.Unix(0, 0).UTC()

// renew makes what is missing, what ends soon and what does not name this host any more.
func (id *Identity) renew() error {
	now := id.options.Now()
	if now.Before(id.options.Built) {
		now = id.options.Built
	}
	ca, err := id.ca(now)
	if err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	hosts := id.options.Hosts()
	err = id.renewLeaf(leafKind{leafFile, leafKeyFile, newECDSA, x509.KeyUsageDigitalSignature, &id.current}, ca, hosts, now)
	if id.options.RSA {
		usage := x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
		err = errors.Join(err, id.renewLeaf(leafKind{rsaFile, rsaKeyFile, newRSA, usage, &id.rsa}, ca, hosts, now))
	}
	return err
}

// leafKind is a leaf by its kind of key.
type leafKind struct {
	cert, key string // files
	newKey    func() (crypto.Signer, error)
	usage     x509.KeyUsage
	served    *atomic.Pointer[tls.Certificate]
}

func newECDSA() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func newRSA() (crypto.Signer, error) {
	const bits = 2048 // more is slow on a small gateway, and some of those clients know no more
	return rsa.GenerateKey(rand.Reader, bits)
}

func (id *Identity) renewLeaf(k leafKind, ca *tls.Certificate, hosts []string, now time.Time) error {
	leaf, err := loadPair(id.options.Dir, k.cert, k.key)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		id.options.Logger.Warn("certificate is damaged, making another", "error", err)
	case err == nil && leaf.Leaf.CheckSignatureFrom(ca.Leaf) == nil && fresh(leaf.Leaf, ca.Leaf, now) && names(leaf.Leaf, hosts):
		if k.served.Load() == nil {
			serve(k.served, leaf, ca)
		}
		return nil
	}
	made, err := makeLeaf(k, ca, hosts, now)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	if leaf, err = made.pair(); err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	serve(k.served, leaf, ca)
	if err := made.store(id.options.Dir, k.cert, k.key); err != nil {
		return fmt.Errorf("certificate: %w", err) // it is served all the same: devices ask for this host's names of now
	}
	id.options.Logger.Info("certificate made", "file", k.cert, "hosts", hosts, "ends", leaf.Leaf.NotAfter)
	return nil
}

// ca reads the CA. It makes one only where there is no trace of another: devices refuse a gateway with a new CA, and whoever
// has the old one's files can put them back. A key without a certificate and without a leaf is where a first start was cut
// off: nobody has seen that CA.
func (id *Identity) ca(now time.Time) (*tls.Certificate, error) {
	there := map[string]bool{}
	for _, name := range []string{caFile, caKeyFile, leafFile, leafKeyFile} {
		_, err := os.Lstat(filepath.Join(id.options.Dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		there[name] = err == nil
	}
	if there[caFile] && there[caKeyFile] {
		ca, err := loadPair(id.options.Dir, caFile, caKeyFile)
		if err != nil {
			return nil, err
		}
		if err := ca.Leaf.CheckSignature(ca.Leaf.SignatureAlgorithm, ca.Leaf.RawTBSCertificate, ca.Leaf.Signature); err != nil {
			return nil, fmt.Errorf("%s is damaged: %w", id.CAFile(), err)
		}
		return ca, nil
	}
	if there[caFile] || there[leafFile] || there[leafKeyFile] || id.current.Load() != nil {
		lost := caKeyFile
		if !there[caFile] {
			lost = caFile
		}
		return nil, fmt.Errorf("%s is lost: put it back; no new one is made, as devices trust the old one", filepath.Join(id.options.Dir, lost))
	}
	if id.options.Kept {
		return nil, fmt.Errorf("%s: %w", id.CAFile(), fs.ErrNotExist)
	}
	ca, err := id.makeCA(now)
	if err == nil {
		id.options.Logger.Info("certificate authority made", "file", id.CAFile(), "ends", ca.Leaf.NotAfter)
	}
	return ca, err
}

// fresh reports that a leaf does not end soon, or that another would end no later: its CA ends with it, and by a clock that
// is years ahead has ended.
func fresh(leaf, ca *x509.Certificate, now time.Time) bool {
	return now.Before(leaf.NotAfter.Add(-renewBefore)) || leaf.NotAfter.Equal(ca.NotAfter)
}

// serve sends the CA along, so that a client which pins it by hash can do so.
func serve(as *atomic.Pointer[tls.Certificate], leaf, ca *tls.Certificate) {
	leaf.Certificate = append(leaf.Certificate[:1:1], ca.Certificate[0])
	as.Store(leaf)
}

// names reports that a certificate is good for all hosts.
func names(leaf *x509.Certificate, hosts []string) bool {
	for _, h := range hosts {
		if !slices.Contains(leaf.DNSNames, h) {
			return false
		}
	}
	return true
}

func (id *Identity) makeCA(now time.Time) (*tls.Certificate, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "gateway"
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "Slipway CA of " + host, Organization: []string{"Slipway"}},
		NotBefore: epoch, NotAfter: now.AddDate(caYears, 0, 0).UTC(),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	made, err := makePair(template, nil, newECDSA)
	if err == nil {
		err = made.store(id.options.Dir, caFile, caKeyFile)
	}
	if err != nil {
		return nil, err
	}
	return loadPair(id.options.Dir, caFile, caKeyFile)
}

// makeLeaf names addresses twice, as addresses and as DNS names: old mbedTLS compares only the latter.
func makeLeaf(k leafKind, ca *tls.Certificate, hosts []string, now time.Time) (made, error) {
	ends := now.AddDate(0, 0, leafDays).UTC()
	if ends.After(ca.Leaf.NotAfter) {
		ends = ca.Leaf.NotAfter
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: hosts[len(hosts)-1], Organization: []string{"Slipway"}},
		NotBefore: epoch, NotAfter: ends, BasicConstraintsValid: true, DNSNames: hosts,
		KeyUsage: k.usage, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		}
	}
	return makePair(template, ca, k.newKey)
}

// made is a key and its certificate, PEM.
type made struct{ key, cert []byte }

// makePair makes a key and its certificate, signed by parent or by itself.
func makePair(template *x509.Certificate, parent *tls.Certificate, newKey func() (crypto.Signer, error)) (m made, err error) {
	key, err := newKey()
	if err != nil {
		return m, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return m, err
	}
	signer, signKey := template, any(key)
	if parent != nil {
		signer, signKey = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, key.Public(), signKey)
	if err != nil {
		return m, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return m, err
	}
	m.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	m.cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return m, nil
}

func (m made) pair() (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(m.cert, m.key)
	if err != nil {
		return nil, err
	}
	return &pair, nil
}

// store lays both into files. The key is durable before the certificate.
func (m made) store(dir, certName, keyName string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(dir, keyName), m.key, 0o600); err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, certName), m.cert, 0o644)
}

func loadPair(dir, certName, keyName string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, certName), filepath.Join(dir, keyName))
	if err != nil {
		return nil, err
	}
	return &pair, nil
}
