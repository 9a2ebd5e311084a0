// Package certificate makes and keeps the gateway's TLS identity: a certificate authority of its own, made once and good
// for thirty years, and a leaf under it for whatever names and addresses this host has now. Devices carry the CA; the
// leaf renews itself and they never notice.
//
// All certificates are backdated to 1970, where a gateway or a device without a clock believes to be. Keys are ECDSA
// P-256: small handshakes, and known to every mbedTLS. Files with a key are 0600.
//
// Where an operator brings a certificate, the package only reads it, and reads it again when it changes.
package certificate

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

// Options say where the certificate comes from.
type Options struct {
	Dir      string // holds ca.crt, ca.key, tls.crt and tls.key when they are made here
	CertFile string // with KeyFile: an operator's own pair, PEM; the leaf first, then its chain
	KeyFile  string
	RSA      bool            // a leaf with an RSA key beside the one with an ECDSA key, for clients that know nothing else; none beside an operator's pair
	Kept     bool            // no CA is made where there is none: os.ErrNotExist
	Hosts    func() []string // names and addresses that the leaf is to be good for
	Built    time.Time       // no clock is believed that says less
	Now      func() time.Time
	Logger   *slog.Logger
	Beat     func() // a sign of life, at least every five seconds
}

// Identity is the certificate that is served now.
type Identity struct {
	options Options
	current atomic.Pointer[tls.Certificate]
	rsa     atomic.Pointer[tls.Certificate] // nil: none
	seen    stamp                           // of the operator's files when they were last read
	trouble atomic.Pointer[string]          // why it was not renewed at the last look
}

// Open reads the certificate, or makes it the first time. One that cannot be stored is served, and made anew by the next look.
func Open(o Options) (*Identity, error) {
	id := &Identity{options: o}
	err := id.refresh()
	if err != nil && id.current.Load() == nil {
		return nil, err
	}
	id.note(err)
	return id, nil
}

// GetCertificate is for tls.Config. The RSA leaf is for who cannot use the other.
func (id *Identity) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	current := id.current.Load()
	if rsa := id.rsa.Load(); rsa != nil && hello.SupportsCertificate(current) != nil && hello.SupportsCertificate(rsa) == nil {
		return rsa, nil
	}
	return current, nil
}

// CAFile is the PEM file that devices are given; "" where an operator brought the certificate.
func (id *Identity) CAFile() string {
	if id.options.CertFile != "" {
		return ""
	}
	return filepath.Join(id.options.Dir, caFile)
}

// CA is what CAFile holds; nil where an operator brought the certificate.
func (id *Identity) CA() ([]byte, error) {
	if id.options.CertFile != "" {
		return nil, nil
	}
	return os.ReadFile(id.CAFile())
}

// NotAfter is when the certificate that is served now ends.
func (id *Identity) NotAfter() time.Time { return id.current.Load().Leaf.NotAfter }

// Run renews or reloads until ctx ends. A certificate that cannot be renewed is served on.
func (id *Identity) Run(ctx context.Context) error {
	const (
		beat  = 5 * time.Second
		every = 12 // beats: a minute between looks at files and addresses
	)
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for n := 1; ; n++ {
		id.options.Beat()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if n%every == 0 {
			id.look()
		}
	}
}

// look is one look at files and addresses.
func (id *Identity) look() { id.note(id.refresh()) }

func (id *Identity) note(err error) {
	trouble := ""
	if err != nil {
		id.options.Logger.Error("certificate not renewed", "error", err)
		trouble = "the certificate is served, but not renewed: " + err.Error()
	}
	id.trouble.Store(&trouble)
}

// Trouble says that the certificate cannot be renewed and why, else "".
func (id *Identity) Trouble() string {
	if trouble := id.trouble.Load(); trouble != nil {
		return *trouble
	}
	return ""
}

func (id *Identity) refresh() error {
	if id.options.CertFile != "" {
		return id.reload()
	}
	return id.renew()
}

// stamp tells whether a pair of files changed.
type stamp struct {
	cert, key         time.Time
	certSize, keySize int64
}

func (id *Identity) reload() error {
	cert, err := os.Stat(id.options.CertFile)
	if err != nil {
		return fmt.Errorf("tls.cert: %w", err)
	}
	key, err := os.Stat(id.options.KeyFile)
	if err != nil {
		return fmt.Errorf("tls.key: %w", err)
	}
	now := stamp{cert.ModTime(), key.ModTime(), cert.Size(), key.Size()}
	if now == id.seen {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(id.options.CertFile, id.options.KeyFile)
	if err != nil {
		return fmt.Errorf("tls.cert and tls.key: %w", err)
	}
	if id.seen != (stamp{}) {
		id.options.Logger.Info("certificate reloaded", "file", id.options.CertFile, "ends", pair.Leaf.NotAfter)
	}
	id.seen = now
	id.current.Store(&pair)
	return nil
}

// Hosts are this host's name and the addresses of its interfaces, without link-local ones.
func Hosts() []string {
	hosts := []string{"localhost"}
	if name, err := os.Hostname(); err == nil && name != "localhost" {
		hosts = append(hosts, name)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return append(hosts, "127.0.0.1")
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLinkLocalUnicast() {
			hosts = append(hosts, ip.IP.String())
		}
	}
	slices.Sort(hosts[1:])
	return slices.Compact(hosts)
}
