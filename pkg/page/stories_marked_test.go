//go:build browser

package page

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestBrowserWhatIsDoneToMarkedRowsIsInReach marks one in the middle of a list that is longer than the screen, with scripts and
// without. Nobody scrolls to change it.
func TestBrowserWhatIsDoneToMarkedRowsIsInReach(t *testing.T) {
	p := startLine(t)
	folder := os.Getenv("SLIPWAY_SCREENSHOTS")
	if folder == "" {
		folder = t.TempDir()
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	b := startBrowser(t, strings.TrimPrefix(p.url, "http://"))
	b.signIn(p.plant, p.operator)
	for _, seen := range []struct {
		width, height int64
		scheme        string
		scripts       bool
	}{{360, 740, "light", true}, {360, 740, "dark", false}, {1280, 500, "light", false}, {1280, 500, "dark", true}} {
		at := fmt.Sprintf("%d-%s", seen.width, seen.scheme)
		look := func(name string) {
			t.Helper()
			b.fits()
			call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{})
			for _, v := range b.violations() {
				t.Errorf("%s at %s: axe: %s", name, at, v)
			}
			call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !seen.scripts})
			if err := os.WriteFile(filepath.Join(folder, name+"-"+at+".png"), ask(b, chromedp.CaptureScreenshot()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		inReach := func() bool {
			return script[bool](b, `(() => { const r = document.querySelector(".marked summary").getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight && r.height >= 24; })()`)
		}
		b.screen(seen.width, seen.height, seen.scheme)
		call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !seen.scripts})
		b.do(chromedp.Navigate(p.url+"/devices"), chromedp.WaitVisible("#list"))
		if inReach() {
			t.Fatalf("%s: the list is no longer than the screen, or its acts stand in the way while nothing is marked", at)
		}
		line := "line-" + at
		b.press("Mark press003")
		b.press("Mark press004")
		if !inReach() {
			t.Errorf("%s: once two are marked, what is done to them is out of reach", at)
		}
		look("devices-marked")
		b.press("Change those that are marked")
		b.do(chromedp.SendKeys("#do", "set their line"), chromedp.SendKeys("#value", line))
		look("devices-change")
		b.press("Do it")
		b.sees("2 devices: on the line", "To undo it")
		if on := p.get("/api/devices?line=" + line); !strings.Contains(on, `"press003"`) || !strings.Contains(on, `"press004"`) || strings.Contains(on, `"press005"`) {
			t.Errorf("%s: on the line are %s", at, on)
		}
	}
	b.quiet()
}
