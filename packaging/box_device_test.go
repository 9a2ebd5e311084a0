//go:build boot

package packaging

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// device is an ESP32 in the box's network: it trusts the gateway's CA and nothing else.
type device struct {
	box        *box
	key        string
	id, secret string
	token      string
	http       *http.Client
}

// addDevice enrolls a device by the command line and gives it a token.
func (b *box) addDevice(model string) *device {
	b.t.Helper()
	var c struct {
		Key    string `json:"device_key"`
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	out := b.run("slipway device add --model " + model + " --format json")
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		b.t.Fatalf("%v: %s", err, out)
	}
	d := &device{box: b, key: c.Key, id: c.ID, secret: c.Secret}
	d.http = b.client(b.ca(), false)
	d.newToken()
	return d
}

// ca is what a firmware carries of the gateway.
func (b *box) ca() *x509.CertPool {
	b.t.Helper()
	pem, err := os.ReadFile(b.path("var/lib/slipway/keys/ca.crt"))
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		b.t.Fatalf("ca.crt: %v", err)
	}
	return pool
}

// client connects inside the box's network. A device makes a connection for each request; a browser keeps them.
func (b *box) client(ca *x509.CertPool, keep bool) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: !keep, DialContext: b.dial, TLSClientConfig: &tls.Config{RootCAs: ca},
	}}
}

// dial connects from a thread that has moved into the box's network; it ends with its goroutine, so nobody inherits it.
func (b *box) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		var there *os.File
		if there, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", b.leader)); err != nil {
			return
		}
		defer there.Close()
		if err = unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err == nil {
			conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		}
	}()
	<-done
	return conn, err
}

func (b *box) url(path string) string { return "https://" + b.address + ":8443" + path }

// answer is a response, read whole.
type answer struct {
	*http.Response
	body []byte
}

func ask(c *http.Client, method, address, token string, body io.Reader, header ...string) (*answer, error) {
	req, err := http.NewRequest(method, address, body)
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	return &answer{resp, read}, err
}

// ask makes a request that must be answered with a status.
func (d *device) ask(want int, method, path string, body io.Reader, header ...string) *answer {
	d.box.t.Helper()
	a, err := ask(d.http, method, d.box.url(path), d.token, body, header...)
	if err != nil {
		d.box.t.Fatalf("%s %s: %v\n%s", method, path, err, d.box.state())
	}
	if a.StatusCode != want {
		d.box.t.Fatalf("%s %s: %s, want %d\n%s", method, path, a.Status, want, a.body)
	}
	return a
}

// newToken shows the secret and keeps the token.
func (d *device) newToken() {
	d.box.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {d.id}, "client_secret": {d.secret}}.Encode()
	d.token = ""
	a := d.ask(http.StatusOK, http.MethodPost, "/api/oauth/token", strings.NewReader(form), "Content-Type", "application/x-www-form-urlencoded")
	var t struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(a.body, &t); err != nil || t.AccessToken == "" {
		d.box.t.Fatalf("%s: %v", a.body, err)
	}
	d.token = t.AccessToken
}

// upload sends a dump and returns the name of its file without the suffix.
func (d *device) upload(version string, core []byte) string {
	d.box.t.Helper()
	a := d.ask(http.StatusCreated, http.MethodPost, "/api/iot/coredump?chip=esp32c3&firmware_version="+url.QueryEscape(version), bytes.NewReader(core))
	var stored struct {
		Filename string `json:"filename"`
	}
	if err := json.Unmarshal(a.body, &stored); err != nil {
		d.box.t.Fatalf("%s: %v", a.body, err)
	}
	return strings.TrimSuffix(stored.Filename, ".dmp")
}
