package page

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	sample "github.com/slipway-gateway/slipway/testdata/firmware"
)

const (
	frontier    = "frontier" // between the parts of a form with a file
	uploadRoute = "POST /models/{code}/upload"
	inboxRoute  = "POST /drop/upload"

	publishRoute = "POST /models/{code}/builds/{version}/publish"
)

// uploaded is a form with fields, name and value in turn, and then a file.
func uploaded(name, file string, fields ...string) string {
	var b strings.Builder
	for i := 0; i < len(fields); i += 2 {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", frontier, fields[i], fields[i+1])
	}
	fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\nContent-Type: application/octet-stream\r\n\r\n%s\r\n--%s--\r\n", frontier, name, file, frontier)
	return b.String()
}

// built is a bundle of the model winch.
func built(version, base string) string { return builtOf("winch", version, base) }

func builtOf(code, version, base string) string {
	zip, err := sample.Build{Code: code, Version: version, Base: base}.Bundle()
	if err != nil {
		panic(err)
	}
	return string(zip)
}

// winch has the model with devices winch001 and so on, and the builds 1.0.0 and 1.1.0, which is published.
func winch(t *testing.T, devices int) (d *desk, cookie string) {
	t.Helper()
	d = open(t)
	d.must(d.store.AddModel(t.Context(), fleet.Model{Code: "winch"}))
	for n := range devices {
		d.must(d.store.AddDevice(t.Context(), fleet.Device{Key: fleet.DeviceKey(fmt.Sprintf("winch%03d", n+1)), Model: "winch"}, auth.DeviceSecrets{}))
	}
	cookie = d.signIn(auth.Operator)
	for _, zip := range []string{built("1.0.0", ""), built("1.1.0", "1.1.0")} {
		if a := d.act(cookie, "/models/winch/upload", uploaded("x.zip", zip)); a.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s\n%s", a.Status, a.body)
		}
	}
	return d, cookie
}

func (d *desk) act(cookie, path, form string) answer {
	d.t.Helper()
	return d.ask(http.MethodPost, path, form, "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
}

// see reads a view as who is signed in.
func (d *desk) see(cookie, path string) string {
	d.t.Helper()
	a := d.ask(http.MethodGet, path, "", "Cookie", cookie)
	if a.StatusCode != http.StatusOK {
		d.t.Fatalf("%s: %s\n%s", path, a.Status, a.body)
	}
	return a.body
}

func contains(t *testing.T, at, body string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(body, want) {
			t.Errorf("%s has no %q:\n%s", at, want, body)
		}
	}
}

func TestAnUploadThatIsRefusedSaysWhyAndHowItIsMendedWhereItWasSent(t *testing.T) {
	d, cookie := winch(t, 0)
	for form, want := range map[string][]string{
		uploaded("other.zip", built("1.1.0", "1.0.0")):           {"409", "other.zip was refused:", "is stored with another image or ELF", "tick “Replace the build of the same version”"},
		uploaded("<b>.bin", "no firmware"):                       {"400", "&lt;b&gt;.bin was refused:", "Nothing was stored"},
		uploaded("large.bin", strings.Repeat("x", mostUpload+1)): {"400", "the upload is larger than"},
		uploaded("x.zip", built("1.2.0", ""), "version", "../x"): {"400", "Nothing was uploaded:", "want 1 to 32 of letters"},
		uploaded("", ""): {"400", "choose a file"},
		uploaded("x.zip", "x", strings.Split(strings.Repeat("a.", 40), ".")[:40]...): {"400", "they are few"},
		"--" + frontier + "\r\n": {"400", "the form has no file"},
	} {
		a := d.act(cookie, "/models/winch/upload", form)
		contains(t, "a refusal", a.Status+a.body, want...)
		contains(t, "a refusal", a.body, `role="alert"`, `<form class="upload"`, `>1.1.0</a> <span class="tag">published</span>`)
	}
}

