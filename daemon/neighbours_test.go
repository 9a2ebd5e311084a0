package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// More callers than the gate lets in of one address that has shown nothing: behind a router all devices have one. Who has
// shown good credentials, in whatever way, keeps its connection.
func TestAllWhoShowGoodCredentialsAreServedBehindOneAddress(t *testing.T) {
	const callers = 80
	g := startGateway(t)
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	form := "grant_type=client_credentials&client_id=" + device.ID + "&client_secret=" + device.Secret
	request := func(method, path, header, body string) string {
		return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: gateway\r\n%s\r\nContent-Length: %d\r\n\r\n%s", method, path, header, len(body), body)
	}
	basic := &http.Request{Header: http.Header{}}
	basic.SetBasicAuth(device.ID, device.Secret)
	for way, ask := range map[string]string{
		"a token":              request("GET", "/api/iot/config", "Authorization: Bearer "+g.deviceToken(device.Key), ""),
		"client id and secret": request("GET", "/api/iot/config", "Authorization: "+basic.Header.Get("Authorization"), ""),
		"asking for a token":   request("POST", "/api/oauth/token", "X: y", form),
		"an operator's token":  request("GET", "/api/devices", "Authorization: Bearer "+g.operatorToken("viewer"), ""),
	} {
		t.Run(way, func(t *testing.T) {
			var all []net.Conn
			for range callers {
				c, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				all = append(all, c)
				served(t, c, ask)
			}
			for _, c := range all { // nobody was sent away for those who came later
				served(t, c, ask)
			}
		})
	}
}

// served asks on a connection and reads the answer, which has to be a good one.
func served(t *testing.T, c net.Conn, ask string) {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(testPatience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, ask); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", res.Status, err)
	}
}
