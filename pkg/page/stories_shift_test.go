//go:build browser

package page

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/slipway-gateway/slipway/testdata/tryout/press"
)

// The stories of those who work with the page, by clicks and keys alone.

// line of presses: a gateway with twelve devices on three lines, and 1.0.0 published. Nothing moves but what a story moves.
func startLine(t *testing.T) *linePlant {
	t.Helper()
	p := &linePlant{plant: startPlant(t), secrets: map[string]string{}, builds: map[string]press.Build{}}
	p.viewer = field(p.run("", "token", "create", "--role", "viewer", "--name", "Vera Viewer"), "token")
	p.operator = field(p.run("", "token", "create", "--role", "operator", "--name", "Sira Shift"), "token")
	p.run("", "model", "add", "press", "--name", "Press controller")
	var list strings.Builder
	for n := range 12 {
		fmt.Fprintf(&list, "press,press%03d,,Press %d,hall-%d\n", n+1, n+1, n%3+1)
	}
	p.run(list.String(), "device", "import", "-", "--secrets", p.dir+"/fleet.csv")
	file, err := os.Open(p.dir + "/fleet.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		for i, cell := range row {
			if strings.HasPrefix(cell, "press0") && i+1 < len(row) {
				p.secrets[cell] = row[i+1]
			}
		}
	}
	p.hand("1.0.0")
	return p
}

type linePlant struct {
	*plant
	operator string
	secrets  map[string]string // by device
	builds   map[string]press.Build
}

// know reads a build without handing it in.
func (p *linePlant) know(version string) press.Build {
	p.t.Helper()
	b, err := press.Read(version)
	if err != nil {
		p.t.Fatal(err)
	}
	p.builds[version] = b
	return b
}

