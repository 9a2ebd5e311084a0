//go:build browser

package page

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/slipway-gateway/slipway/testdata/firmware"
	"github.com/slipway-gateway/slipway/testdata/lasting"
)

// `make test-page`: a real gateway with a fleet that is played, looked at in Chromium. SLIPWAY_BINARY is the program, SLIPWAY_AXE
// the file axe.min.js, and SLIPWAY_SCREENSHOTS where the pictures go.

// shows has an address of each view: a view is looked at once it is here, and a test fails while it is not. In an address
// CRASH, DUMP and DEVICE stand for such as the plant has.
var shows = map[string]string{
	"now":     "/",
	"devices": "/devices?model=press",
	"device":  "/devices/DEVICE",
	"models":  "/models",
	"model":   "/models/press",
	"build":   "/models/press/builds/1.1.0",
	"rollout": "/models/press/rollouts/1",

	"rolloutnew": "/models/press/rollouts/new?version=1.1.0",

	"crashes":  "/crashes",
	"crash":    "/crashes/CRASH",
	"dump":     "/dumps/DUMP",
	"drop":     "/drop",
	"events":   "/events",
	"gateway":  "/gateway",
	"licences": "/licences",
}

// besides are what is no view of its own: the form to sign in, what is said of an address that is not there.
var besides = map[string]string{
	"signin": "/login", "docs": "/api/docs", "failure": "/nothing", "devices-none": "/devices?q=nobody", "devices-silent": "/devices?state=silent",
	"model-many": "/models/mixer", "build-long": "/models/mixer/builds/" + longVersion, "device-long": "/devices/press004", "device-right": "/devices/press005",
}

func TestEveryViewIsLookedAt(t *testing.T) {
	for _, one := range views(&Page{}) {
		if shows[one.Name] == "" {
			t.Errorf("the view %s has no address in shows", one.Name)
		}
	}
}

// plant is a gateway in its own process, with two models and a fleet.
type plant struct {
	t               *testing.T
	url, dir        string
	settings        string // an empty file: this machine may have one of its own
	viewer, admin   string // tokens
	crash, dump     string // addresses of one each
	device, command string
	environment     []string
	listens         string
	journal         *os.File
	gateway         *exec.Cmd
}

func startPlant(t *testing.T) *plant {
	t.Helper()
	dir, err := os.MkdirTemp("", "page") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &plant{t: t, dir: dir, command: os.Getenv("SLIPWAY_BINARY")}
	if p.command == "" {
		t.Fatal("SLIPWAY_BINARY is not set: make test-page")
	}
	p.listens = lasting.Address(t)
	p.url = "http://" + p.listens
	p.environment = append(os.Environ(), "SLIPWAY_SOCKET="+filepath.Join(dir, "s"))
	if p.journal, err = os.Create(filepath.Join(dir, "journal")); err != nil {
		t.Fatal(err)
	}
	p.settings = filepath.Join(dir, "slipway.yaml")
	if err := os.WriteFile(p.settings, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.serve()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			text, _ := os.ReadFile(filepath.Join(dir, "journal"))
			t.Logf("the journal ends:\n%s", text[max(0, len(text)-4000):])
		}
	})
	p.until("the gateway is ready", func() bool { return p.try("status") == nil })
	return p
}

// serve starts the gateway, once more after stop.
func (p *plant) serve() {
	p.t.Helper()
	p.gateway = exec.Command(p.command, "serve", "--config", p.settings, "--set", "state_dir="+p.dir+"/state", "--set", "socket="+filepath.Join(p.dir, "s"), "--set", "rollout.up_within=9s", "--set", "firmware.keep_versions=40",
		"--set", "listen.https=off", "--set", "listen.http="+p.listens, "--set", "provisioning.base_url="+p.url, "--set", "webhooks.loopback=true")
	p.gateway.Stderr, p.gateway.Stdout = p.journal, p.journal
	if err := p.gateway.Start(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *plant) stop() {
	_ = p.gateway.Process.Signal(os.Interrupt)
	_ = p.gateway.Wait()
}

func (p *plant) until(what string, done func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if done() {
			return
		}
	}
	p.t.Fatalf("not within two minutes: %s", what)
}

func (p *plant) start(args ...string) *exec.Cmd {
	cmd := exec.Command(p.command, args...)
	cmd.Env = p.environment
	return cmd
}

