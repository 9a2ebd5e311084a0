//go:build browser

package page

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestBrowserAnEngineerHandsInReadsAgainAndIgnoresAndAnAdminLeadsEventsElsewhere(t *testing.T) {
	deskWork(t, true)
}

// TestBrowserWithoutScriptsTheWorkAtADeskIsDone plays the same where a browser runs no script.
func TestBrowserWithoutScriptsTheWorkAtADeskIsDone(t *testing.T) {
	deskWork(t, false)
}

// desk is a browser that stands before a line of presses.
type atDesk struct {
	*browser
	p       *linePlant
	scripts bool
}

func deskWork(t *testing.T, scripts bool) {
	p := startLine(t)
	engineer := field(p.run("", "token", "create", "--role", "operator", "--name", "Elif Engineer"), "token")
	admin := field(p.run("", "token", "create", "--role", "admin", "--name", "Olaf Admin"), "token")
	d := atDesk{startBrowser(t, strings.TrimPrefix(p.url, "http://")), p, scripts}
	d.screen(1280, 800, "light")
	call(d.browser, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !scripts})
	d.signIn(p.plant, engineer)
	crash, frame := d.handIn()
	d.readAgain(frame)
	d.readAllAgain(crash, frame)
	d.ignoreUntil(crash)
	d.press("Sign out")
	d.do(chromedp.WaitVisible("#token"))
	d.signIn(p.plant, admin)
	d.leadElsewhere(crash)
	d.quiet()
}

// comes waits until the page says something: by itself, or after a reload where no script runs.
func (d atDesk) comes(texts ...string) {
	d.t.Helper()
	for _, text := range texts {
		d.p.until("the page says "+text, func() bool {
			if !d.scripts && !strings.Contains(d.text(), text) {
				d.do(chromedp.Navigate(ask(d.browser, chromedp.Location())), chromedp.WaitVisible("#main"))
			}
			return strings.Contains(d.text(), text)
		})
	}
	d.fits()
}

// told are the events of a kind, oldest first.
func (d atDesk) told(kind fleet.EventKind) []fleet.Event {
	d.t.Helper()
	var page struct{ Events []fleet.Event }
	d.must(json.Unmarshal([]byte(d.p.get("/api/events?kind="+string(kind))), &page))
	return page.Events
}

// tellsOf fails unless so many events of a kind are there, and the last is of somebody and says something.
func (d atDesk) tellsOf(n int, kind fleet.EventKind, who, object, details string) {
	d.t.Helper()
	var all []fleet.Event
	d.p.until(fmt.Sprintf("%d events tell of %s", n, kind), func() bool { all = d.told(kind); return len(all) >= n })
	last := all[len(all)-1]
	if len(all) != n || last.Actor.Name != who || last.Object.ID != object || !strings.Contains(string(last.Details), details) {
		d.t.Errorf("told of %s %d times, last by %q of %q: %s; want %d, by %q of %q with %s", kind, len(all), last.Actor.Name, last.Object.ID, last.Details, n, who, object, details)
	}
}

// handIn uploads the ZIP that a dump waits for where the Inbox has its form, and has the group that the dump comes into.
func (d atDesk) handIn() (crash, frame string) {
	d.t.Log("a dump waits for its bundle, which is handed in at the Inbox")
	p := d.p
	zip, err := p.know("1.2.0").Bundle("press")
	d.must(err)
	file := filepath.Join(p.dir, "from-the-builder.zip")
	d.must(os.WriteFile(file, zip, 0o600))
	p.crashes(3, "1.2.0")
	p.until("a dump waits for its ELF", func() bool { return strings.Contains(p.get("/api/coredumps?state=missing"), "press003") })
	d.press("Inbox")
	d.sees("Core dumps wait for these")
	d.do(chromedp.SetUploadFiles("#file", []string{file}))
	d.press("Upload")
	d.sees("press 1.2.0 is accepted and published: 12 devices are offered it now.", "slipway firmware add from-the-builder.zip")
	d.at("/drop")
	d.comes("Nothing: every core dump has its symbols.", "build accepted")
	if builds := p.get("/api/device-models/press/builds"); !strings.Contains(builds, `"1.2.0"`) {
		d.t.Errorf("the builds are %s", builds)
	}
	d.tellsOf(2, "build.accepted", "Elif Engineer", "press/1.2.0", `"published":true`)
	p.until("the dump has its report", func() bool { return strings.Contains(p.get("/api/coredumps?state=reported"), "press003") })
	crash, frame = p.newestCrash()
	return crash, frame
}