func TestAnUploadIsHandedOnBeforeItsEndHasCome(t *testing.T) {
	form := uploaded("x.zip", "the beginning and the end", "then", "store")
	beginning, end, _ := strings.Cut(form, " and the end")
	from, to := io.Pipe()
	handedOn := make(chan struct{})
	go func() {
		_, err := io.WriteString(to, beginning)
		select {
		case <-handedOn:
		case <-time.After(time.Minute):
			err = errors.New("nobody took what had come")
		}
		if err == nil {
			_, err = io.WriteString(to, " and the end"+end)
		}
		to.CloseWithError(err)
	}()
	r := httptest.NewRequest(http.MethodPost, "/models/winch/upload", from)
	r.Header.Set("Content-Type", "multipart/form-data; boundary="+frontier)
	f, err := readUpload(r)
	if err != nil || !f.store || f.name != "x.zip" {
		t.Fatalf("%+v, %v", f, err)
	}
	some := make([]byte, 1)
	if _, err := f.file.Read(some); err != nil || string(some) != "t" {
		t.Errorf("%q, %v", some, err)
	}
	close(handedOn)
	if rest, err := io.ReadAll(f.file); err != nil || string(rest) != "he beginning and the end" {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestAnUploadSaysWhatItWaitsFor(t *testing.T) {
	d, cookie := winch(t, 2)
	said := func(form string) string {
		t.Helper()
		a := d.act(cookie, "/models/winch/upload", form)
		if a.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s\n%s", a.Status, a.body)
		}
		return d.see(cookie+"; "+cookieIn(a, saidCookie), a.Header.Get("Location"))
	}
	contains(t, "automatic", d.see(cookie, "/models/winch"), "It is published at once: 2 devices are offered it")
	d.gateway.settings = []Setting{{"firmware.publish", "manual", "default"}}
	contains(t, "manual", d.see(cookie, "/models/winch"), "published by a person (firmware.publish: manual)")
	d.gateway.settings = []Setting{{"firmware.publish", "rollout", "default"}}
	contains(t, "rollout", d.see(cookie, "/models/winch"), "A rollout brings it to devices in waves")
	contains(t, "stored", said(uploaded("x.zip", built("1.2.0", ""), "then", "store")), "winch 1.2.0 is stored, and not published.")

	d.rollouts.all = []fleet.Rollout{{Number: 3, Model: "winch", Version: "1.2.0", Base: "1.1.0", State: fleet.RolloutRunning}}
	d.held = "a rollout brings it"
	contains(t, "held", said(uploaded("x.zip", built("1.3.0", ""))), "Devices are not offered it: rollout 3 of 1.2.0 is under way", "not published: a rollout brings it")
	d.rollouts.all[0].Version = "1.4.0"
	contains(t, "brought", said(uploaded("x.zip", built("1.4.0", ""))), "Rollout 3 brings it to devices in waves")
	d.rollouts.all = nil
	contains(t, "waits", said(uploaded("x.zip", built("1.5.0", ""))), "until somebody publishes it")
}

func TestABuildsPageSaysWhoWillFetchItAndWhatStaysForGoingBack(t *testing.T) {
	d, cookie := winch(t, 6)
	change := func(key fleet.DeviceKey, how func(*fleet.Device)) {
		t.Helper()
		_, err := d.store.UpdateDevice(t.Context(), key, func(one *fleet.Device) error { how(one); return nil })
		d.must(err)
	}
	change("winch001", func(one *fleet.Device) { one.Revoked = true })
	change("winch002", func(one *fleet.Device) { one.Pin = "1.1.0" })
	change("winch003", func(one *fleet.Device) { one.Pin, one.Revoked = "1.1.0", true })
	body := d.see(cookie, "/models/winch/builds/1.0.0")
	contains(t, "the build", body, "<strong>3 devices will fetch it.</strong>", "1 is pinned to another build and will not.", "2 are revoked and will not.",
		"1.1.0 stays for going back", `<button class="main">Publish 1.0.0 to all</button>`, "slipway firmware publish winch 1.0.0<", "Type 1.0.0 to confirm", "slipway firmware rm winch 1.0.0<")
	contains(t, "the published build", d.see(cookie, "/models/winch/builds/1.1.0"), "It is what devices of winch are offered", "It cannot be removed now. Devices are offered it: publish another build first.")

	change("winch004", func(one *fleet.Device) { one.Pin = "1.0.0" })
	contains(t, "the pinned build", d.see(cookie, "/models/winch/builds/1.0.0"), `<a href="/devices/winch004">winch004</a>`, "1 device is pinned to it: let them go first")
	change("winch004", func(one *fleet.Device) { one.Pin = "" })

	d.rollouts.all = []fleet.Rollout{{Number: 3, Model: "winch", Version: "1.0.0", Base: "1.1.0", State: fleet.RolloutPaused}}
	contains(t, "in a rollout", d.see(cookie, "/models/winch/builds/1.0.0"), `Rollout <a href="/models/winch/rollouts/3">3</a> of 1.0.0 is paused: while it is, nothing is published.`,
		"Halt rollout 3 and publish 1.0.0", "--halt-first", "Rollout 3 needs it, which brings 1.0.0 in place of 1.1.0")
	if a := d.act(cookie, "/models/winch/builds/1.0.0/publish", ""); a.StatusCode != http.StatusConflict {
		t.Errorf("published beside a rollout: %s", a.Status)
	}
	if a := d.act(cookie, "/models/winch/builds/1.0.0/publish", "halt_first=true"); a.StatusCode != http.StatusSeeOther {
		t.Errorf("published in place of a rollout: %s\n%s", a.Status, a.body)
	}
}

func TestARemovalSaysHowManyDumpsCannotBeReadAgain(t *testing.T) {
	d, cookie := winch(t, 1)
	for i := range 3 {
		dump := fleet.Dump{Device: "winch001", Model: "winch", FirmwareVersion: "1.0.0", UploadedAt: noon.Add(time.Duration(-i) * time.Minute)}
		d.must(d.store.RecordDumps(t.Context(), []fleet.Dump{dump}))
		_, err := d.store.RecordCrash(t.Context(), crash.Crash{
			Device: dump.Device, Model: dump.Model, Name: dump.Name(), Uploaded: dump.UploadedAt, State: crash.Reported, Version: "1.0.0",
			Fingerprint: fmt.Sprintf("%016x", i/2), Reason: "abort()", TopFrame: "main.c:1",
		}, 0)
		d.must(err)
	}
	contains(t, "the build", d.see(cookie, "/models/winch/builds/1.0.0"), "3 dumps that are here were read with its symbols", "No device is known to run it.")
	contains(t, "the model", d.see(cookie, "/models/winch"), `data-label="dumps read with it"><a href="/crashes?model=winch&amp;version=1.0.0">3<`, `<a href="/crashes?model=winch&amp;version=1.1.0">0<`)
}

func TestAModelShowsAViewerNoValueAndNoForm(t *testing.T) {
	d, cookie := winch(t, 1)
	if a := d.act(cookie, "/models/winch/provisioning", "values=wifi_password%3Dhunter22"); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s\n%s", a.Status, a.body)
	}
	contains(t, "an operator", d.see(cookie, "/models/winch"), "wifi_password=hunter22")
	for _, path := range []string{"/models", "/models/winch", "/models/winch/builds/1.0.0"} {
		a := d.read(path)
		if strings.Contains(a.body, "hunter22") || strings.Contains(a.body, `action="/models`) || strings.Contains(a.body, "upload.js") {
			t.Errorf("%s shows a viewer what is not for viewers:\n%s", path, a.body)
		}
	}
	contains(t, "a viewer", d.read("/models/winch").body, "<code>wifi_password</code>")
}

