package webhook

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Bounds of what an admin says of a webhook. The record has to fit one of the catalog's, 32 KiB.
const (
	mostName  = 64
	mostURL   = 2048
	mostKinds = 64
	mostCA    = 16 << 10
)

// check says what is wrong with a webhook's record, and puts its kinds in order.
func (c *Courier) check(w *fleet.Webhook) error {
	w.Name = strings.TrimSpace(w.Name)
	if len(w.Name) > mostName || strings.ContainsFunc(w.Name, unicode.IsControl) {
		return fleet.Refused("name %q: want at most %d bytes in one line", clean(w.Name, mostName), mostName)
	}
	u, err := parseURL(w.URL)
	if err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		if err := c.mayReach(ip); err != nil {
			return fleet.Refused("%s", err)
		}
	} else if strings.EqualFold(u.Hostname(), "localhost") && !c.options.Loopback {
		return fleet.Refused("%s", errLoopback)
	}
	if len(w.Kinds) > mostKinds {
		return fleet.Refused("%d kinds: want at most %d; none means all", len(w.Kinds), mostKinds)
	}
	for _, kind := range w.Kinds {
		if !event.Known(kind) {
			return unknownKind(kind)
		}
	}
	w.Kinds = slices.Compact(slices.Sorted(slices.Values(w.Kinds)))
	if w.Kinds == nil {
		w.Kinds = []string{}
	}
	_, err = roots(w.CA)
	return err
}

func unknownKind(kind string) error {
	err := fmt.Sprintf("kind %q: there is no such kind of event", clean(kind, mostName))
	if nearest := fleet.Nearest(kind, event.Names()); nearest != "" {
		err += fmt.Sprintf("; the nearest known one is %q", nearest)
	}
	return fleet.Refused("%s", err)
}

// parseURL takes an address that one request after another is sent to as it stands.
func parseURL(s string) (*url.URL, error) {
	if len(s) > mostURL {
		return nil, fleet.Refused("a url of %d bytes: want at most %d", len(s), mostURL)
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Opaque != "":
		return nil, fleet.Refused("url: want an address such as https://hooks.plant.example/slipway") // not repeated: an address may hold a secret
	case u.User != nil:
		return nil, fleet.Refused("url: it holds a user or a password: deliveries are signed, and the receiver checks that")
	case u.Fragment != "":
		return nil, fleet.Refused("url: it has a fragment (#…), which no receiver sees")
	}
	if port := u.Port(); port != "" {
		if _, err := netip.ParseAddrPort("127.0.0.1:" + port); err != nil {
			return nil, fleet.Refused("url: the port is none")
		}
	}
	return u, nil
}

// host is what events and the log may say of an address: paths and queries of webhooks are often secrets.
func host(w fleet.Webhook) string {
	u, err := url.Parse(w.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

// roots are those that a receiver's certificate is checked against, nil for the system's.
func roots(ca string) (*x509.CertPool, error) {
	if ca == "" {
		return nil, nil
	}
	if len(ca) > mostCA {
		return nil, fleet.Refused("a ca of %d bytes: want at most %d", len(ca), mostCA)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(ca)) {
		return nil, fleet.Refused("ca: want a certificate in PEM, -----BEGIN CERTIFICATE-----")
	}
	return pool, nil
}

const (
	errLoopback  = "this machine itself is no receiver unless webhooks.loopback is set: what listens on it for nobody else would be reached"
	errLinkLocal = "link-local addresses are no receivers: a cloud's metadata is at one"
	errNoHost    = "this is no host's address"
)

// mayReach says why an address is none to send events to. A plant's own network is what webhooks are for; what only this
// machine can reach is not, unless its owner says so.
func (c *Courier) mayReach(ip netip.Addr) error {
	ip = ip.Unmap()
	switch {
	case ip.IsLoopback() || ip.IsUnspecified(): // connecting to 0.0.0.0 reaches this machine
		if c.options.Loopback {
			return nil
		}
		return &refusedAddress{errLoopback}
	case ip.IsLinkLocalUnicast():
		return &refusedAddress{errLinkLocal}
	case ip.IsMulticast() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return &refusedAddress{errNoHost}
	}
	return nil
}

type refusedAddress struct{ why string }

func (e *refusedAddress) Error() string { return e.why }

// dialled looks at each address that is about to be connected to.
func (c *Courier) dialled(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return c.mayReach(at.Addr())
}

// Bounds of one request.
const (
	mostTime   = 20 * time.Second // for all of it
	mostDial   = 10 * time.Second
	mostHeader = 16 << 10 // bytes of an answer's
	mostBody   = 16 << 10 // of an answer that are read: then the connection is used again, else it is closed
	idleTime   = 3 * time.Second
)

func (c *Courier) patience() time.Duration { return cmp.Or(c.options.Patience, mostTime) }

// client makes requests for one webhook. It goes where the address says and nowhere else: no proxy of the environment, no
// redirects. An idle connection is closed before common receivers close theirs, which would look like a failure.
func (c *Courier) client(w fleet.Webhook) (*http.Client, error) {
	pool, err := roots(w.CA)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: mostDial, Control: c.dialled}
	return &http.Client{
		Timeout:       c.patience(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: mostDial, MaxResponseHeaderBytes: mostHeader, MaxIdleConnsPerHost: 1, MaxConnsPerHost: 2,
			IdleConnTimeout: idleTime, DisableCompression: true,
		},
	}, nil
}
