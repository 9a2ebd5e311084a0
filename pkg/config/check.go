package config

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
)

// complete fills in what follows from other settings and checks what only several of them say together.
func (c *Config) complete() *Error {
	for _, check := range []func() *Error{c.completeFolders, c.checkFolders, c.checkTLS, c.checkAddresses, c.checkTestMode, c.checkOIDC} {
		if err := check(); err != nil {
			return err
		}
	}
	for _, x := range c.Issuers {
		if u, err := url.Parse(x.JWKSURL); err == nil && u.Scheme == "http" && !loopback(u.Host) {
			c.Warnings = append(c.Warnings, fmt.Sprintf("auth.issuers: the keys of %q come without TLS: whoever is on the way may put in their own", x.Issuer))
		}
	}
	return nil
}

// folders are the four that may lie elsewhere than in state_dir.
func (c *Config) folders() []folderSetting {
	return []folderSetting{
		{"assets_dir", "assets", &c.AssetsDir, false},
		{"coredumps_dir", "coredumps", &c.CoredumpsDir, true},
		{"drop_dir", "drop", &c.DropDir, true},
		{"catalog_dir", "catalog", &c.CatalogDir, false},
	}
}

type folderSetting struct {
	key, name string
	path      *string
	mayBeOff  bool
}

func (c *Config) completeFolders() *Error {
	for _, f := range c.folders() {
		switch {
		case *f.path == "":
			*f.path = filepath.Join(c.StateDir, f.name)
		case !isOff(*f.path):
			path, err := filepath.Abs(*f.path)
			if err != nil {
				return &Error{Key: f.key, Reason: err.Error()}
			}
			*f.path = path
		case f.mayBeOff:
			*f.path = ""
		default:
			return &Error{Key: f.key, Reason: "it cannot be off: want a folder"}
		}
		for i := range c.values {
			if v := &c.values[i]; v.Key == f.key && *f.path != "" {
				v.Value = *f.path
			}
		}
	}
	return nil
}

// checkFolders keeps the folders apart: each is cleaned up at start by its own rules.
func (c *Config) checkFolders() *Error {
	all := append(c.folders(), folderSetting{key: "state_dir", path: new(c.KeysDir())}, folderSetting{key: "state_dir", path: new(c.BackupDir())})
	for i, f := range all {
		for _, other := range all[:i] {
			if *f.path != "" && *other.path != "" && (within(*f.path, *other.path) || within(*other.path, *f.path)) {
				return &Error{Key: other.key, Reason: fmt.Sprintf("%s and %s (of %s) lie inside each other: want a separate folder for each", *other.path, *f.path, f.key)}
			}
		}
	}
	return nil
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}

func (c *Config) checkTLS() *Error {
	switch {
	case c.TLSCert != "" && c.TLSKey == "":
		return &Error{Key: "tls.cert", Reason: "tls.key is missing: set both or none"}
	case c.TLSCert == "" && c.TLSKey != "":
		return &Error{Key: "tls.key", Reason: "tls.cert is missing: set both or none"}
	}
	return nil
}

type listener struct {
	key       string
	addresses Addresses
}

func (c *Config) listeners() []listener {
	return []listener{
		{"listen.https", c.ListenHTTPS}, {"listen.http", c.ListenHTTP},
		{"listen.device_https", c.ListenDeviceHTTPS}, {"listen.device_http", c.ListenDeviceHTTP},
	}
}

func (c *Config) checkAddresses() *Error {
	taken := map[string]string{}
	for _, l := range c.listeners() {
		for _, a := range l.addresses {
			if _, port, _ := net.SplitHostPort(a); port == "0" { // any free one
				continue
			}
			if first := taken[a]; first != "" {
				return &Error{Key: l.key, Reason: fmt.Sprintf("%s is an address of %s already", a, first)}
			}
			taken[a] = l.key
		}
	}
	return nil
}

// checkTestMode keeps a gateway that asks nobody for a token off the network, unless its operator insists.
func (c *Config) checkTestMode() *Error {
	if c.AuthDevice != "none" || c.InsecureLAN {
		return nil
	}
	for _, l := range c.listeners() {
		for _, a := range l.addresses {
			if !loopback(a) {
				return &Error{Key: "auth.device", Reason: fmt.Sprintf("test mode admits everybody, and %s (%s) is reachable from the network: "+
					"listen only on 127.0.0.1, or set auth.insecure_lan: true too", a, l.key)}
			}
		}
	}
	return nil
}

// checkOIDC wants all of the issuer for people, or none.
func (c *Config) checkOIDC() *Error {
	o := c.OIDC
	switch {
	case o.Issuer == "" && o.ClientID != "":
		return &Error{Key: "oidc.client_id", Reason: "oidc.issuer is missing: set both or none"}
	case o.Issuer == "":
		return nil
	case o.ClientID == "":
		return &Error{Key: "oidc.issuer", Reason: "oidc.client_id is missing: tokens for other services would be good here"}
	case o.Claim == "":
		return &Error{Key: "oidc.claim", Reason: "it is empty: want the claim whose values give roles"}
	case len(o.Viewers)+len(o.Operators)+len(o.Admins) == 0:
		return &Error{Key: "oidc.issuer", Reason: "nobody would have a role: set oidc.viewers, oidc.operators or oidc.admins"}
	}
	return nil
}

// loopback reports that only this machine reaches an address, with or without a port.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

const hidden = "(hidden)"

// shown is a value as `config show` prints it. Of a secret table the names are shown, for they are what one looks for.
func shown(s Setting, raw any) string {
	value, err := asText(raw)
	switch {
	case s.Secret && s.Table:
		return shownTable(s, raw)
	case s.Secret && value != "" && value != s.Default:
		return hidden
	case err == nil:
		return value
	}
	b, err := json.Marshal(raw)
	if err != nil { // nothing that was read from YAML or text
		return fmt.Sprint(raw)
	}
	return string(b)
}

func shownTable(s Setting, raw any) string {
	var values map[string]string
	if err := table(&values, raw); err != nil { // checked before
		return hidden
	}
	for name := range values {
		values[name] = hidden
	}
	b, err := json.Marshal(values)
	if err != nil {
		return hidden
	}
	return string(b)
}
