package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// structured reads lists and tables: from the file as they are, from anywhere else as JSON.
func structured(to any, raw any, want string) error {
	if raw == nil {
		return nil
	}
	var b []byte
	if s, isText := raw.(string); isText {
		b = []byte(s)
	} else {
		var err error
		if b, err = json.Marshal(raw); err != nil {
			return fmt.Errorf("want %s", want)
		}
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(to)
	if _, more := d.Token(); err == nil && !errors.Is(more, io.EOF) {
		err = errors.New("something follows it")
	}
	if err != nil {
		return fmt.Errorf("want %s, outside the file as JSON: %w", want, err)
	}
	return nil
}

func words(to *[]string, raw any) error {
	*to = nil
	return structured(to, raw, "a list of names")
}

// table reads names with texts. YAML takes 0123 for a number, and a Wi-Fi password would change: only text is text.
// mostStoredName is what a name in a device's NVS partition may have: a longer one breaks a rotation in its middle.
const mostStoredName = 15

func table(to *map[string]string, raw any) error {
	var values map[string]any
	if err := structured(&values, raw, "a map of names to texts"); err != nil {
		return err
	}
	*to = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value, isText := values[name].(string)
		if !isText {
			return fmt.Errorf("%s: want text: put its value in quotes", name)
		}
		if len(name) > mostStoredName {
			return fmt.Errorf("%s: the name has %d bytes, and devices store at most %d", name, len(name), mostStoredName)
		}
		(*to)[name] = value
	}
	return nil
}

func paths(to *[]string, raw any) error {
	if err := words(to, raw); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, p := range *to {
		switch {
		case !strings.HasPrefix(p, "/") || p == "/" || strings.ContainsAny(p, "{} ?#%") || path.Clean(p) != p:
			return fmt.Errorf("%q: want a path such as /realms/iot/protocol/openid-connect/token", p)
		case strings.HasPrefix(p, "/api/"):
			return fmt.Errorf("%q: what is below /api/ is the gateway's own", p)
		case seen[p]:
			return fmt.Errorf("%q is there twice", p)
		}
		seen[p] = true
	}
	return nil
}

func baseURL(to *string, raw any) error {
	if err := text(to, raw); err != nil || *to == "" {
		return err
	}
	u, err := url.Parse(*to)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q: want an address such as https://10.0.0.5:8443", *to)
	}
	*to = strings.TrimRight(*to, "/")
	return nil
}

// issuerURL is kept as it is written: an issuer's name is compared byte for byte.
func issuerURL(to *string, raw any) error {
	if err := text(to, raw); err != nil || *to == "" {
		return err
	}
	u, err := url.Parse(*to)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Host)) {
		return fmt.Errorf("%q: want an address with https, or with http on this machine", *to)
	}
	return nil
}

func claimValues(to *[]string, raw any) error {
	if err := words(to, raw); err != nil {
		return err
	}
	if slices.Contains(*to, "") {
		return errors.New("an empty value would let in whose claim is empty")
	}
	return nil
}

func brokerURL(to *string, raw any) error {
	if err := text(to, raw); err != nil {
		return err
	}
	if *to == "off" {
		*to = ""
		return nil
	}
	u, err := url.Parse(*to)
	if err != nil || u.Hostname() == "" || u.Scheme != "mqtt" && u.Scheme != "mqtts" || u.Path != "" || u.User != nil || u.RawQuery != "" {
		return fmt.Errorf("%q: want an address such as mqtts://10.0.0.7:8883, or off", *to)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), map[string]string{"mqtt": "1883", "mqtts": "8883"}[u.Scheme])
	}
	*to = u.String()
	return nil
}

func topicPrefix(to *string, raw any) error {
	if err := text(to, raw); err != nil {
		return err
	}
	if *to == "" || strings.ContainsAny(*to, "+#\x00") || strings.HasPrefix(*to, "/") || strings.HasSuffix(*to, "/") {
		return fmt.Errorf("%q: want the first part of a topic, without + and #", *to)
	}
	return nil
}

var tenantPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`) })

// tenant is a part of addresses that begins none of the others, or off.
func tenant(to *string, raw any) error {
	if err := text(to, raw); err != nil {
		return err
	}
	switch lower := strings.ToLower(*to); {
	case lower == "off":
		*to = ""
	case !tenantPattern().MatchString(*to), lower == "api", lower == "d":
		return fmt.Errorf("%q: want 1 to 40 of letters, digits, _ and -, other than api and d, or off", *to)
	}
	return nil
}

// asymmetric are the algorithms that an external issuer may use.
var asymmetric = []string{"EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}

func issuers(to *[]Issuer, raw any) error {
	*to = nil
	if err := structured(to, raw, "a list of issuers with issuer, jwks_url, audience and algorithms"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i := range *to {
		x := &(*to)[i]
		if seen[x.Issuer] {
			return fmt.Errorf("issuer %q is there twice", x.Issuer)
		}
		seen[x.Issuer] = true
		if x.Issuer == "" || x.Issuer == "slipway" {
			return fmt.Errorf("issuer %d: want its iss claim as issuer, other than slipway", i+1)
		}
		if u, err := url.Parse(x.JWKSURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return fmt.Errorf("issuer %q: jwks_url %q: want the address of its key set", x.Issuer, x.JWKSURL)
		}
		if x.Audience == "" {
			return fmt.Errorf("issuer %q: audience is missing: tokens for other services would be good here", x.Issuer)
		}
		if len(x.Algorithms) == 0 {
			x.Algorithms = []string{"EdDSA", "ES256", "RS256"}
		}
		for _, a := range x.Algorithms {
			if !slices.Contains(asymmetric, a) {
				return fmt.Errorf("issuer %q: algorithm %q: want some of %s", x.Issuer, a, strings.Join(asymmetric, " "))
			}
		}
	}
	return nil
}
