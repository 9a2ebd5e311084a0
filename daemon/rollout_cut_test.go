package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// slowly opens a connection whose receive window is lwIP's, and asks for the firmware.
func (h *hall) slowly(token string) *http.Response {
	h.t.Helper()
	at, err := url.Parse(h.url)
	if err != nil {
		h.t.Fatal(err)
	}
	d := net.Dialer{Timeout: testPatience, Control: func(_, _ string, c syscall.RawConn) (err error) {
		if e := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 5744) }); e != nil {
			return e
		}
		return err
	}}
	c, err := d.Dial("tcp", at.Host)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "GET /api/iot/firmware HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", at.Host, token)
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 512), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp
}

// TestAHaltCutsADownloadInItsMiddle has a device in the middle of the build when its rollout halts: it gets a reset, and
// nothing of what the kernel held; who asks for the rest is told to start over, and starts over with the base.
func TestAHaltCutsADownloadInItsMiddle(t *testing.T) {
	h := newHall(t, 10, quick, "rollout.up_within=2s")
	h.speed = 300
	key := h.devices[0].Key
	h.play(h.devices[1:])
	token := h.deviceToken(key)
	h.ask(http.MethodGet, "/api/iot/firmware-version", token, nil)
	h.awaitHeard(9)
	h.begin("--first", key)
	h.awaitThat("the device is offered the build", func(api.Rollout) bool {
		return h.ask(http.MethodGet, "/api/iot/firmware-version", token, nil).json(t)["firmware_version"] == "1.1.0"
	})
	resp := h.slowly(token)
	defer resp.Body.Close()
	if v := resp.Header.Get("X-Firmware-Version"); v != "1.1.0" {
		t.Fatalf("the device is sent %q", v)
	}
	begin := make([]byte, 20<<10)
	if _, err := io.ReadFull(resp.Body, begin); err != nil {
		t.Fatal(err)
	}
	h.cli("rollout", "halt", "press", "--reason", "it hums")
	rest, err := io.Copy(io.Discard, resp.Body)
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the halt ends the download with %v", err)
	}
	// At most what the device's own window held has arrived: the halves of megabytes that the gateway's kernel held have not.
	if rest > 16<<10 {
		t.Errorf("after the halt %d bytes of the build came", rest)
	}
	a := h.ask(http.MethodGet, "/api/iot/firmware", token, nil, "Range", fmt.Sprintf("bytes=%d-", len(begin)))
	if a.StatusCode != http.StatusRequestedRangeNotSatisfiable || len(a.body) > 0 || !strings.HasPrefix(a.Header.Get("Content-Range"), "bytes */") {
		t.Errorf("the rest is answered %d with %d bytes, %v", a.StatusCode, len(a.body), a.Header)
	}
	a = h.ask(http.MethodGet, "/api/iot/firmware", token, nil)
	if v := a.Header.Get("X-Firmware-Version"); v != "1.0.0" || a.StatusCode != http.StatusOK {
		t.Errorf("the device starts over with %q, %d", v, a.StatusCode)
	}
	if m := h.members()[key]; m.State != fleet.MemberWaiting {
		t.Errorf("the device is %s", m.State)
	}
}

// TestADeviceThatHasTheBuildAndRunsTheOldOneIsNotUp is hawkBit #3185 and #446: "installed" is said while the old image runs.
func TestADeviceThatHasTheBuildAndRunsTheOldOneIsNotUp(t *testing.T) {
	h := newHall(t, 10, quick, "rollout.up_within=2s")
	h.speed = 300
	key := h.devices[0].Key
	h.play(h.devices[1:])
	token := h.deviceToken(key)
	says := func(version, boot string) string {
		got, _ := h.ask(http.MethodGet, "/api/iot/firmware-version", token, nil, "X-Running-Version", version, "X-Boot-ID", boot).json(t)["firmware_version"].(string)
		return got
	}
	says("1.0.0", "0000000000000001")
	h.awaitHeard(9)
	h.begin("--first", key)
	h.awaitThat("the device is offered the build", func(api.Rollout) bool { return says("1.0.0", "0000000000000001") == "1.1.0" })
	h.ask(http.MethodGet, "/api/iot/firmware", token, nil)
	h.within(0, "it has the build", func() bool { return h.members()[key].State == fleet.MemberFetched })
	for range 20 { // it runs on with the old image
		says("1.0.0", "0000000000000001")
		if m := h.members()[key]; m.State != fleet.MemberFetched || !m.UpAt.IsZero() {
			t.Fatalf("a device that says that it runs the old image is %+v", m)
		}
	}
	says("1.1.0", "0000000000000002")
	h.within(0, "it is up when it says so", func() bool { return h.members()[key].UpBy == fleet.UpSaid })
}
