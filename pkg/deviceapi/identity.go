package deviceapi

import (
	"cmp"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// configuration is the device's own one byte for byte, or its model's default.
func (d *Door) configuration(w http.ResponseWriter, _ *http.Request, device fleet.Device, model fleet.Model) error {
	raw, err := fleet.Configuration(model, device)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	return endpoint.Write(w, http.StatusOK, raw)
}

// provision rotates the device's secret and hands out all that it stores. The device replaces everything that it has by
// what it gets, whatever the status, and erases what is missing: so it gets all or an error body, whose details are an
// object, which it refuses for not being a string.
func (d *Door) provision(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model) error {
	w.Header().Set("Cache-Control", "no-store")
	values := fleet.ProvisioningValues(d.options.Provisioning.Extra, model, device)
	values["base_url"] = cmp.Or(values["base_url"], d.options.Provisioning.BaseURL, reachedAt(r))
	values["token_url"] = cmp.Or(values["token_url"], strings.TrimSuffix(values["base_url"], "/")+tokenPath)
	values["device_key"], values["client_id"] = string(device.Key), device.ClientID()
	values["client_secret"] = "" // nobody sets it
	if missing := d.missing(values); len(missing) > 0 {
		e := endpoint.Errorf(http.StatusConflict, "provisioning_incomplete", "no value for %s", strings.Join(missing, ", "))
		e.Details = map[string]any{"missing": missing}
		return e
	}
	secret, err := d.options.Issuer.RotateSecret(r.Context(), device.Key)
	if err != nil {
		return err
	}
	delete(values, "client_secret")
	answer, err := secretLast(values, secret)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, answer)
}

// secretLast is values as JSON with the secret behind them. A device stores member by member in this order: one that
// cannot store another value must not be left with a secret that the next rotation replaces unused.
func secretLast(values map[string]string, secret string) (json.RawMessage, error) {
	others, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	last, err := json.Marshal(map[string]string{"client_secret": secret})
	if err != nil {
		return nil, err
	}
	return slices.Concat(others[:len(others)-1], []byte{','}, last[1:]), nil
}

// missing are the required keys without a value, but for the secret, which is made last.
func (d *Door) missing(values map[string]string) []string {
	var missing []string
	for _, key := range d.options.Provisioning.Required {
		if values[key] == "" && key != "client_secret" {
			missing = append(missing, key)
		}
	}
	return missing
}

// reachedAt is the gateway's address as the device has it: it has just worked. Some clients leave the port out of Host,
// esp_http_client after a change of address among them: it is the listener's.
func reachedAt(r *http.Request) string {
	scheme, usual := "http", "80"
	if r.TLS != nil {
		scheme, usual = "https", "443"
	}
	host := r.Host
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		_, port, err := net.SplitHostPort(local.String())
		switch {
		case host == "", strings.ContainsFunc(host, notOfAHost): // HTTP/1.0 needs no Host
			host = local.String()
		case err == nil && port != usual && !hasPort(host):
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
	}
	return scheme + "://" + host
}

func notOfAHost(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(".-_:[]", c)
}

func hasPort(host string) bool {
	_, port, err := net.SplitHostPort(host)
	return err == nil && port != ""
}
