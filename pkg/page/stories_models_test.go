//go:build browser

package page

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// leadsStory is what a firmware lead sees on the way, at one width.
type leadsStory struct {
	*browser
	p      *plant
	width  int64
	folder string
}

// look takes a picture of where the story is, and has axe and the eyes of a phone look at it.
func (s leadsStory) look(name string) {
	s.t.Helper()
	at := fmt.Sprintf("story-models-%s-%d", name, s.width)
	s.fits()
	for _, v := range s.violations() {
		s.t.Errorf("%s: axe: %s", at, v)
	}
	high := script[float64](s.browser, "document.documentElement.scrollHeight")
	s.screen(s.width, int64(min(max(high, 800), 6000)), "light")
	picture := ask(s.browser, chromedp.CaptureScreenshot())
	s.screen(s.width, 800, "light")
	if err := os.WriteFile(filepath.Join(s.folder, at+".png"), picture, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// reads waits until a part of the page says something.
func (s leadsStory) reads(selector, want string) {
	s.t.Helper()
	s.p.until(fmt.Sprintf("%s says %q", selector, want), func() bool {
		return strings.Contains(script[string](s.browser, fmt.Sprintf("document.querySelector(%q)?.textContent || ''", selector)), want)
	})
}

// upload chooses a file and sends it over a slow line, and returns what the page said of its progress.
func (s leadsStory) upload(file, verdict string) string {
	s.t.Helper()
	line := func(bytesASecond float64) {
		call(s.browser, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
			MatchedNetworkConditions: []*network.Conditions{{DownloadThroughput: -1, UploadThroughput: bytesASecond}},
		})
	}
	info, err := os.Stat(file)
	s.must(err)
	script[bool](s.browser, `(() => { window.told = []; new MutationObserver(() => told.push(document.querySelector(".sending [role=status]").textContent + " " + document.querySelector("progress").value)).
		observe(document.querySelector(".sending [role=status]"), { childList: true }); return true })()`)
	if !script[bool](s.browser, `document.querySelector("#upload details").open`) {
		s.do(chromedp.Click("#upload summary"))
	}
	s.do(chromedp.SetUploadFiles("#file", []string{file}))
	const seconds = 3
	line(float64(info.Size()) / seconds)
	s.do(chromedp.Click("form.upload button.main"))
	s.reads(".said", verdict)
	line(-1)
	return script[string](s.browser, `told.join("; ")`)
}

// TestBrowserAFirmwareLeadUploadsPublishesAndGoesBack is all done with clicks and keys: a model is added, what is no firmware is
// refused, two builds come, the older one is gone back to, the newer one gets a note, and is removed.
func TestBrowserAFirmwareLeadUploadsPublishesAndGoesBack(t *testing.T) {
	folder := os.Getenv("SLIPWAY_SCREENSHOTS")
	if folder == "" {
		folder = t.TempDir()
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	builds := t.TempDir()
	if out, err := exec.Command("go", "run", "../../testdata/tryout/press/pack", "press", builds).CombinedOutput(); err != nil {
		t.Fatalf("pack: %v\n%s", err, out)
	}
	for _, width := range []int64{1280, 360} {
		t.Run(fmt.Sprint(width), func(t *testing.T) { playLead(t, width, folder, builds) })
	}
}

func playLead(t *testing.T, width int64, folder, builds string) {
	p := startPlant(t)
	lead := field(p.run("", "token", "create", "--role", "operator", "--name", "Lea Firmware"), "token")
	b := startBrowser(t, strings.TrimPrefix(p.url, "http://"))
	s := leadsStory{b, p, width, folder}
	s.screen(width, 800, "light")
	s.signIn(p, lead)

	s.do(chromedp.Click(`header nav a[href="/models"]`), chromedp.WaitVisible("#code"))
	s.do(chromedp.SendKeys("#code", "press"), chromedp.SendKeys("#name", "Press controller"), chromedp.Click(`form[action="/models/add"] button.main`))
	s.reads(".said", "Model press is added")
	s.look("1-added")

	// What is dropped is chosen, and goes nowhere until the button is pressed, which has the focus.
	script[bool](b, `(() => { const t = new DataTransfer(); t.items.add(new File(["no firmware"], "notes.zip"));
		document.querySelector(".drop").dispatchEvent(new DragEvent("drop", { dataTransfer: t, bubbles: true, cancelable: true })); return true })()`)
	if named := script[string](b, `document.getElementById("file").files[0].name + " " + document.activeElement.textContent`); named != "notes.zip Upload" {
		t.Errorf("after a drop: %q", named)
	}
	s.do(chromedp.KeyEvent("\r"))
	s.reads(".refused", "notes.zip was refused")
	s.look("2-refused")

	told := s.upload(filepath.Join(builds, "1.0.0.zip"), "press 1.0.0 is accepted and published")
	if !strings.Contains(told, " % of ") || !strings.Contains(told, "All is there; the gateway checks it 100") {
		t.Errorf("the progress was %q", told)
	}
	if at := script[string](b, "location.pathname"); at != "/models/press" {
		t.Errorf("the person is at %s", at)
	}
	s.look("3-first")
	p.run("press,press001\npress,press002\n", "device", "import", "-")
	s.upload(filepath.Join(builds, "1.1.0.zip"), "2 devices are offered it now")
	s.reads(".said", "publish 1.0.0 again")
	s.look("3-uploaded")

	s.do(chromedp.Click(`#builds a[href="/models/press/builds/1.0.0"]`), chromedp.WaitVisible("#publish form"))
	s.reads("#publish", "2 devices will fetch it.")
	s.reads("#publish", "1.1.0 stays for going back")
	s.look("4-back")
	s.do(chromedp.Click("#publish button.main"), chromedp.WaitVisible(".said"))
	s.reads(".said", "1.0.0 is published: 2 devices are offered it now.")

	s.do(chromedp.Click(`#builds a[href="/models/press/builds/1.1.0"]`), chromedp.WaitVisible("#note"))
	s.do(chromedp.SendKeys("#note", "Valve timing is new.\nOnly for hall 3."), chromedp.Click(`form[action$="/note"] button.main`), chromedp.WaitVisible(".said"))
	s.reads(".lead.note", "Only for hall 3.")
	s.look("5-noted")
	s.do(chromedp.Click(`header nav a[href="/models"]`), chromedp.WaitVisible(`#models a[href="/models/press"]`), chromedp.Click(`#models a[href="/models/press"]`), chromedp.WaitVisible("#builds"))
	s.reads("#builds .note", "Valve timing is new.")
	s.look("6-model")

	s.do(chromedp.Click(`#builds a[href="/models/press/builds/1.1.0"]`), chromedp.WaitVisible("#typed"))
	s.do(chromedp.SendKeys("#typed", "1.1.0"), chromedp.Click(`form[action$="/remove"] button.bad`), chromedp.WaitVisible(".said"))
	s.reads(".said", "Build 1.1.0 is removed.")
	said, elsewhere := b.heard()
	if len(said)+len(elsewhere) > 0 {
		t.Errorf("the console says %q, and it asked for %q", said, elsewhere)
	}
	var events []string
	for line := range strings.Lines(p.run("", "events", "--kind", "build", "--format", "json")) {
		if _, kind, ok := strings.Cut(line, `"kind": "build.`); ok {
			events = append(events, strings.Trim(kind, "\",\n"))
		}
	}
	if got := strings.Join(events, " "); got != "rejected accepted published accepted published published noted removed" {
		t.Errorf("it left %s", got)
	}
}