// readAgain has a dump decoded again that a disk had spoilt, once the disk is mended.
func (d atDesk) readAgain(frame string) {
	d.t.Log("a dump that was read wrongly is decoded again")
	p := d.p
	p.device(4, http.MethodPost, "/api/iot/coredump?chip=esp32c3&firmware_version=1.0.0", []byte("what a disk at fault has made of it"))
	var failed struct {
		Dumps []struct{ Name, Why string } `json:"coredumps"`
	}
	p.until("it cannot be read", func() bool {
		d.must(json.Unmarshal([]byte(p.get("/api/coredumps?state=failed")), &failed))
		return len(failed.Dumps) == 1
	})
	name := failed.Dumps[0].Name
	d.press("Crashes")
	d.press(failed.Dumps[0].Why)
	d.sees(failed.Dumps[0].Why, "failed")
	d.at("/dumps/press004/" + name)
	d.must(os.WriteFile(filepath.Join(p.dir, "state", "coredumps", "press004", name+".dmp"), p.firstDump("1.0.0"), 0o600))
	d.press("Decode it again")
	d.sees("It is decoded again", "slipway dump decode press004 "+name)
	d.comes("reported", "Stack", frame)
	if text := d.text(); strings.Contains(text, failed.Dumps[0].Why) {
		d.t.Errorf("it says still why it could not be read:\n%s", text)
	}
	if state := p.get("/api/coredumps/press004/" + name); !strings.Contains(state, `"reported"`) {
		d.t.Errorf("the dump is %s", state)
	}
	d.tellsOf(1, "dump.decoded_again", "Elif Engineer", "press004/"+name, `"after":"reported","before":"failed"`)
}

// readAllAgain has both dumps of a crash decoded again in one act.
func (d atDesk) readAllAgain(crash, frame string) {
	d.t.Log("all dumps of a crash are decoded again")
	d.press("Crashes")
	d.press(frame)
	d.press("Decode its dumps again")
	d.sees("2 dumps of it are decoded again", "slipway crash decode "+crash)
	var all []fleet.Event
	d.p.until("both are told of", func() bool { all = d.told("dump.decoded_again"); return len(all) == 3 })
	if of := all[1].Object.ID + " " + all[2].Object.ID; !strings.Contains(of, "press003/") || !strings.Contains(of, "press004/") || all[1].Actor.Name != "Elif Engineer" || all[2].Actor.Name != "Elif Engineer" {
		d.t.Errorf("told of %+v", all[1:])
	}
}

// ignoreUntil ignores a crash until two more have come, until one of a build has, and until a day.
func (d atDesk) ignoreUntil(crash string) {
	d.t.Log("a crash is ignored until something")
	p := d.p
	var group struct {
		State    string
		Until    struct{ Crashes, Left int } `json:"ignored_until"`
		Reopened string
	}
	is := func(state string) bool {
		group.State = ""
		d.must(json.Unmarshal([]byte(p.get("/api/crashes/"+crash)), &group))
		return group.State == state
	}
	ignore := func(field, keys, says string) {
		d.t.Helper()
		d.press("Ignore")
		d.do(chromedp.SendKeys(field, keys), chromedp.Click("form[action$='/ignore'] button"))
		d.sees("It is ignored "+says, "Then it is open again by itself.", "To undo it: open it again")
		if !is("ignored") {
			d.t.Errorf("after it was ignored it is %s", group.State)
		}
	}
	d.at("/crashes/" + crash)

	ignore("#until-crashes", "2", "until 2 more crashes: ")
	d.tellsOf(1, "crash.ignored", "Elif Engineer", crash, `"crashes":2`)
	p.crashes(5, "1.0.0")
	d.comes("until 2 more crashes (1 of them to come)")
	p.crashes(6, "1.0.0")
	d.comes("Open again by itself: 2 more crashes came, and it was ignored until then.")
	if !is("open") {
		d.t.Errorf("once two crashes have come it is %s", group.State)
	}

	ignore("#until-version", "1.2.0", "until a crash of 1.2.0 or later: ")
	d.tellsOf(2, "crash.ignored", "Elif Engineer", crash, `"version":"1.2.0"`)
	p.crashes(7, "1.0.0")
	d.comes("on 5 devices")
	if !is("ignored") {
		d.t.Errorf("after a crash of 1.0.0 it is %s", group.State)
	}
	p.crashes(8, "1.2.0")
	d.comes("Open again by itself: a crash of 1.2.0 came, and it was ignored until 1.2.0.")

	ignore("#until-day", "12312090", "until 2090-12-31T00:00:00Z: ")
	d.tellsOf(3, "crash.ignored", "Elif Engineer", crash, `"at":"2090-12-31T00:00:00Z"`)
	d.press("Open again")
	d.sees("It is open again.")
	if !is("open") {
		d.t.Errorf("after it was opened again it is %s", group.State)
	}
}

