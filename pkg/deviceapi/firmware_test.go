package deviceapi

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestFirmwareIsServedAsDownloadersAsk(t *testing.T) {
	r := open(t, nil)
	current := bytes.Repeat([]byte("1.1 "), 5000)
	older := bytes.Repeat([]byte("1.0 "), 5000)
	for _, c := range []struct {
		path, header string
		status       int
		body         []byte
	}{
		{"/api/iot/firmware", "X: none", 200, current},
		{"/api/iot/firmware/1.1", "X: none", 200, current},
		{"/api/iot/firmware/1.0", "X: none", 200, older},
		{"/api/iot/firmware", "Range: bytes=0-", 206, current},
		{"/api/iot/firmware", "Range: bytes=0-0", 206, current[:1]},
		{"/api/iot/firmware", "Range: bytes=19000-20000", 206, current[19000:]},
		{"/api/iot/firmware", "Range: bytes=20000-", 416, nil},
		{"/api/iot/firmware", "Range: bytes=20000-20000", 416, nil},
		{"/api/iot/firmware", `If-None-Match: "of-1.1"`, 304, nil},
		{"/api/iot/firmware", `If-None-Match: "of-1.0"`, 200, current},
		{"/api/iot/firmware", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT", 200, current},
		{"/api/iot/firmware/2.0", "X: none", 404, nil},
		{"/api/iot/firmware/..%2fpump-1.0", "X: none", 404, nil},
		{"/api/iot/firmware/", "X: none", 404, nil},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			got := r.do(t, method, c.path, nil, pumpsToken, c.header)
			if got.status != c.status {
				t.Errorf("%s %s %s: %d, want %d", method, c.path, c.header, got.status, c.status)
				continue
			}
			if c.body != nil && (got.length != int64(len(c.body)) || method == "GET" && !bytes.Equal(got.body, c.body)) {
				t.Errorf("%s %s %s: %d bytes, length %d", method, c.path, c.header, len(got.body), got.length)
			}
			if c.body != nil {
				h := got.header
				version := strings.Fields(string(c.body[:min(4, len(c.body))]) + " 1.1")[0]
				if c.status == 200 && (h.Get("X-Firmware-Version") != version || h.Get("ETag") != `"of-`+version+`"`) ||
					h.Get("Content-Type") != "application/octet-stream" || h.Get("Last-Modified") != "" || strings.Contains(h.Get("Cache-Control"), "immutable") {
					t.Errorf("%s %s %s: %v", method, c.path, c.header, h)
				}
			}
			if c.status == 416 && (got.header.Get("Content-Range") != "bytes */20000" || got.length != 0 || len(got.body) > 0) {
				t.Errorf("%s %s %s: %v, %q", method, c.path, c.header, got.header, got.body) // its body is taken for the image
			}
		}
	}
}

func TestWithoutFirmwareThereIsNoneAndNoVersion(t *testing.T) {
	r := open(t, nil)
	if got := r.do(t, "GET", "/api/iot/firmware", nil, emptysToken); got.status != 404 || got.member(t, "code") != "no_firmware" {
		t.Errorf("%d %s", got.status, got.body)
	}
	for token, want := range map[string]string{emptysToken: `{"firmware_version":null}`, pumpsToken: `{"firmware_version":"1.1"}`} {
		if got := r.do(t, "GET", "/api/iot/firmware-version", nil, token); strings.TrimSpace(string(got.body)) != want || got.status != 200 {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	r.models["pump"] = fleet.Model{Code: "pump", FirmwareVersion: "9"}
	if got := r.do(t, "GET", "/api/iot/firmware", nil, pumpsToken); got.status != 404 {
		t.Errorf("a version without its file: %d", got.status)
	}
}

func TestHTTP10ClientsGetALengthOnEveryRoute(t *testing.T) {
	r := open(t, nil)
	for _, route := range deviceRoutes {
		body := ""
		if strings.HasPrefix(route, "POST") {
			body = "dump"
		}
		for _, credentials := range []string{pumpsToken, "X: none"} {
			answer := r.raw(t, fmt.Sprintf("%s HTTP/1.0\r\n%s\r\nContent-Length: %d\r\n\r\n%s", route, credentials, len(body), body))
			head, rest, _ := strings.Cut(answer, "\r\n\r\n")
			length := fmt.Sprintf("Content-Length: %d\r\n", len(rest))
			if strings.HasPrefix(route, "HEAD") {
				length = "Content-Length: "
			}
			if !strings.Contains(head+"\r\n", length) || strings.Contains(head, "chunked") {
				t.Errorf("%s: %s", route, head)
			}
			for line := range strings.SplitSeq(head, "\r\n") {
				if len(line) >= 512 {
					t.Errorf("%s: a header line of %d bytes", route, len(line))
				}
			}
		}
	}
}

func BenchmarkAVersionPoll(b *testing.B) {
	r := open(b, nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if got := r.do(b, "GET", "/api/iot/firmware-version", nil, pumpsToken); got.status != 200 {
				b.Errorf("status %d", got.status)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "polls/s")
}