func (p *plant) try(args ...string) error { return p.start(args...).Run() }

// run runs a command of the command line and returns what it prints.
func (p *plant) run(stdin string, args ...string) string {
	p.t.Helper()
	cmd := p.start(args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("slipway %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// field is a member of what a command printed.
func field(out, name string) string {
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// fill plays some days of a plant: 40 presses on three lines that run 1.0.0, a rollout of 1.1.0, which is bad, and crashes.
func (p *plant) fill() {
	p.t.Helper()
	p.viewer = field(p.run("", "token", "create", "--role", "viewer", "--name", "Ana Viewer"), "token")
	p.admin = field(p.run("", "token", "create", "--role", "admin", "--name", "Olaf Admin"), "token")
	p.run("", "model", "add", "press", "--name", "Press controller")
	p.run("", "model", "add", "valve")
	var csv strings.Builder
	for n := range 40 {
		fmt.Fprintf(&csv, "press,press%03d,,Press %d,hall-%d\n", n+1, n+1, n%3+1)
	}
	p.run(csv.String(), "device", "import", "-", "--secrets", p.dir+"/fleet.csv")
	p.device = "press001"
	if out, err := exec.Command("go", "run", "../../testdata/tryout/press/pack", "press", p.dir+"/press").CombinedOutput(); err != nil {
		p.t.Fatalf("pack: %v\n%s", err, out)
	}
	p.run("", "firmware", "add", p.dir+"/press/1.0.0.zip")
	p.run("", "firmware", "publish", "press", "1.0.0")
	p.run("", "firmware", "add", p.dir+"/press/1.1.0.zip")
	p.run("", "firmware", "publish", "press", "1.0.0")
	p.run("", "device", "set", "press002", "--revoked")
	p.run("", "device", "set", "press003", "--label", "hot", "--label", "corner")
	p.fillOddly()
	p.fillWebhooks()
	fleet := p.start("simulate", "--gateway", p.url, "--model", "press", "--csv", p.dir+"/fleet.csv", "--dumps", p.dir+"/press/dumps", "--runs", "1.0.0",
		"--mix", "esp-mdm=25,poller=50,ota=15,arduino=10", "--speed", "100", "--seed", "3", "--bad", "1.0.0=crash:5%", "--bad", "1.1.0=crash:20%", "--bad", "1.1.0=silent:15%")
	if err := fleet.Start(); err != nil {
		p.t.Fatal(err)
	}
	defer func() { // nothing moves while it is looked at
		_ = fleet.Process.Kill()
		_ = fleet.Wait()
	}()
	p.until("somebody crashes", func() bool { return strings.Contains(p.get("/api/crashes"), "fingerprint") })
	p.run("", "rollout", "start", "press", "1.1.0")
	p.until("a crash has a report", func() bool {
		var dumps struct {
			Dumps []struct {
				Device, Name, State, Group string
				Key                        string `json:"device_key"`
			} `json:"coredumps"`
		}
		if err := json.Unmarshal([]byte(p.get("/api/coredumps?state=reported")), &dumps); err != nil || len(dumps.Dumps) == 0 {
			return false
		}
		one := dumps.Dumps[0]
		p.crash, p.dump = one.Group, one.Key+one.Device+"/"+one.Name
		return p.crash != ""
	})
}

// oddNames are names that devices may have: the longest without a blank, and such as are written from the right, or without blanks.
var oddNames = []string{strings.Repeat("Presse-Sued-", 5) + "0001", "مكبس القاعة الثالثة رقم ٧", "第三車間の油圧プレス機械番号七十七号", "<b>Press</b> & 🏭"}

// fillOddly adds what is at its bounds: names, a version of 31 characters, a model with 40 builds, and a refused file.
func (p *plant) fillOddly() {
	p.t.Helper()
	for n, name := range oddNames {
		p.run("", "device", "set", fmt.Sprintf("press%03d", n+4), "--name", name)
	}
	p.run("", "model", "add", "mixer", "--name", oddNames[0])
	add := func(version string) {
		zip, err := firmware.Build{Code: "mixer", Version: version, Base: "1.0.0"}.Bundle()
		if err == nil {
			err = os.WriteFile(p.dir+"/mixer.zip", zip, 0o600)
		}
		if err != nil {
			p.t.Fatal(err)
		}
		p.run("", "firmware", "add", p.dir+"/mixer.zip")
	}
	for n := range 39 {
		add(fmt.Sprintf("1.%d.0", n+1))
	}
	add(longVersion)
	p.run("", "device", "add", "--model", "mixer", "--key", "mixer001", "--name", oddNames[0])
	zip, err := firmware.Bundle("boiler", "1.0.0")
	if err == nil {
		err = os.WriteFile(p.dir+"/state/drop/"+strings.Repeat("boiler-", 20)+".zip", zip, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.until("the file is refused", func() bool { return strings.Contains(p.get("/api/drops"), "boiler") })
}

// fillWebhooks has two: one that takes what it is sent, and one where nobody listens.
func (p *plant) fillWebhooks() {
	p.t.Helper()
	takes := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	p.t.Cleanup(takes.Close)
	p.run("", "webhook", "add", takes.URL+"/hooks/slipway", "--name", "tickets", "--kind", "crash", "--kind", "device", "--kind", "rollout.halted")
	p.run("", "webhook", "add", "http://"+lasting.Address(p.t)+"/hooks/slipway", "--name", oddNames[0])
	p.run("", "device", "set", "press003", "--line", "hall-1") // of which both are told
	p.until("one has delivered, and one has failed", func() bool {
		all := p.run("", "webhook", "list", "--format", "json")
		return strings.Contains(all, `"last_failure": "`) && strings.Contains(all, `"delivered_at": "2`)
	})
}

const longVersion = "2.0.0-rc.11+hall3.g0123456789ab" // 31 characters

func (p *plant) get(path string) string {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodGet, p.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.viewer)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("GET %s: %s %s, %v", path, resp.Status, b, err)
	}
	return string(b)
}

func (p *plant) address(path string) string {
	return p.url + strings.NewReplacer("CRASH", p.crash, "DUMP", p.dump, "DEVICE", p.device).Replace(path)
}

// browser is a Chromium.
type browser struct {
	t   *testing.T
	ctx context.Context
	axe string

	mu        sync.Mutex // guards what follows
	said      []string   // errors of its console
	elsewhere []string   // requests to other hosts
	host      string
}

func startBrowser(t *testing.T, host string) *browser {
	t.Helper()
	axe, err := os.ReadFile(os.Getenv("SLIPWAY_AXE"))
	if err != nil {
		t.Fatalf("SLIPWAY_AXE: %v: make test-page", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"), chromedp.WSURLReadTimeout(2*time.Minute))
	allocated, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(allocated)
	t.Cleanup(end)
	b := &browser{t: t, ctx: ctx, axe: string(axe), host: host}
	b.must(chromedp.Listen(ctx, b.hear))
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	return b
}

// patience with one step: a machine may have much else to do.
const patience = 90 * time.Second

func (b *browser) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// call sends a command of the browser's protocol.
func call[P, R any](b *browser, c cdp.Command[P, R], params P) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	_, err := chromedp.Call(ctx, c, params)
	b.must(err)
}

// ask returns what an action finds.
func ask[T any](b *browser, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	found, err := chromedp.Run(ctx, a)
	b.must(err)
	return found
}

// script runs in the page that is open. One that goes away meanwhile has not answered: the next one is asked.
func script[T any](b *browser, text string, options ...chromedp.EvaluateOption) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		found, err := chromedp.Run(ctx, chromedp.Evaluate[T](text, options...))
		if err == nil || !strings.Contains(err.Error(), "Inspected target navigated or closed") {
			b.must(err)
			return found
		}
	}
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	b.must(chromedp.Do(ctx, steps...))
}

func (b *browser) hear(e any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := e.(type) {
	case *runtime.EventExceptionThrown:
		b.said = append(b.said, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			b.said = append(b.said, fmt.Sprintf("console.%s", e.Type))
		}
	case *log.EventEntryAdded:
		// That an address is not there, or that nobody is signed in, is what is looked at.
		if e.Entry.Level == log.EntryLevelError && !strings.Contains(e.Entry.Text, "the server responded with a status of 4") {
			b.said = append(b.said, e.Entry.Text)
		}
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err != nil || u.Scheme != "data" && u.Host != b.host && u.String() != "about:blank" {
			b.elsewhere = append(b.elsewhere, e.Request.URL)
		}
	}
}

// heard are the console's errors and the requests to others since it was asked last.
func (b *browser) heard() (said, elsewhere []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	said, elsewhere = b.said, b.elsewhere
	b.said, b.elsewhere = nil, nil
	return said, elsewhere
}

// violations are what axe finds on the page that is open.
func (b *browser) violations() []string {
	b.t.Helper()
	script[int](b, b.axe+";0")
	found := script[string](b, `axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify(r.violations.map((v) => v.id + ": " + v.help + ": " +
		v.nodes.map((n) => n.target.join(" ") + " " + n.html.slice(0, 200) + " " + n.failureSummary).join(" | "))))`, chromedp.EvalAwaitPromise)
	var all []string
	if err := json.Unmarshal([]byte(found), &all); err != nil {
		b.t.Fatal(err)
	}
	return all
}

func (b *browser) screen(width, height int64, scheme string) {
	b.t.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

func (b *browser) signIn(p *plant, token string) {
	b.t.Helper()
	b.do(chromedp.Navigate(p.url+"/login"), chromedp.SendKeys("#token", token), chromedp.Click("button.main"), chromedp.WaitVisible("header nav"))
}

func TestBrowserAxeFindsTheFaultsOfAControlPage(t *testing.T) {
	control := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<!doctype html><html><body><img src="/x"><input><p style="color:#aaa;background:#fff">pale</p></body></html>`)
	}))
	defer control.Close()
	b := startBrowser(t, strings.TrimPrefix(control.URL, "http://"))
	b.do(chromedp.Navigate(control.URL))
	found := strings.Join(b.violations(), "\n")
	for _, want := range []string{"image-alt", "label", "color-contrast", "html-has-lang", "document-title"} {
		if !strings.Contains(found, want+":") {
			t.Errorf("axe does not find %s:\n%s", want, found)
		}
	}
}

// stretch puts the longest that may come in place of what is shown: names of 64 characters without a blank, a reason of 300
// characters, counts of 10,000. It has how much is to be scrolled sideways then.
const stretch = `(() => {
	const many = "#main td.n, #main .count", most = "#main .lead, #main .detail, #main td.text";
	const names = "#main h1, #main h3, #main tbody th, #main td:not(.n), #main dd, #main .what a, #main .frame .function, #main .frame .place, #main label.tick";
	const texts = (e) => { const all = [], walk = document.createTreeWalker(e, NodeFilter.SHOW_TEXT); while (walk.nextNode()) all.push(walk.currentNode); return all; };
	const stays = (n) => !n.data.trim() || n.parentElement.closest("time, .ago, .mark, .tag, button, summary, form.upload");
	const all = (where, text) => { for (const e of document.querySelectorAll(where)) for (const n of texts(e)) if (!stays(n)) n.data = text(n.data.trim()); };
	all(names, (s) => /^[\d,.]+$/.test(s) ? "10,000" : s.replace(/\s/g, "_").padEnd(64, "Mw").slice(0, 64));
	all(most, (s) => (s + " assert failed: xQueueSemaphoreTake queue.c:1545 (( pxQueue ))").repeat(6).slice(0, 300));
	all(many, () => "10,000");
	return document.documentElement.scrollWidth - document.documentElement.clientWidth;
})()`

const tooWide = `[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).
	map((e) => e.tagName + "." + e.className + " " + e.textContent.slice(0, 60)).slice(0, 5).join(" | ")`

// TestBrowserShowsEveryView looks at each view at two widths and in both schemes.
func TestBrowserShowsEveryView(t *testing.T) {
	p := startPlant(t)
	p.fill()
	b := startBrowser(t, strings.TrimPrefix(p.url, "http://"))
	folder := os.Getenv("SLIPWAY_SCREENSHOTS")
	if folder == "" {
		folder = t.TempDir()
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	look := func(name, path string) {
		for _, width := range []int64{1280, 360} {
			for _, scheme := range []string{"light", "dark"} {
				b.screen(width, 800, scheme)
				b.do(chromedp.Navigate(p.address(path)), chromedp.WaitVisible("#main"))
				title := ask(b, chromedp.Title())
				wide, high := script[float64](b, "document.documentElement.scrollWidth - document.documentElement.clientWidth"), script[float64](b, "document.documentElement.scrollHeight")
				at := fmt.Sprintf("%s at %d, %s", name, width, scheme)
				if wide > 0 {
					t.Errorf("%s: %v pixels too wide: %s", at, wide, script[string](b, tooWide))
				}
				if title == "" || !strings.HasSuffix(title, "– Slipway") {
					t.Errorf("%s: the title is %q", at, title)
				}
				for _, v := range b.violations() {
					t.Errorf("%s: axe: %s", at, v)
				}
				b.screen(width, int64(min(max(high, 800), 6000)), scheme)
				picture := ask(b, chromedp.CaptureScreenshot())
				if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), picture, 0o644); err != nil {
					t.Fatal(err)
				}
				if twice := script[string](b, `[...document.querySelectorAll("[id]")].map((e) => e.id).filter((id, i, all) => all.indexOf(id) < i).join(" ")`); twice != "" {
					t.Errorf("%s: there twice: %s", at, twice)
				}
				if scheme == "light" {
					if wide := script[float64](b, stretch); wide > 0 {
						t.Errorf("%s: with long words %v pixels too wide: %s", at, wide, script[string](b, tooWide))
					}
					high := script[float64](b, "document.documentElement.scrollHeight")
					b.screen(width, int64(min(max(high, 800), 6000)), scheme)
					picture := ask(b, chromedp.CaptureScreenshot())
					if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s-%d-long.png", name, width)), picture, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				said, elsewhere := b.heard()
				for _, s := range said {
					t.Errorf("%s: the console says: %s", at, s)
				}
				for _, s := range elsewhere {
					t.Errorf("%s: a request to %s", at, s)
				}
			}
		}
	}
	look("signin", besides["signin"])
	b.signIn(p, p.admin)
	only := os.Getenv("VIEWS") // one of them, while it is worked on
	for _, some := range []map[string]string{shows, besides} {
		for name, path := range some {
			if name != "signin" && (only == "" || strings.HasPrefix(name, only)) {
				look(name, path)
			}
		}
	}
	journal, err := os.ReadFile(filepath.Join(p.dir, "journal"))
	if err != nil || bytes.Contains(journal, []byte("policy of the page violated")) {
		t.Errorf("something broke the policy, %v", err)
	}
}

func TestBrowserScriptInAPageIsStoppedAndReported(t *testing.T) {
	p := startPlant(t)
	p.viewer = field(p.run("", "token", "create", "--role", "viewer"), "token")
	b := startBrowser(t, strings.TrimPrefix(p.url, "http://"))
	b.signIn(p, p.viewer)
	ran := script[bool](b, `(() => { const s = document.createElement("script"); s.textContent = "window.evil = true"; document.body.append(s); return !!window.evil })()`)
	if ran {
		t.Error("an inline script has run")
	}
	p.until("the journal tells of it", func() bool {
		journal, err := os.ReadFile(filepath.Join(p.dir, "journal"))
		return err == nil && bytes.Contains(journal, []byte("policy of the page violated")) && bytes.Contains(journal, []byte("script-src-elem"))
	})
}

// TestBrowserPageStaysTrue leaves a page open while things happen, and while the gateway restarts.
func TestBrowserPageStaysTrue(t *testing.T) {
	p := startPlant(t)
	p.viewer = field(p.run("", "token", "create", "--role", "viewer", "--name", "Ana"), "token")
	p.run("", "model", "add", "press")
	b := startBrowser(t, strings.TrimPrefix(p.url, "http://"))
	b.signIn(p, p.viewer)
	connection := func(word string) func() bool {
		return func() bool {
			return strings.Contains(script[string](b, `document.getElementById("connection").textContent`), word)
		}
	}
	b.do(chromedp.Navigate(p.url+"/devices"), chromedp.WaitVisible("#main"))
	p.until("the page is live", connection("live"))
	p.run("", "device", "add", "--model", "press", "--name", "Press that came")
	p.until("a device that was added appears by itself", func() bool {
		return strings.Contains(script[string](b, `document.getElementById("list").textContent`), "Press that came")
	})
	p.stop()
	p.until("the page says that it is not connected", connection("not connected since"))
	p.serve()
	p.until("the page goes on by itself", connection("live"))
	p.run("", "device", "add", "--model", "press", "--name", "Press after it")
	p.until("what happens after the restart appears", func() bool {
		return strings.Contains(script[string](b, `document.getElementById("list").textContent`), "Press after it")
	})
}