// receiver takes what a webhook sends.
type receiver struct {
	mu    sync.Mutex // guards what follows
	kinds []string
}

func (d atDesk) receiver() (*receiver, string) {
	r := &receiver{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		var e fleet.Event
		body, err := io.ReadAll(req.Body)
		if err == nil {
			err = json.Unmarshal(body, &e)
		}
		if err != nil {
			d.t.Errorf("a webhook sends %q: %v", body, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.kinds = append(r.kinds, string(e.Kind))
	}))
	d.t.Cleanup(server.Close)
	return r, server.URL
}

func (r *receiver) has() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.kinds, " ")
}

// leadElsewhere adds a webhook, and changes where it leads, what it is called and what it takes.
func (d atDesk) leadElsewhere(crash string) {
	d.t.Log("an admin has a webhook lead elsewhere")
	p := d.p
	tickets, first := d.receiver()
	pager, second := d.receiver()
	d.press("Gateway")
	d.sees("None: events are sent nowhere.")
	d.press("New webhook")
	d.do(chromedp.SendKeys("#webhook-url", first+"/in?key=k"), chromedp.SendKeys("#webhook-name", "tickets"), chromedp.SendKeys("#webhook-kinds", "device"))
	d.press("Add it")
	d.sees("The secret that signs what tickets is sent, shown this once: whsec_")
	p.run("", "device", "set", "press009", "--revoked")
	p.until("the first receiver is told", func() bool { return tickets.has() == "device.revoked" })

	var hooks struct {
		Webhooks []struct {
			ID, Name string
			URL      string
			Kinds    []string
		}
	}
	read := func() { d.must(json.Unmarshal([]byte(p.run("", "webhook", "list", "--format", "json")), &hooks)) }
	if read(); len(hooks.Webhooks) != 1 {
		d.t.Fatalf("the webhooks are %+v", hooks)
	}
	id := hooks.Webhooks[0].ID
	d.press("Change tickets")
	instead := func(field, text string) { // all that stands there
		d.do(chromedp.Click(field), chromedp.KeyEvent("a", chromedp.KeyModifiers(2)), chromedp.KeyEvent(text))
	}
	instead("#webhook-name-"+id, "pager")
	instead("#webhook-kinds-"+id, "crash")
	d.do(chromedp.SendKeys("#webhook-url-"+id, second+"/in?key=other"))
	d.press("Save")
	host := strings.TrimPrefix(second, "http://")
	d.sees(`pager is named "pager", is sent to another address at `+host+", takes crash.", "To undo it: enter what was there", "slipway webhook set "+id)
	row := script[string](d.browser, `document.querySelector("#webhooks tbody tr").innerText`)
	if !strings.HasPrefix(row, "pager") || !strings.Contains(row, "crash") || strings.Contains(row, "device") {
		d.t.Errorf("its row says %q", row)
	}
	if read(); hooks.Webhooks[0].Name != "pager" || hooks.Webhooks[0].URL != second+"/in?key=other" || fmt.Sprint(hooks.Webhooks[0].Kinds) != "[crash]" {
		d.t.Errorf("it is %+v", hooks.Webhooks)
	}
	d.tellsOf(1, "webhook.changed", "Olaf Admin", id, "pager")
	p.run("", "device", "set", "press009", "--revoked=false")
	p.run("", "crash", "ignore", crash)
	p.until("the second receiver is told", func() bool { return pager.has() != "" })
	if pager.has() != "crash.ignored" || tickets.has() != "device.revoked" {
		d.t.Errorf("the first receiver has %q, the second %q", tickets.has(), pager.has())
	}
}
