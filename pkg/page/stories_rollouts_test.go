//go:build browser

package page

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

func TestBrowserAPlantEngineerTriesABuildStopsItAndTakesItBack(t *testing.T) {
	tryAndTakeBack(t, true)
}

// TestBrowserWithoutScriptsAnEngineerTakesABuildBack plays the same where a browser runs no script: every act is a form, and what
// has come is there after a reload.
func TestBrowserWithoutScriptsAnEngineerTakesABuildBack(t *testing.T) {
	tryAndTakeBack(t, false)
}

// goBack devices of the first wave, which has sixInWave of them, do not stay with 1.1.0.
const (
	goBack    = 4
	sixInWave = `{"waves":[{"devices":6,"rest":"1s"},{"share":1}],"unproven":6}`
)

func tryAndTakeBack(t *testing.T, scripts bool) {
	p := startLine(t)
	engineer := field(p.run("", "token", "create", "--role", "operator", "--name", "Elif Engineer"), "token")
	p.hand("1.1.0")
	p.run("", "firmware", "publish", "press", "1.0.0")
	p.run("", "rollout", "plan", "press", sixInWave)
	s := p.shift()
	b := startBrowser(t, strings.TrimPrefix(p.url, "http://"))
	b.screen(1280, 800, "light")
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !scripts})
	b.signIn(p.plant, engineer)
	comes := func(texts ...string) { // by itself, or after a reload
		for _, text := range texts {
			p.until("the page says "+text, func() bool {
				if !scripts && !strings.Contains(b.text(), text) {
					b.do(chromedp.Navigate(ask(b, chromedp.Location())), chromedp.WaitVisible("#main"))
				}
				return strings.Contains(b.text(), text)
			})
		}
		b.fits()
	}

	t.Log("try a build on one machine")
	b.press("Devices")
	b.do(chromedp.SendKeys("#q", "press005\r"))
	b.sees("1 device")
	b.press("Press 5")
	b.press("Which build it is offered")
	b.do(chromedp.SendKeys("#pin", "1.1.0"))
	b.press("Offer it")
	b.sees("1.1.0, pinned")
	p.until("press005 runs it", func() bool { return s.runs(5) == "1.1.0" })
	p.until("nobody else does", func() bool { return len(s.running("1.0.0")) == 11 })

	t.Log("start a rollout, once it was read what the plan would do")
	b.press("Models")
	b.sees("Add a model")
	b.press("press")
	b.press("Start a rollout")
	b.do(chromedp.SendKeys("#version", "1.1.0"))
	b.press("Show what the plan would do")
	b.sees("What the plan would do", "1.1.0 for 12 devices", "Nothing was started yet")
	if said := p.get("/api/rollouts?model=press"); strings.Contains(said, `"number"`) {
		t.Errorf("what was shown only is a rollout: %s", said)
	}
	b.press("Start it")
	b.sees("The rollout of 1.1.0 has started.", "To undo it: halt it")
	b.at("/models/press/rollouts/1")
	script[bool](b, `(() => { window.stays = true; return true })()`)

	t.Log("it halts by what its devices do, and the page that is open says why")
	comes("Halted: 3 of the first 3 devices went back", "What you can do", "Take it back")
	for what, selector := range map[string]string{"its state": "#what .mark", "its sentence": "#how .lead"} {
		if said := script[string](b, fmt.Sprintf("document.querySelector(%q).textContent", selector)); !strings.Contains(strings.ToLower(said), "halted") {
			t.Errorf("once it has halted, %s says %q", what, said)
		}
	}
	p.until("all that go back did", func() bool { return len(s.wentBack()) == goBack })
	comes("Back at the build before")
	var who []string
	for _, n := range s.wentBack() {
		who = append(who, key(n))
	}
	var named []string
	t.Cleanup(func() {
		if !slices.Equal(who, named) {
			t.Logf("%v went back, and %v are named", who, named)
		}
	})
	p.until("each that went back is named, and nobody else", func() bool { // also who was offered it once more before the halt
		if !scripts {
			b.do(chromedp.Navigate(ask(b, chromedp.Location())), chromedp.WaitVisible("#main"))
		}
		named = script[[]string](b, `[...document.querySelectorAll("#trouble tbody a")].map((a) => a.textContent)`)
		return slices.Equal(who, named)
	})
	if stays := script[bool](b, "window.stays === true"); stays != scripts {
		t.Errorf("the page is still the one that was opened: %v, want %v", stays, scripts)
	}
	kept := s.running("1.1.0")
	if len(kept) != 3 || !slices.Contains(kept, 5) {
		t.Errorf("1.1.0 runs on %v", kept)
	}

	t.Log("take it back, with a reason")
	b.press("Take it back")
	b.do(chromedp.SendKeys("#reason-retreat", "it crashes in hall 2"))
	b.do(chromedp.SendKeys("form[action$='/retreat'] [name=untested]", " "))
	b.do(chromedp.Click("form[action$='/retreat'] button"))
	b.sees("It is taken back, in waves.")
	p.until("whoever had it runs 1.0.0 again, but the one that is pinned", func() bool { return slices.Equal(s.running("1.1.0"), []int{5}) })
	comes("went back to 1.0.0", "retreated")
	b.press("Events")
	b.sees("rollout halted: 3 of the first 3 devices went back", "rollout retreating: it crashes in hall 2")
	proof := script[string](b, `[...document.querySelectorAll("#list tbody tr")].find((r) => r.innerText.includes("rollout retreating")).innerText`)
	if !strings.Contains(proof, "Elif Engineer") {
		t.Errorf("who took it back is not in its row: %q", proof)
	}

	refusedAndMended(p, b, comes)
	handedOver(p, b, scripts)
	b.quiet()
}

