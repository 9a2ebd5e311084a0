package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// shownSighting is what a device's page says of what was seen of it.
type shownSighting struct {
	Runs     string `json:"runs"`
	RunsBy   string `json:"runs_by"`
	Boots    int    `json:"boots"`
	Checked  string `json:"checked_at"`
	WentBack *struct {
		Version, By string
	} `json:"went_back"`
	Download *struct {
		Version, Outcome string
		Bytes, Size      int
	} `json:"download"`
	State string `json:"state"`
}

// lwipDevice is a device on the wire: a connection a request, and the receive window of lwIP.
type lwipDevice struct {
	g       *running
	way     string // http or https
	key     string
	id      string
	secret  string
	token   string
	headers string
}

func (d *lwipDevice) dial() (c net.Conn, plain *net.TCPConn) {
	d.g.t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 5744) })
	}}
	c, err := dialer.Dial("tcp", strings.TrimPrefix(strings.TrimPrefix(d.g.urls[d.way], "https://"), "http://"))
	if err != nil {
		d.g.t.Fatal(err)
	}
	plain = c.(*net.TCPConn)
	if d.way == "https" {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	return c, plain
}

// fetch asks for the firmware, reads so many bytes of the body, -1 for all, and closes.
func (d *lwipDevice) fetch(header string, most int64) (body int64) {
	d.g.t.Helper()
	c, plain := d.dial()
	defer func() { _ = plain.Close() }()
	fmt.Fprintf(c, "GET /api/iot/firmware HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s%s\r\n", d.token, d.headers, header)
	var head []byte
	for one := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, one[0]) {
		if _, err := io.ReadFull(c, one); err != nil {
			d.g.t.Fatalf("%v after %s", err, head)
		}
	}
	var length int64
	for line := range strings.Lines(string(head)) {
		_, _ = fmt.Sscanf(line, "Content-Length: %d", &length)
	}
	if most < 0 || most > length {
		most = length
	}
	if body, err := io.CopyN(io.Discard, c, most); err != nil {
		d.g.t.Errorf("%d of %d bytes: %v", body, most, err)
	}
	return most
}

// boot is what esp-mdm asks first.
func (d *lwipDevice) boot() {
	d.g.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {d.id}, "client_secret": {d.secret}}
	a := d.g.ask("POST", "/api/oauth/token", "", strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded")
	token, _ := a.json(d.g.t)["access_token"].(string)
	if d.token = token; token == "" {
		d.g.t.Fatalf("no token: %s", a.body)
	}
	if a := d.g.ask("GET", "/api/iot/config", d.token, nil); a.StatusCode != http.StatusOK {
		d.g.t.Errorf("configuration: %s", a.Status)
	}
}

func (d *lwipDevice) shown() shownSighting {
	d.g.t.Helper()
	var shown struct {
		Sighting shownSighting `json:"sighting"`
	}
	d.g.cliJSON(&shown, "device", "show", d.key)
	return shown.Sighting
}

// becomes waits until what is shown holds.
func (d *lwipDevice) becomes(what string, holds func(shownSighting) bool) {
	d.g.t.Helper()
	last := shownSighting{}
	defer func() {
		if d.g.t.Failed() {
			d.g.t.Logf("%s: the last was %+v %+v", what, last, last.Download)
		}
	}()
	d.g.within(testPatience, what, func() bool { last = d.shown(); return holds(last) })
}

func TestWhatADeviceDidWithAnImageIsToldApart(t *testing.T) {
	g := startGateway(t, "listen.https=127.0.0.1:0")
	g.cli("model", "add", "pump")
	bundle := bundleOf(t, "pump", "1.0.0")
	size := len(imageOf(t, bundle, "pump"))
	if size < 64<<10 {
		t.Fatalf("an image of %d bytes is too small to break off in its middle", size)
	}
	g.ask("POST", uploadAddress, g.operatorToken("pipeline"), bytes.NewReader(bundle))
	for _, way := range []string{"http", "https"} {
		t.Run(way, func(t *testing.T) {
			made := g.addDevice("pump")
			d := &lwipDevice{g: g, way: way, key: made.Key, id: made.ID, secret: made.Secret}
			if s := d.shown(); s.State != "never" || s.Download != nil || s.Runs != "" {
				t.Errorf("before it came: %+v", s)
			}
			d.boot()
			d.fetch("", 1024)
			d.becomes("a check", func(s shownSighting) bool { return s.Checked != "" && s.Download == nil && s.State == "live" })

			d.fetch("", int64(size/2))
			d.becomes("a broken download", func(s shownSighting) bool {
				return s.Download != nil && s.Download.Outcome == "broken" && s.Download.Bytes > size/2-16<<10 && s.Download.Bytes < size && s.Download.Size == size
			})
			for from := 0; from < size; from += 32 << 10 {
				d.fetch(fmt.Sprintf("Range: bytes=%d-%d\r\n", from, from+32<<10-1), -1)
			}
			d.becomes("a whole one in ranges", func(s shownSighting) bool { return s.Download != nil && s.Download.Outcome == "whole" })
			if s := d.shown(); s.Runs != "" {
				t.Errorf("it holds the image, and nobody knows that it runs: %+v", s)
			}
			d.boot()
			d.fetch("", 1024)
			d.becomes("that it runs it, by how it behaves", func(s shownSighting) bool { return s.Runs == "1.0.0" && s.RunsBy == "behaved" })

			d.fetch("", -1)
			d.becomes("that the first did not take", func(s shownSighting) bool { return s.RunsBy == "" })

			d.headers = "X-Running-Version: 0.9.0\r\n"
			d.fetch("", 1024)
			d.becomes("its own word", func(s shownSighting) bool { return s.Runs == "0.9.0" && s.RunsBy == "said" })
		})
	}
}