func TestADumpThatWaitsForItsFirmwareTakesItsBundle(t *testing.T) {
	d, cookie := winch(t, 1)
	dump := fleet.Dump{Device: "winch001", Model: "winch", FirmwareVersion: "0.9", UploadedAt: noon, Size: 2080}
	d.must(d.store.RecordDumps(t.Context(), []fleet.Dump{dump}))
	_, err := d.store.RecordCrash(t.Context(), crash.Crash{Device: dump.Device, Model: dump.Model, Name: dump.Name(), Uploaded: noon, State: crash.Missing, ELFHash: "7d946a8e8"}, 0)
	d.must(err)
	address := "/dumps/winch001/" + string(dump.Name())
	contains(t, "the dump", d.see(cookie, address), `<a href="#upload">the ELF with the SHA-256 7d946a8e8…</a>`, `name="to" value="`+address+`"`, `name="then" value="store"`, "Type winch001, the key of its device")
	a := d.act(cookie, "/models/winch/upload", uploaded("0.9.zip", built("0.9.0", ""), "to", address, "wants", "7d946a8e8", "then", "store"))
	if a.Header.Get("Location") != address {
		t.Fatalf("%s %s\n%s", a.Status, a.Header.Get("Location"), a.body)
	}
	contains(t, "the dump", d.see(cookie+"; "+cookieIn(a, saidCookie), address), "winch 0.9.0 is stored, and not published.", "and the dump waits for 7d946a8e8…")
	if m, err := d.store.Model("winch"); err != nil || m.FirmwareVersion != "1.1.0" {
		t.Errorf("published %s, %v", m.FirmwareVersion, err)
	}
	contains(t, "the dump", d.see(cookie, address), `<form method="post" action="`+address+`/decode">`)
	d.must(d.store.AskAgain(event.WithActor(t.Context(), event.By{Actor: fleet.Actor{Type: fleet.Person, Name: "Ana"}}), dump.Device, dump.Name()))
	body := d.read(address).body
	contains(t, "the dump", body, "It is decoded again in its turn, as Ana asked")
	if strings.Contains(body, "#upload") || strings.Contains(body, "<form class") || strings.Contains(body, "/decode") {
		t.Errorf("a viewer may upload, or have it decoded again:\n%s", body)
	}
}
