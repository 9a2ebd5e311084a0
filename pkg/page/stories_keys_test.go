//go:build browser

package page

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestBrowserEachKindOfActIsDoneWithKeysAlone opens a menu, marks rows, changes them, and confirms what cannot be undone. No mouse is
// there, and each stop on the way shows where the focus is.
func TestBrowserEachKindOfActIsDoneWithKeysAlone(t *testing.T) {
	p := startLine(t)
	b := startBrowser(t, strings.TrimPrefix(p.url, "http://"))
	b.screen(1280, 420, "light")
	b.do(chromedp.Navigate(p.url+"/login"), chromedp.WaitVisible("#token"), chromedp.KeyEvent(p.operator+"\r"), chromedp.WaitVisible("header nav"))

	t.Log("past the views, by the link that is first")
	b.tab("Skip to the content", "\r")
	if at := script[string](b, "location.hash"); at != "#main" {
		t.Errorf("the skip link leads to %q", at)
	}
	b.do(chromedp.Navigate(p.url+"/"), chromedp.WaitVisible("header nav"))
	b.tab("Devices", "\r")
	b.at("/devices")
	b.sees("12 devices")

	t.Log("a menu")
	b.tab("Filter", " ") // closes it
	if script[bool](b, `document.querySelector("details.facets").open`) {
		t.Error("the filter stays open")
	}

	t.Log("rows, and what is done to them")
	b.tab("Mark press002", " ")
	b.tab("Mark press004", " ")
	b.tab("Change those that are marked", "\r")
	b.tab("What", "set their line")
	b.tab("To what", "hall-9")
	b.tab("Do it", " ")
	b.sees("To undo it")
	if on := p.get("/api/devices?line=hall-9"); !strings.Contains(on, `"press002"`) || !strings.Contains(on, `"press004"`) {
		t.Errorf("both are not on hall-9: %s", on)
	}

	t.Log("what cannot be undone is confirmed")
	b.do(chromedp.Navigate(p.url+"/devices/press002"), chromedp.WaitVisible("#facts"))
	b.tab("Remove it", "\r")
	b.tab("Type press002 to confirm", "press002")
	b.tab("Remove it", " ")
	b.at("/devices")
	b.sees("11 devices")
	b.quiet()
}

// tab goes on with the tab key until it is at what has a name, and presses keys there. Wherever it stops on its way, the focus is
// seen.
func (b *browser) tab(name, keys string) {
	b.t.Helper()
	const where = `(() => {
		const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
		const label = e.labels && e.labels.length ? e.labels[0].textContent : "";
		const shown = e === document.body || e.matches(":focus-visible") && s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 &&
			r.width > 0 && r.bottom > 0 && r.top < innerHeight && r.right > 0 && r.left < innerWidth;
		const over = document.elementFromPoint((r.left + r.right) / 2, (r.top + r.bottom) / 2);
		const covered = e !== document.body && over && !e.contains(over) && !over.contains(e);
		return [(e.getAttribute("aria-label") || label || e.textContent).replace(/\s+/g, " ").trim().slice(0, 60), String(shown && !covered), e.tagName];
	})()`
	var passed []string
	for range 200 {
		b.do(chromedp.KeyEvent("\t"))
		at := script[[]string](b, where)
		if at[1] != "true" {
			b.t.Errorf("on the way to %q nobody sees that the focus is at the %s %q", name, at[2], at[0])
		}
		if strings.HasPrefix(at[0], name) {
			if keys == " " || keys == "\r" {
				b.do(chromedp.KeyEvent(keys))
			} else {
				b.do(chromedp.SendKeys("*:focus", keys))
			}
			time.Sleep(50 * time.Millisecond) // until what opens is laid out
			return
		}
		passed = append(passed, fmt.Sprintf("%s %q", at[2], at[0]))
	}
	b.t.Fatalf("the tab key never comes to %q, but to %s", name, strings.Join(passed, ", "))
}