// refusedAndMended drops a ZIP of a model that nobody has made.
func refusedAndMended(p *linePlant, b *browser, comes func(...string)) {
	p.t.Helper()
	p.t.Log("see why a ZIP did not go in, and mend it")
	b.press("Inbox")
	b.sees("Refused", "Nothing was refused.")
	zip, err := p.builds["1.0.0"].Bundle("valve")
	b.must(err)
	b.must(os.WriteFile(filepath.Join(p.dir, "state", "drop", "from-the-builder.zip"), zip, 0o644))
	comes("from-the-builder.zip", "What helps:", "Make model valve and take it again")
	b.press("Make model valve and take it again")
	b.sees("Model valve is made")
	comes("Nothing was refused.", "build accepted")
	b.press("Models")
	b.sees("Add a model")
	b.press("valve")
	b.sees("1.0.0", "published")
}

// handedOver opens the address of a filtered list in another browser, which leads through the sign-in.
func handedOver(p *linePlant, b *browser, scripts bool) {
	p.t.Helper()
	p.t.Log("hand over a link")
	b.press("Devices")
	b.sees("12 devices")
	b.press("1.1.0")
	b.sees("1 device")
	link := ask(b, chromedp.Location())
	other := startBrowser(p.t, strings.TrimPrefix(p.url, "http://"))
	other.screen(360, 740, "dark")
	call(other, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !scripts})
	other.do(chromedp.Navigate(link), chromedp.WaitVisible("#token"), chromedp.SendKeys("#token", p.viewer+"\r"))
	other.sees("1 device", "Press 5", "pinned")
	other.at(strings.TrimPrefix(link, p.url))
	other.quiet()
}

// shift are the presses, which the test plays: each asks what it is offered, fetches it, and says what it runs. The first goBack
// that a rollout gives 1.1.0 crash with it, and their bootloaders go back.
type shift struct {
	p  *linePlant
	mu sync.Mutex // guards what follows
	at map[int]*life
}

type life struct {
	runs, left string
	rounds     int // since it runs that
}

func (p *linePlant) shift() *shift {
	p.t.Helper()
	s := &shift{p: p, at: map[int]*life{}}
	for n := 1; n <= 12; n++ {
		s.at[n] = &life{runs: "1.0.0"}
	}
	end, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case <-end:
				return
			case <-time.After(300 * time.Millisecond):
			}
			for n := 1; n <= 12; n++ {
				if err := s.comes(n); err != nil {
					p.t.Errorf("device %d: %v", n, err)
					return
				}
			}
		}
	}()
	p.t.Cleanup(func() { close(end); <-over })
	return s
}

// comes is one contact of a device.
func (s *shift) comes(n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.at[n]
	d.rounds++
	if d.runs == "1.1.0" && n != 5 && d.rounds == 3 && len(s.back()) < goBack {
		for _, dump := range s.p.builds["1.1.0"].Dumps {
			if _, err := s.ask(n, http.MethodPost, "/api/iot/coredump?chip=esp32c3&firmware_version=1.1.0", dump); err != nil {
				return err
			}
			break
		}
		*d = life{runs: "1.0.0", left: "1.1.0"}
	}
	answer, err := s.ask(n, http.MethodGet, "/api/iot/firmware-version", nil)
	if err != nil {
		return err
	}
	var offered struct {
		Version string `json:"firmware_version"`
	}
	if err := json.Unmarshal(answer, &offered); err != nil || offered.Version == d.runs || offered.Version == d.left {
		return err
	}
	if _, err := s.ask(n, http.MethodGet, "/api/iot/firmware", nil); err != nil {
		return err
	}
	*d = life{runs: offered.Version}
	return nil
}

func (s *shift) ask(n int, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequest(method, s.p.url+path, strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth("iotdevice-press-"+key(n), s.p.secrets[key(n)])
	req.Header.Set("X-Running-Version", s.at[n].runs)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return answer, err
}

func (s *shift) back() []int { return s.those(func(d *life) bool { return d.left != "" }) }

func (s *shift) those(which func(*life) bool) (found []int) {
	for n := 1; n <= 12; n++ {
		if which(s.at[n]) {
			found = append(found, n)
		}
	}
	return found
}

func (s *shift) wentBack() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.back()
}

func (s *shift) running(version string) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.those(func(d *life) bool { return d.runs == version })
}

func (s *shift) runs(n int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at[n].runs
}