// hand hands a build in, which publishes it.
func (p *linePlant) hand(version string) {
	p.t.Helper()
	b := p.know(version)
	zip, err := b.Bundle("press")
	if err != nil {
		p.t.Fatal(err)
	}
	file := filepath.Join(p.dir, version+".zip")
	if err := os.WriteFile(file, zip, 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.run("", "firmware", "add", file)
}

func key(n int) string { return fmt.Sprintf("press%03d", n) }

func (p *linePlant) device(n int, method, path string, body []byte, header ...string) {
	p.t.Helper()
	req, err := http.NewRequest(method, p.url+path, bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.SetBasicAuth("iotdevice-press-"+key(n), p.secrets[key(n)])
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode >= 300 {
		p.t.Fatalf("%s %s of device %d: %s", method, path, n, resp.Status)
	}
}

// crashes has a device upload the first of a build's dumps, and says when it was taken.
func (p *linePlant) crashes(n int, version string) time.Time {
	p.t.Helper()
	p.device(n, http.MethodPost, "/api/iot/coredump?chip=esp32c3&firmware_version="+version, p.firstDump(version))
	return time.Now()
}

// firstDump is of one crash in whatever build of the same program.
func (p *linePlant) firstDump(version string) []byte {
	first := ""
	for name := range p.builds[version].Dumps {
		if first == "" || name < first {
			first = name
		}
	}
	return p.builds[version].Dumps[first]
}

// polls has a device ask which version there is, and say what it runs.
func (p *linePlant) polls(n int, version string) {
	p.device(n, http.MethodGet, "/api/iot/firmware-version", nil, "X-Running-Version", version)
}

// newestCrash is the group that was seen last.
func (p *linePlant) newestCrash() (fingerprint, frame string) {
	var found struct {
		Crashes []struct {
			Fingerprint string
			Frame       string `json:"top_frame"`
		}
	}
	_ = json.Unmarshal([]byte(p.get("/api/crashes?sort=last_seen")), &found)
	if len(found.Crashes) == 0 {
		return "", ""
	}
	return found.Crashes[0].Fingerprint, found.Crashes[0].Frame
}

// press clicks in the middle of what is on the page with a text: a link, a button, what opens something, a box.
func (b *browser) press(text string) {
	b.t.Helper()
	const find = `(() => {
		const all = [...document.querySelectorAll("a, button, summary, label, input[type=checkbox]")].filter((e) => e.checkVisibility() &&
			((e.getAttribute("aria-label") || "") === %[1]s || e.textContent.replace(/\s+/g, " ").trim().includes(%[1]s)));
		const e = all.find((e) => e.textContent.trim() === %[1]s) || all[0];
		if (!e) return [];
		e.scrollIntoView({ block: "center" });
		const r = e.getClientRects()[0];
		return [r.x + r.width / 2, r.y + r.height / 2];
	})()`
	var at []float64
	for deadline := time.Now().Add(patience); len(at) == 0; time.Sleep(100 * time.Millisecond) {
		if at = script[[]float64](b, fmt.Sprintf(find, asJSON(b.t, text))); len(at) == 0 && time.Now().After(deadline) {
			b.t.Fatalf("there is no %q to be pressed on %s:\n%s", text, ask(b, chromedp.Location()), b.text())
		}
	}
	b.do(chromedp.MouseClickXY(at[0], at[1]))
}

func (b *browser) text() string {
	return script[string](b, `((document.querySelector("main") || document.body || {}).innerText || "")`)
}

// sees waits until the page says something, by itself or once it has come.
func (b *browser) sees(texts ...string) {
	b.t.Helper()
	for _, text := range texts {
		said := ""
		for deadline := time.Now().Add(patience); !strings.Contains(said, text); time.Sleep(50 * time.Millisecond) {
			if said = b.text(); !strings.Contains(said, text) && time.Now().After(deadline) {
				b.t.Fatalf("%s does not say %q:\n%s", ask(b, chromedp.Location()), text, said)
			}
		}
	}
	b.fits()
}

// fits fails where something has to be scrolled sideways. A phone makes innerWidth what is too wide: clientWidth stays. Between
// two pages there is a moment without a document.
func (b *browser) fits() {
	b.t.Helper()
	wide := -1.0
	for deadline := time.Now().Add(patience); wide == -1; time.Sleep(50 * time.Millisecond) {
		if wide = script[float64](b, "document.body ? document.documentElement.scrollWidth - document.documentElement.clientWidth : -1"); wide == -1 && time.Now().After(deadline) {
			b.t.Fatal("no document comes")
		}
	}
	if wide > 0 {
		b.t.Errorf("%s is %v pixels too wide", ask(b, chromedp.Location()), wide)
	}
}

func (b *browser) at(end string) {
	b.t.Helper()
	where := ""
	for deadline := time.Now().Add(patience); !strings.HasSuffix(where, end); time.Sleep(100 * time.Millisecond) {
		if where = ask(b, chromedp.Location()); !strings.HasSuffix(where, end) && time.Now().After(deadline) {
			b.t.Fatalf("it is at %s, want …%s", where, end)
		}
	}
}

// seenAt has the page note when it says something first; the function returns it.
func (b *browser) seenAt(text string) func() time.Time {
	script[bool](b, fmt.Sprintf(`(() => { window.seen = 0; const look = () => { if (!window.seen && (document.querySelector("main") || {innerText: ""}).innerText.includes(%s)) window.seen = Date.now(); };
		new MutationObserver(look).observe(document.querySelector("main"), {childList: true, subtree: true, characterData: true}); look(); return true; })()`, asJSON(b.t, text)))
	return func() time.Time {
		b.sees(text)
		return time.UnixMilli(int64(script[float64](b, "window.seen")))
	}
}

func (b *browser) quiet() {
	b.t.Helper()
	said, elsewhere := b.heard()
	if len(said)+len(elsewhere) > 0 {
		b.t.Errorf("the console says %q, and there were requests to %q", said, elsewhere)
	}
}

// halfAMinute is when a page asks again by itself: what it shows earlier, a hint has brought.
const halfAMinute = 25 * time.Second

func TestBrowserAShiftLeadBeginsAtSix(t *testing.T) {
	p := startLine(t)
	for n := 1; n <= 12; n++ {
		p.polls(n, "1.0.0")
	}
	p.crashes(2, "1.0.0")
	var crash, frame string
	p.until("the crash of the night has a report", func() bool { crash, frame = p.newestCrash(); return crash != "" })
	b := startBrowser(t, strings.TrimPrefix(p.url, "http://"))
	b.screen(360, 740, "dark")

	t.Log("a link that was handed over leads through the sign-in to where it should")
	b.do(chromedp.Navigate(p.url+"/devices?line=hall-2"), chromedp.WaitVisible(chromedp.CSS("#token")))
	b.do(chromedp.SendKeys(chromedp.CSS("#token"), p.operator+"\r"))
	b.sees("4 devices", "Press 2")
	b.at("/devices?line=hall-2")

	t.Log("what needs me, and since when is it worse")
	b.press("Now")
	b.sees("Needs somebody", frame)
	if !strings.Contains(strings.ToLower(b.text()), "new crash") {
		t.Errorf("a crash of tonight is not said to be new:\n%s", b.text())
	}
	b.press(frame)
	b.sees("1 crash on 1 device", "First seen", "in 1.0.0", "hall-2: 1")

	t.Log("own frames are readable")
	if n := script[int](b, `[...document.querySelectorAll(".frame.own")].filter((e) => { const r = e.getBoundingClientRect();
		return r.width > 200 && r.right <= innerWidth && e.querySelector(".function").textContent && e.querySelector(".place").textContent.includes(":"); }).length`); n == 0 {
		t.Errorf("no own frame can be read:\n%s", b.text())
	}

	t.Log("a dump that arrives while the page is open")
	for n, says := range []string{"2 crashes on 2 devices", "3 crashes on 3 devices"} {
		seen := b.seenAt(says)
		came := p.crashes(5+3*n, "1.0.0")
		took := seen().Sub(came)
		t.Logf("it is shown %v after its 201", took.Round(time.Millisecond))
		if took > halfAMinute {
			t.Errorf("a further dump is shown after %v", took)
		}
	}
	b.sees("hall-2: 3")

	t.Log("resolve it in the build that mends it, and be told that it does not")
	p.hand("1.2.0")
	b.do(chromedp.Navigate(p.url + "/crashes/" + crash))
	b.press("Resolve")
	b.do(chromedp.SendKeys(chromedp.CSS("#in"), "1.2.0\r"))
	if got := script[string](b, `document.getElementById("in").value`); got != "1.2.0" {
		t.Fatalf("the choice is %q", got)
	}
	b.do(chromedp.Click(chromedp.CSS("form[action$='/resolve'] button")))
	b.sees("It is gone in 1.2.0.")
	b.press("Now")
	b.sees("Needs somebody")
	seen := b.seenAt("regression in 1.2.0")
	came := p.crashes(3, "1.2.0")
	took := seen().Sub(came)
	t.Logf("the regression is shown %v after its 201", took.Round(time.Millisecond))
	if took > halfAMinute {
		t.Errorf("a regression is shown after %v", took)
	}

	t.Log("did the update of the night arrive")
	for n := 1; n <= 6; n++ {
		p.polls(n, "1.2.0")
	}
	b.press("Now")
	b.sees("1.2.0")
	p.until("what runs is counted", func() bool {
		return script[bool](b, `[...document.querySelectorAll("#models tbody tr")].some((r) => r.innerText.includes("1.2.0") && r.innerText.includes("published") &&
			r.querySelector("[data-label=devices]").innerText.trim() === "6")`)
	})
	b.press("1.2.0")
	b.sees("6 devices")

	t.Log("the silent devices of a line")
	silent := 0 // its number
	p.until("a device falls silent", func() bool {
		p.polls(1, "1.2.0") // one that does not
		_, rest, found := strings.Cut(p.get("/api/devices?state=silent&line=hall-2&limit=1"), `"press0`)
		if found {
			if _, err := fmt.Sscanf(rest[:2], "%d", &silent); err != nil {
				t.Fatal(err)
			}
		}
		return silent > 0
	})
	b.press("Devices")
	b.sees("12 devices")
	b.press("silent")
	b.sees("silent ×")
	b.press("Filter")
	b.press("hall-2")
	b.sees(fmt.Sprintf("Press %d", silent), "silent")
	if strings.Contains(b.text(), "Press 3\n") {
		t.Errorf("devices of other lines:\n%s", b.text())
	}
	b.quiet()
}

func TestBrowserAFirmwareLeadReadsComparesAndHandsOver(t *testing.T) {
	p := startLine(t)
	for n := 1; n <= 12; n++ {
		p.polls(n, "1.0.0")
	}
	p.crashes(1, "1.0.0")
	p.crashes(2, "1.0.0")
	p.know("1.2.0")
	p.crashes(3, "1.2.0") // of a build that nobody has handed in
	var crash, frame string
	p.until("the crash has a report", func() bool { crash, frame = p.newestCrash(); return crash != "" })
	p.until("a dump waits for its ELF", func() bool { return strings.Contains(p.get("/api/coredumps?state=missing"), "press003") })
	b := startBrowser(t, strings.TrimPrefix(p.url, "http://"))
	b.screen(1280, 800, "light")
	b.signIn(p.plant, p.viewer)

	t.Log("which ELF is missing")
	b.sees("wanted firmware")
	wanted := script[string](b, `[...document.querySelectorAll("#needs li")].find((e) => e.textContent.includes("wanted firmware")).querySelector("a").textContent`)
	b.press(wanted)
	hash := wanted[strings.LastIndexAny(wanted, " \u00a0")+1:]
	b.sees(hash)

	t.Log("versions compared by crashes a device-day")
	b.press("Models")
	b.press("press")
	b.at("/models/press")
	b.sees("1.0.0")
	if text := b.text(); !strings.Contains(strings.ToLower(text), "device-day") {
		t.Errorf("the model says nothing of crashes a device-day:\n%s", text)
	}

	t.Log("the stack as text, for a ticket")
	b.press("Crashes")
	b.press(frame)
	b.press("As text, for a ticket")
	b.sees(strings.Fields(frame)[0])
	shown := script[string](b, `[...document.querySelectorAll("#stack pre")].find((e) => e.checkVisibility()).innerText`)
	if !strings.Contains(shown, "1.0.0") && !strings.Contains(shown, "press") {
		t.Errorf("the text of the report:\n%s", shown)
	}
	b.press("Copy it")
	b.sees("Copied")

	t.Log("a link that is handed over")
	link := ask(b, chromedp.Location())
	other := startBrowser(t, strings.TrimPrefix(p.url, "http://"))
	other.screen(360, 740, "light")
	other.signIn(p.plant, p.operator)
	other.do(chromedp.Navigate(link))
	other.sees("First seen")
	other.at("/crashes/" + crash)
	b.quiet()
	other.quiet()
}

func TestBrowserAPlantEngineerMendsAConfigurationAndProvesWhoRevoked(t *testing.T) {
	mendOne(t, true)
}

// TestBrowserWithoutScriptsAnEngineerMendsOne plays the same where a browser runs no script: every act is a form.
func TestBrowserWithoutScriptsAnEngineerMendsOne(t *testing.T) {
	mendOne(t, false)
}

func mendOne(t *testing.T, scripts bool) {
	p := startLine(t)
	b := startBrowser(t, strings.TrimPrefix(p.url, "http://"))
	b.screen(1280, 800, "light")
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !scripts})
	b.signIn(p.plant, p.operator)
	b.press("Devices")
	b.do(chromedp.SendKeys(chromedp.CSS("#q"), "press007\r"))
	b.sees("1 device")
	b.press("Press 7")
	b.press("Edit it")
	b.do(chromedp.Click(chromedp.CSS("#edited")), chromedp.KeyEvent("a", chromedp.KeyModifiers(2)))
	b.do(chromedp.KeyEvent(`{"deviceName":"Press 7","deviceEntityId":"press_7","enableOTA":false}`))
	b.press("Check it and show what changes")
	b.sees("What this would change", "enableOTA")
	b.press("Save it")
	b.sees("bytes")
	b.at("/devices/press007")
	if got := p.run("", "device", "show", "press007", "--format", "json"); !strings.Contains(got, `"enableOTA":false`) && !strings.Contains(got, `"enableOTA": false`) {
		t.Errorf("the configuration is not what was typed:\n%s", got)
	}

	b.press("Revoke it")
	b.do(chromedp.Click(chromedp.CSS("form[action$='/revoke'] button")))
	b.sees("revoked", "welcome")
	b.press("Events")
	b.sees("device revoked", "Sira Shift", "press007")
	proof := script[string](b, `[...document.querySelectorAll("#list tbody tr")].find((r) => r.innerText.includes("device revoked")).innerText`)
	for _, want := range []string{"press007", "Sira Shift"} {
		if !strings.Contains(proof, want) {
			t.Errorf("who revoked it is not in its row, %s: %q", want, proof)
		}
	}
	if lives := script[bool](b, `document.getElementById("connection").textContent !== ""`); lives != scripts {
		t.Errorf("the page's scripts run: %v, want %v", lives, scripts)
	}
	b.press("Sign out")
	b.do(chromedp.WaitVisible(chromedp.CSS("#token")))
	b.quiet()
}
