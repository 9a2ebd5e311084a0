package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/testdata/firmware"
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

// What the gateway wraps around a connection must not hide it from the kernel: a download by read and write costs a copy
// of every byte.
func TestADownloadGoesOutBySendfile(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: nobody can see which system calls a download takes")
	}
	g := startGateway(t)
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	zip, err := firmware.Build{Code: "pump", Version: "1.0.0"}.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	if a := g.ask("POST", uploadAddress, g.operatorToken("pipeline"), bytes.NewReader(zip)); a.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	token := g.deviceToken(device.Key)
	seen := filepath.Join(t.TempDir(), "calls")
	watch := exec.Command(strace, "-f", "-e", "trace=sendfile", "-o", seen, "-p", fmt.Sprint(g.cmd.Process.Pid))
	told, err := watch.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(told).ReadString('\n') // "strace: Process N attached …"
	if err != nil || !strings.Contains(line, "attached") {
		_ = watch.Process.Kill()
		_ = watch.Wait()
		t.Skipf("strace may not look at the gateway here: %q, %v", line, err)
	}
	a := g.ask("GET", "/api/iot/firmware", token, nil)
	_ = watch.Process.Signal(os.Interrupt) // it lets go of the gateway
	_ = watch.Wait()
	calls, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	for _, m := range regexp.MustCompile(`sendfile\(.* = (\d+)\n`).FindAllSubmatch(calls, -1) {
		n, err := strconv.Atoi(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		sent += n
	}
	// net/http looks at the first 512 bytes itself.
	if a.StatusCode != http.StatusOK || sent < len(a.body)-512 {
		t.Errorf("%s, %d of %d bytes; the calls of sendfile were\n%s", a.Status, sent, len(a.body), calls)
	}
}
