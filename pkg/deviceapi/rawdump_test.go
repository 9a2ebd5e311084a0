package deviceapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

const rawPath = "/api/iot/coredump/raw"

// form is a dump as esp-crash sends it; before it are fields that nobody asks for.
func form(t testing.TB, field string, dump []byte, before int) (body *bytes.Buffer, contentType string) {
	t.Helper()
	body = &bytes.Buffer{}
	w := multipart.NewWriter(body)
	for i := range before {
		if err := w.WriteField(fmt.Sprint("field", i), "x"); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile(field, "crash.dmp")
	if err == nil {
		_, err = part.Write(dump)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return body, "Content-Type: " + w.FormDataContentType()
}

// partition is a dump as it lies in flash: erased behind its end.
func partition() []byte {
	return append(bytes.Repeat([]byte{7, 0, 0xff, '\r', '\n'}, 2000), bytes.Repeat([]byte{0xff}, 50_000)...)
}

func TestADumpOfWhichNothingIsDeclaredIsStoredAsItWasSent(t *testing.T) {
	dump := partition()
	body, contentType := form(t, formField, dump, 3)
	for name, c := range map[string]struct {
		body   []byte
		header string
	}{
		"the image in flash":      {dump, "Content-Type: application/octet-stream"},
		"without a type":          {dump, "X: none"},
		"a form":                  {body.Bytes(), contentType},
		"a form with bare fields": {bytes.ReplaceAll(body.Bytes(), []byte("\r\nContent-Type: application/octet-stream"), nil), contentType},
	} {
		r := open(t, nil)
		for _, auth := range []string{pumpsToken, basic("iotdevice-pump-aaaaaaa1", "old secret")} {
			got := r.do(t, "POST", rawPath, bytes.NewReader(c.body), auth, c.header)
			if got.status != 200 || strings.TrimSpace(string(got.body)) != `{"status":"ok","filename":"coredump_20260102T030405_000678Z.dmp"}` {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
		}
		for i, d := range r.dumps {
			if d.Device != "aaaaaaa1" || d.Chip != "" || d.FirmwareVersion != "" || !bytes.Equal(r.bodies[i], dump) {
				t.Errorf("%s: stored %+v, %d bytes", name, d, len(r.bodies[i]))
			}
		}
		if len(r.dumps) != 2 {
			t.Errorf("%s: %d dumps", name, len(r.dumps))
		}
	}
}

func TestAFormIsBoundedAndACutOneIsNoDump(t *testing.T) {
	largest, contentType := form(t, formField, make([]byte, 1<<20), 0)
	larger, largerType := form(t, formField, make([]byte, 1<<20+1), 0)
	huge, hugeType := form(t, formField, make([]byte, 2<<20), 0)
	other, otherType := form(t, "upfile", []byte("dump"), 0)
	late, lateType := form(t, formField, []byte("dump"), mostParts)
	empty, emptyType := form(t, formField, nil, 0)
	for name, c := range map[string]struct {
		body   io.Reader
		header string
		want   int
	}{
		"the largest":            {bytes.NewReader(largest.Bytes()), contentType, 200},
		"the largest, unsized":   {struct{ io.Reader }{bytes.NewReader(largest.Bytes())}, contentType, 200},
		"a byte more":            {larger, largerType, 400},
		"far more":               {bytes.NewReader(huge.Bytes()), hugeType, 400},
		"far more, unsized":      {struct{ io.Reader }{bytes.NewReader(huge.Bytes())}, hugeType, 400},
		"another field":          {other, otherType, 400},
		"behind too many fields": {late, lateType, 400},
		"an empty field":         {empty, emptyType, 400},
		"no form at all":         {strings.NewReader("dump"), contentType, 400},
		"nothing":                {strings.NewReader(""), contentType, 400},
		"nothing, bare":          {strings.NewReader(""), "X: none", 400},
		"too large, bare":        {bytes.NewReader(make([]byte, 1<<20+1)), "X: none", 400},
	} {
		r := open(t, nil)
		if got := r.do(t, "POST", rawPath, c.body, pumpsToken, c.header); got.status != c.want || (len(r.dumps) == 1) != (c.want == 200) {
			t.Errorf("%s: %d %s, want %d; %d dumps", name, got.status, got.body, c.want, len(r.dumps))
		}
	}
	for _, cut := range []int{1, 30, largest.Len() / 2, largest.Len() - 70} {
		r := open(t, nil)
		got := r.do(t, "POST", rawPath, bytes.NewReader(largest.Bytes()[:cut]), pumpsToken, contentType)
		if got.status < 400 || len(r.dumps) != 0 {
			t.Errorf("cut at %d: %d, %d dumps", cut, got.status, len(r.dumps))
		}
	}
}

// TestASenderThatErasesForAnyStatusUnder500KeepsWhatCouldBeTakenLater: esp-crash does.
func TestASenderThatErasesForAnyStatusUnder500KeepsWhatCouldBeTakenLater(t *testing.T) {
	body, contentType := form(t, formField, []byte("dump"), 0)
	send := func(r *rig, headers ...string) reply {
		return r.do(t, "POST", rawPath, bytes.NewReader(body.Bytes()), append(headers, contentType)...)
	}
	for name, c := range map[string]struct {
		settle func(*Options)
		fail   error
		header string
		want   int
	}{
		"a wrong secret":        {nil, nil, basic("iotdevice-pump-aaaaaaa1", "wrong"), 503},
		"a token that is over":  {nil, nil, "Authorization: Bearer forged", 503},
		"nothing shown at all":  {nil, nil, "X: none", 401}, // it is to be asked for it
		"too many dumps":        {func(o *Options) { o.Uploads = Pace{} }, nil, pumpsToken, 503},
		"no room":               {nil, fleet.Full("no room"), pumpsToken, 507},
		"what is never taken":   {func(o *Options) { o.MaxDump = 3 }, nil, pumpsToken, 200},
		"a gateway without any": {func(o *Options) { o.Dumps = nil }, nil, pumpsToken, 400},
	} {
		r := open(t, c.settle)
		r.failing = c.fail
		got := send(r, c.header)
		if got.status != c.want || got.status == 503 && (got.header.Get("Retry-After") == "" || got.header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: %d %v, want %d", name, got.status, got.header, c.want)
		}
	}
	// ESP-ADF's takes nothing but 200 for taken, and is told what it is.
	r := open(t, func(o *Options) { o.Uploads = Pace{} })
	if got := r.do(t, "POST", rawPath, strings.NewReader("dump"), pumpsToken); got.status != 429 {
		t.Errorf("too many, bare: %d", got.status)
	}
}

// FuzzFormsWithADump: a dump that is found in a form is bytes of that form, and a form that is cut before its end has none.
func FuzzFormsWithADump(f *testing.F) {
	body, contentType := form(f, formField, partition()[:500], 2)
	_, boundary, _ := strings.Cut(contentType, "boundary=")
	f.Add(body.Bytes(), boundary)
	f.Add([]byte("--x\r\nContent-Disposition: form-data; name=file\r\n\r\ndump\r\n--x--"), "x")
	f.Add([]byte("--x\r\n\r\n--x\r\n\r\n--x--"), "x")
	f.Fuzz(func(t *testing.T, body []byte, boundary string) {
		dump, err := dumpIn(bytes.NewReader(body), boundary)
		if (err == nil) == (dump == nil) {
			t.Fatalf("%v and %v", dump, err)
		}
		if err != nil {
			return
		}
		read, err := io.ReadAll(dump)
		if !bytes.Contains(body, read) {
			t.Errorf("%q is no part of %q", read, body)
		}
		if err == nil && !bytes.Contains(body[:max(0, len(body))], []byte(boundary)) {
			t.Errorf("whole without its boundary %q: %q", boundary, body)
		}
	})
}
