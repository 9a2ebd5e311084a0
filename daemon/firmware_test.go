package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/testdata/firmware"
)

const uploadAddress = "/api/pipeline/models/pump/firmware"

// repack writes a bundle anew; change sees every file and says what it becomes, nil leaves it out.
func repack(t *testing.T, bundle []byte, change func(name string, body []byte) []byte, extra ...string) []byte {
	t.Helper()
	in, err := zip.NewReader(bytes.NewReader(bundle), int64(len(bundle)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	add := func(name string, body []byte) {
		f, err := w.Create(name)
		if err == nil {
			_, err = f.Write(body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range in.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if body = change(f.Name, body); body != nil {
			add(f.Name, body)
		}
	}
	for _, name := range extra {
		add(name, []byte("extra"))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func imageOf(t testing.TB, bundle []byte, code string) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(bundle), int64(len(bundle)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := z.Open(code + ".bin")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestAPushedBundleIsStoredAsItIsAndOffered(t *testing.T) {
	g := startGateway(t)
	g.cli("model", "add", "pump")
	pipeline := g.operatorToken("pipeline")
	for n, push := range []struct {
		version string
		body    func(bundle []byte) (io.Reader, string)
	}{
		{"1.0.0", func(b []byte) (io.Reader, string) { return bytes.NewReader(b), "text/plain" }}, // the content decides
		{"1.1.0", func(b []byte) (io.Reader, string) {
			var form bytes.Buffer
			w := multipart.NewWriter(&form)
			_ = w.WriteField("note", "first a field")
			part, _ := w.CreateFormFile("firmware", "x.bin")
			_, _ = part.Write(b)
			_ = w.Close()
			return &form, w.FormDataContentType()
		}},
	} {
		bundle := bundleOf(t, "pump", push.version)
		body, kind := push.body(bundle)
		a := g.ask("POST", uploadAddress, pipeline, body, "Content-Type", kind)
		if a.StatusCode != http.StatusOK || a.json(t)["firmware_version"] != push.version || a.json(t)["code"] != "pump" || a.json(t)["changed"] != true {
			t.Fatalf("push %d: %s %s", n, a.Status, a.body)
		}
		stored, err := os.ReadFile(filepath.Join(g.state, "assets", "pump", "firmware-"+push.version+".zip"))
		if err != nil || !bytes.Equal(stored, bundle) {
			t.Errorf("the stored ZIP differs: %v", err)
		}
		flat, err := os.ReadFile(filepath.Join(g.state, "assets", "firmware-pump.bin"))
		if err != nil || !bytes.Equal(flat, imageOf(t, bundle, "pump")) {
			t.Errorf("the flat file is not the image: %v", err)
		}
		v := g.ask("GET", "/api/pipeline/models/pump/firmware-version", pipeline, nil)
		if v.json(t)["firmware_version"] != push.version {
			t.Errorf("version %s", v.body)
		}
	}
	metrics := string(g.ask("GET", "/metrics", "", nil).body)
	if !strings.Contains(metrics, `slipway_operations_total{operation="pipeline_upload_firmware_zip",status="success"} 2`) {
		t.Error("the two pushes are not counted")
	}
}

func TestABundleThatCannotBeTakenSaysWhy(t *testing.T) {
	g := startGateway(t)
	g.cli("model", "add", "pump")
	pipeline := g.operatorToken("pipeline")
	good := bundleOf(t, "pump", "1.0.0")
	keep := func(_ string, b []byte) []byte { return b }
	without := func(left string) []byte {
		return repack(t, good, func(name string, b []byte) []byte {
			if name == left {
				return nil
			}
			return b
		})
	}
	image := func(change func([]byte) []byte) []byte {
		return repack(t, good, func(name string, b []byte) []byte {
			if name == "pump.bin" {
				return change(b)
			}
			return b
		})
	}
	version := func(text string) []byte { // in the descriptor
		return image(func(b []byte) []byte {
			copy(b[0x30:0x50], make([]byte, 32))
			copy(b[0x30:0x50], text)
			return b
		})
	}
	tests := map[string]struct {
		body   []byte
		status int
		says   string
	}{
		"an extra entry":              {repack(t, good, keep, "notes.txt"), 400, "notes.txt"},
		"a wrong magic":               {image(func(b []byte) []byte { b[0] = 0x7f; return b }), 400, "pump.bin"},
		"too short":                   {image(func(b []byte) []byte { return b[:100] }), 400, "pump.bin"},
		"an empty version":            {version(""), 400, "version"},
		"a version that is not UTF-8": {version("\xff\xfe"), 400, "version"},
		"a version that climbs":       {version("../../x"), 400, "version"},
		"empty":                       {nil, 400, "empty"},
		"no firmware at all":          {[]byte("hello"), 400, "image"},
	}
	for _, name := range []string{"pump.bin", "pump.elf", "pump.map", "sdkconfig", "version.json"} {
		tests["without "+name] = struct {
			body   []byte
			status int
			says   string
		}{without(name), 400, name}
	}
	for name, test := range tests {
		a := g.ask("POST", uploadAddress, pipeline, bytes.NewReader(test.body))
		if a.StatusCode != test.status || !strings.Contains(string(a.body), test.says) {
			t.Errorf("%s: %s %s", name, a.Status, a.body)
		}
	}
	if a := g.ask("POST", "/api/pipeline/models/fan/firmware", pipeline, bytes.NewReader(good)); a.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown model: %s %s", a.Status, a.body)
	}
	if a := g.ask("POST", uploadAddress, "", bytes.NewReader(good)); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("no token: %s", a.Status)
	}
	if a := g.ask("POST", uploadAddress, g.operatorToken("viewer"), bytes.NewReader(good)); a.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer: %s", a.Status)
	}
	if left := filesIn(t, filepath.Join(g.state, "assets"), ""); len(left) != 0 {
		t.Errorf("left in assets: %v", left)
	}
}

func TestTheSameVersionWithOtherBytesIsRefusedUnlessItReplaces(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	g.cli("model", "add", "pump")
	pipeline := g.operatorToken("pipeline")
	first := bundleOf(t, "pump", "1.0.0")
	other, err := firmware.Build{Code: "pump", Version: "1.0.0", Base: "1.1.0"}.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	push := func(query string, body []byte) answer {
		return g.ask("POST", uploadAddress+query, pipeline, bytes.NewReader(body))
	}
	replace := func(role string) answer {
		return g.ask("POST", uploadAddress+"?replace=true", g.operatorToken(role), bytes.NewReader(other))
	}
	push("", first)
	if a := push("", first); a.StatusCode != http.StatusOK || a.json(t)["changed"] != false {
		t.Errorf("the same again: %s %s", a.Status, a.body)
	}
	if a := push("", other); a.StatusCode != http.StatusConflict {
		t.Errorf("other bytes: %s %s", a.Status, a.body)
	}
	device := g.addDevice("pump")
	token := g.deviceToken(device.Key)
	before := g.ask("GET", "/api/iot/firmware", token, nil)
	if a := replace("pipeline"); a.StatusCode != http.StatusForbidden || !strings.Contains(string(a.body), "raise the version, use an operator's token, or run slipway firmware add --replace") {
		t.Errorf("replaced by a pipeline: %s %s", a.Status, a.body)
	}
	if again := g.ask("GET", "/api/iot/firmware", token, nil); !bytes.Equal(again.body, before.body) {
		t.Error("a pipeline's token replaced a build")
	}
	if a := replace("operator"); a.StatusCode != http.StatusOK || a.json(t)["changed"] != true {
		t.Errorf("replaced: %s %s", a.Status, a.body)
	}
	after := g.ask("GET", "/api/iot/firmware", token, nil)
	if before.Header.Get("ETag") == after.Header.Get("ETag") || !bytes.Equal(after.body, imageOf(t, other, "pump")) {
		t.Error("the replaced build is served under the old ETag, or not at all")
	}
}

func TestADeviceDownloadsResumesAndIsToldTheTruth(t *testing.T) {
	g := startGateway(t)
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	token := g.deviceToken(device.Key)
	const address = "/api/iot/firmware"
	if a := g.ask("GET", address, token, nil); a.StatusCode != http.StatusNotFound {
		t.Errorf("before any firmware: %s", a.Status)
	}
	if a := g.ask("GET", "/api/iot/firmware-version", token, nil); string(bytes.TrimSpace(a.body)) != `{"firmware_version":null}` {
		t.Errorf("before any firmware: %s", a.body)
	}
	pipeline := g.operatorToken("pipeline")
	bundle := bundleOf(t, "pump", "1.0.0")
	image := imageOf(t, bundle, "pump")
	g.ask("POST", uploadAddress, pipeline, bytes.NewReader(bundle))

	whole := g.ask("GET", address, token, nil)
	etag := whole.Header.Get("ETag")
	if whole.StatusCode != http.StatusOK || !bytes.Equal(whole.body, image) || whole.Header.Get("X-Firmware-Version") != "1.0.0" || etag == "" {
		t.Fatalf("download: %s, %d bytes, %v", whole.Status, len(whole.body), whole.Header)
	}
	size := len(image)
	for name, test := range map[string]struct {
		method string
		header []string
		status int
		body   []byte
	}{
		"HEAD":                       {"HEAD", nil, 200, nil},
		"a range":                    {"GET", []string{"Range", "bytes=100-199"}, 206, image[100:200]},
		"from the start":             {"GET", []string{"Range", "bytes=0-"}, 206, image},
		"from the middle":            {"GET", []string{"Range", fmt.Sprintf("bytes=%d-", size/2)}, 206, image[size/2:]},
		"one past the end":           {"GET", []string{"Range", fmt.Sprintf("bytes=%d-%d", size-10, size)}, 206, image[size-10:]},
		"behind the end":             {"GET", []string{"Range", fmt.Sprintf("bytes=%d-", size)}, 416, nil},
		"the same ETag":              {"GET", []string{"If-None-Match", etag}, 304, nil},
		"another ETag":               {"GET", []string{"If-None-Match", `"other"`}, 200, image},
		"If-Range that holds":        {"GET", []string{"Range", "bytes=5-9", "If-Range", etag}, 206, image[5:10]},
		"If-Range that does not":     {"GET", []string{"Range", "bytes=5-9", "If-Range", `"other"`}, 200, image},
		"a method that is not there": {"PUT", nil, 405, nil},
	} {
		a := g.ask(test.method, address, token, nil, test.header...)
		if a.StatusCode != test.status || test.body != nil && !bytes.Equal(a.body, test.body) {
			t.Errorf("%s: %s, %d bytes", name, a.Status, len(a.body))
		}
		if a.StatusCode != http.StatusNotModified && a.ContentLength < 0 {
			t.Errorf("%s: no Content-Length", name)
		}
		if test.status == 416 && a.Header.Get("Content-Range") != fmt.Sprintf("bytes */%d", size) {
			t.Errorf("%s: Content-Range %q", name, a.Header.Get("Content-Range"))
		}
	}
	if a := g.ask("GET", address+"/1.0.0", token, nil); a.StatusCode != http.StatusOK || !bytes.Equal(a.body, image) {
		t.Errorf("by version: %s", a.Status)
	}

	// A plain image replaces what is offered, and nothing of the build.
	plain, err := firmware.Build{Code: "pump", Version: "1.5.0"}.Image()
	if err != nil {
		t.Fatal(err)
	}
	if a := g.ask("POST", uploadAddress, pipeline, bytes.NewReader(plain)); a.StatusCode != http.StatusOK || a.json(t)["kind"] != "image" {
		t.Fatalf("plain image: %s %s", a.Status, a.body)
	}
	if a := g.ask("GET", address, token, nil); !bytes.Equal(a.body, plain) || a.Header.Get("X-Firmware-Version") != "1.5.0" {
		t.Error("after a plain image of B over a ZIP of A a device does not get B")
	}
	g.restart()
	if a := g.ask("GET", address, token, nil); !bytes.Equal(a.body, plain) {
		t.Error("nor after a restart")
	}
	if a := g.ask("GET", address+"/1.0.0", token, nil); !bytes.Equal(a.body, image) {
		t.Error("the build of A is gone")
	}
	g.cli("firmware", "publish", "pump", "1.0.0")
	if a := g.ask("GET", address, token, nil); !bytes.Equal(a.body, image) {
		t.Error("going back to A by publish does not serve A")
	}
}

func TestTheFixturesAreServedByteForByte(t *testing.T) {
	t.Parallel()
	image := fixture(t, "esp32c3", "app.bin")
	g := startGateway(t)
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	a := g.ask("POST", uploadAddress, g.operatorToken("pipeline"), bytes.NewReader(image))
	if a.StatusCode != http.StatusOK || a.json(t)["firmware_version"] != "v1.0-56-g30082bf-dirty" {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	got := g.ask("GET", "/api/iot/firmware", g.deviceToken(device.Key), nil)
	if sha256.Sum256(got.body) != sha256.Sum256(image) {
		t.Error("the download differs")
	}
}

func TestAResumedDownloadNeverMixesTwoBuilds(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	token, pipeline := g.deviceToken(device.Key), g.operatorToken("pipeline")
	images := map[string][]byte{}
	push := func(version string) {
		bundle := bundleOf(t, "pump", version)
		images[version] = imageOf(t, bundle, "pump")
		if a := g.ask("POST", uploadAddress, pipeline, bytes.NewReader(bundle)); a.StatusCode != http.StatusOK {
			t.Fatalf("push of %s: %s %s", version, a.Status, a.body)
		}
	}
	half := len(imageOf(t, bundleOf(t, "pump", "1.0.0"), "pump")) / 2
	begin := func() {
		g.ask("GET", "/api/iot/firmware", token, nil, "Range", fmt.Sprintf("bytes=0-%d", half-1))
	}
	rest := func() answer {
		return g.ask("GET", "/api/iot/firmware", token, nil, "Range", fmt.Sprintf("bytes=%d-", half))
	}
	goesOnWith := func(when, version string) {
		t.Helper()
		a := rest()
		if a.StatusCode != http.StatusPartialContent || !bytes.Equal(a.body, images[version][half:]) {
			t.Errorf("%s: %s, of version %s", when, a.Status, a.Header.Get("X-Firmware-Version"))
		}
	}
	startsOver := func(when string) {
		t.Helper()
		if a := rest(); a.StatusCode != http.StatusRequestedRangeNotSatisfiable || a.ContentLength != 0 {
			t.Errorf("%s: %s, of version %s", when, a.Status, a.Header.Get("X-Firmware-Version"))
		}
	}
	push("1.0.0")
	startsOver("without a beginning")
	begin()
	push("1.1.0")
	goesOnWith("after another build was published", "1.0.0")
	g.kill()
	g.restart()
	goesOnWith("after the gateway was killed", "1.0.0")
	g.cli("firmware", "rm", "pump", "1.0.0", "--yes")
	startsOver("after its build was removed")
	begin()
	push("1.2.0")
	g.cli("device", "set", device.Key, "--pin", "1.1.0")
	startsOver("after it was pinned, to the same build even")
	if a := g.ask("GET", "/api/iot/firmware-version", token, nil); a.json(t)["firmware_version"] != "1.1.0" {
		t.Errorf("pinned: %s", a.body)
	}
	begin()
	goesOnWith("pinned", "1.1.0")
	if out, err := g.tryCLI("firmware", "rm", "pump", "1.1.0", "--yes"); err == nil || !strings.Contains(out, "is pinned to version 1.1.0") {
		t.Errorf("removing it: %v %s", err, out)
	}
	g.cli("device", "set", device.Key, "--unpin")
	begin()
	goesOnWith("let go", "1.2.0")
}
