package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	socketFlag    = "socket"
	defaultSocket = "/run/slipway/slipway.sock"
	socketEnv     = "SLIPWAY_SOCKET"
	urlFlag       = "url"
	urlEnv        = "SLIPWAY_URL"
	tokenFlag     = "token"
	tokenEnv      = "SLIPWAY_TOKEN"
	caFlag        = "ca"
	caEnv         = "SLIPWAY_CA"
)

// addReachFlags adds how a command reaches the gateway, to the root, so that every command has it.
func addReachFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.String(socketFlag, "", "the gateway's socket (default $SLIPWAY_SOCKET, else "+defaultSocket+")")
	flags.String(urlFlag, "", "reach a gateway elsewhere, as https://gateway:8443 (default $SLIPWAY_URL, else what 'slipway login' noted)")
	flags.String(tokenFlag, "", "a person's or a pipeline's token for --url (default $SLIPWAY_TOKEN, which other users of this machine do not see)")
	flags.String(caFlag, "", "a `FILE` with the CA of the gateway at --url (default $SLIPWAY_CA, else the system's)")
}

// reach is the way to a gateway: its socket, where the kernel says who asks, or its address with a token.
type reach struct {
	socket string
	base   string // such as https://gateway:8443; "" is the socket
	token  string
	roots  *x509.CertPool // nil: the system's
}

// reachOf finds the way: flags before variables, and both before what login noted.
func reachOf(cmd *cobra.Command) (reach, error) {
	value := func(flag string) string { v, _ := cmd.Flags().GetString(flag); return v }
	socket, address := value(socketFlag), value(urlFlag)
	if socket != "" && address != "" {
		return reach{}, usagef("--socket and --url name two gateways: give one of them")
	}
	if socket == "" && address == "" {
		socket, address = os.Getenv(socketEnv), os.Getenv(urlEnv)
		if socket != "" && address != "" {
			return reach{}, usagef("%s and %s name two gateways: unset one of them, or give --socket or --url", socketEnv, urlEnv)
		}
	}
	if socket != "" {
		return reach{socket: socket}, nil
	}
	noted, err := readLogin()
	if err != nil {
		return reach{}, err
	}
	if address == "" && noted.URL == "" {
		return reach{socket: defaultSocket}, nil
	}
	base, err := baseURL(cmp.Or(address, noted.URL))
	if err != nil {
		return reach{}, err
	}
	r := reach{base: base, token: cmp.Or(value(tokenFlag), os.Getenv(tokenEnv))}
	same := base == noted.URL // a token is for the gateway that it was noted for, and for no other
	if same {
		r.token = cmp.Or(r.token, noted.Token)
	}
	if r.token == "" {
		return reach{}, usagef("there is no token for %s: set %s, give --token, or run 'slipway login %s'", base, tokenEnv, base)
	}
	switch file := caOf(cmd); {
	case file != "":
		r.roots, err = readCA(file)
	case same && noted.CA != "":
		r.roots, err = rootsOf([]byte(noted.CA))
	}
	return r, err
}

// baseURL checks an address. A token is sent in the clear to this machine only.
func baseURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", usagef("%q is no address of a gateway: want one such as https://gateway:8443", s)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return "", usagef("%s: an address of a gateway is its scheme, host and port, and nothing more", u.Redacted())
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "", usagef("%s would show the token to everybody on the network: use the https address", s)
	}
	return u.Scheme + "://" + strings.ToLower(u.Host), nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// caOf is the file that the gateway's CA was given in, "" for the system's.
func caOf(cmd *cobra.Command) string {
	file, _ := cmd.Flags().GetString(caFlag)
	return cmp.Or(file, os.Getenv(caEnv))
}

func readCA(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the gateway's CA: %w", err)
	}
	roots, err := rootsOf(text)
	if err != nil {
		return nil, usagef("%s: %v", file, err)
	}
	return roots, nil
}

func rootsOf(text []byte) (*x509.CertPool, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, errors.New("it holds no certificate in PEM")
	}
	return roots, nil
}

func pemOf(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

// client is the HTTP client of this way. A redirect is an answer like any other: it would carry the token elsewhere.
func (r reach) client() http.Client {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	transport := &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		DialContext:     dialer.DialContext,
		TLSClientConfig: &tls.Config{RootCAs: r.roots},
	}
	if r.base == "" {
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", r.socket)
		}
	}
	return http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// address is where a request for a path goes.
func (r reach) address(path string) string { return cmp.Or(r.base, "http://slipway") + path }

// explain says what to do about an error of connecting; nil where it is another.
func (r reach) explain(err error) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("the certificate of %s is by a CA that is not trusted here: give the gateway's CA with --ca, or run 'slipway login %s'", r.base, r.base)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("what answers at %s speaks no TLS: use the address of the gateway's https listener ('slipway status' there prints both)", r.base)
	case errors.As(err, &name):
		return fmt.Errorf("the certificate of %s is for other names (%w): use one of those, or bring a certificate with this name (tls.cert)", r.base, name)
	case errors.As(err, &invalid):
		return fmt.Errorf("the certificate of %s does not hold (%w): look at the clocks of both machines", r.base, invalid)
	}
	return nil
}
