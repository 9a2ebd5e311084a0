package deviceapi

import (
	"crypto/md5"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
)

// sumOf is the MD5 of the image that memory has of a version.
func sumOf(r *rig, t *testing.T, v string) string {
	t.Helper()
	whole := r.do(t, http.MethodGet, "/api/iot/firmware/"+v, nil, pumpsToken)
	sum := md5.Sum(whole.body)
	return hex.EncodeToString(sum[:])
}

func TestASketchThatIsTheImageIsToldSoAndAnyOtherGetsItWithItsMD5(t *testing.T) {
	r := open(t, nil)
	sum := sumOf(r, t, "1.1")
	sha := strings.Repeat("0123456789ABCDEF", 4) // what memory says of 1.1, in HTTPUpdate's capitals
	mode := "x-ESP32-mode: sketch"
	for name, c := range map[string]struct {
		path   string
		header []string
		status int
	}{
		"its version":                       {"/api/iot/firmware", []string{mode, "x-ESP32-version: 1.1"}, 304},
		"Tasmota's version":                 {"/api/iot/firmware", []string{mode, "x-ESP32-version: 1.1(tasmota32)"}, 304},
		"its MD5":                           {"/api/iot/firmware", []string{mode, "x-ESP32-sketch-md5: " + sum}, 304},
		"its MD5, and another version":      {"/api/iot/firmware", []string{mode, "x-ESP32-sketch-md5: " + sum, "x-ESP32-version: mine"}, 304},
		"its SHA-256":                       {"/api/iot/firmware", []string{mode, "x-ESP32-sketch-sha256: " + sha}, 304},
		"an ESP8266's spelling":             {"/api/iot/firmware", []string{"x-ESP8266-mode: sketch", "x-ESP8266-sketch-md5: " + sum}, 304},
		"an address that names the build":   {"/api/iot/firmware/1.1", []string{mode, "x-ESP32-version: 1.1"}, 304},
		"another version":                   {"/api/iot/firmware", []string{mode, "x-ESP32-version: 1.0"}, 200},
		"a version that begins like it":     {"/api/iot/firmware", []string{mode, "x-ESP32-version: 1"}, 200},
		"another image":                     {"/api/iot/firmware", []string{mode, "x-ESP32-sketch-md5: " + strings.Repeat("0", 32)}, 200},
		"nothing":                           {"/api/iot/firmware", []string{mode}, 200},
		"another build than at the address": {"/api/iot/firmware/1.0", []string{mode, "x-ESP32-version: 1.1"}, 200},
		"a file system":                     {"/api/iot/firmware", []string{"x-ESP32-mode: spiffs", "x-ESP32-version: 1.1"}, 404},
		"a file system of an ESP8266":       {"/api/iot/firmware/1.1", []string{"x-ESP8266-mode: spiffs"}, 404},
	} {
		got := r.do(t, http.MethodGet, c.path, nil, append(c.header, pumpsToken)...)
		if got.status != c.status {
			t.Errorf("%s: %d, want %d", name, got.status, c.status)
		}
		want := ""
		if c.status == http.StatusOK {
			want = sumOf(r, t, got.header.Get("X-Firmware-Version"))
		}
		if md5 := got.header.Get("x-MD5"); md5 != want {
			t.Errorf("%s: x-MD5 %q, want %q", name, md5, want)
		}
		if c.status == http.StatusNotModified && len(got.body)+max(int(got.length), 0) > 0 {
			t.Errorf("%s: a 304 with a body", name)
		}
	}
}

func TestAClientThatIsNoSketchIsNotSentASketchsAnswers(t *testing.T) {
	r := open(t, nil)
	got := r.do(t, http.MethodGet, "/api/iot/firmware", nil, pumpsToken, "X-Running-Version: 1.1")
	if got.status != http.StatusOK || got.header.Get("x-MD5") != "" {
		t.Errorf("%d, x-MD5 %q", got.status, got.header.Get("x-MD5"))
	}
	got = r.do(t, http.MethodGet, "/api/iot/firmware", nil, pumpsToken, "x-ESP32-mode: sketch", "x-ESP32-version: 1.1", "Range: bytes=0-1023")
	if got.status != http.StatusPartialContent {
		t.Errorf("a range: %d", got.status)
	}
}

func TestASketchThatHasTheImageIsNoDownload(t *testing.T) {
	r := open(t, nil)
	for range 3 {
		r.do(t, http.MethodGet, "/api/iot/firmware", nil, pumpsToken, "x-ESP32-mode: sketch", "x-ESP32-version: 1.1")
	}
	if r.noted != 0 {
		t.Errorf("%d times it was noted that an image is sent", r.noted)
	}
	for _, s := range r.asked() {
		if s.Transfer != nil && !s.Transfer.NotModified {
			t.Errorf("seen as %+v", s.Transfer)
		}
	}
}
