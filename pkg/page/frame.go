package page

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/slipway-gateway/slipway/pkg/access"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

//go:embed templates/*.html
var templateFiles embed.FS

// templates are the views', each with the layout around it, read when it is first shown: the decode worker and the commands
// are the same program, and show none.
var templates struct {
	sync.Mutex
	layout *template.Template
	views  map[string]*template.Template
}

// templateOf is a view's, by its name.
func templateOf(name string) (*template.Template, error) {
	templates.Lock()
	defer templates.Unlock()
	if t := templates.views[name]; t != nil {
		return t, nil
	}
	if templates.layout == nil {
		// A name with _ is a part of several views.
		layout, err := template.New("").Option("missingkey=error").Funcs(functions()).ParseFS(templateFiles, "templates/layout.html", "templates/_*.html")
		if err != nil {
			return nil, err
		}
		templates.layout, templates.views = layout, map[string]*template.Template{}
	}
	t, err := templates.layout.Clone()
	if err != nil {
		return nil, err
	}
	if t, err = t.ParseFS(templateFiles, "templates/"+name+".html"); err != nil {
		return nil, err
	}
	templates.views[name] = t
	return t, nil
}

func functions() template.FuncMap {
	return template.FuncMap{
		"when":    when,
		"age":     age,
		"bytes":   func(n int64) string { return humanize.IBytes(uint64(max(n, 0))) },
		"comma":   func(n int) string { return humanize.Comma(int64(n)) },
		"comma64": func(n uint64) string { return humanize.Comma(int64(n)) },
		"asset":   asset,
		"plural":  plural,
		"word":    stateWord,
	}
}

func stateWord(s fleet.DeviceState) string { return strings.ReplaceAll(string(s), "_", " ") }

const shownTime = "2 Jan 2006, 15:04:05"

// when is a time. The script makes it the reader's; without it everybody reads the same.
func when(t time.Time) template.HTML {
	if t.IsZero() {
		return `<span class="none">never</span>`
	}
	t = t.UTC()
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `">` + t.Format(shownTime) + ` UTC</time>`) // of digits and names of months
}

// age is how long ago a time was, with the time. The script recounts it.
func age(t time.Time) template.HTML {
	if t.IsZero() {
		return `<span class="none">never</span>`
	}
	return `<span class="aged"><span class="ago">` + template.HTML(template.HTMLEscapeString(humanize.Time(t))) + `</span> <small>` + when(t) + `</small></span>`
}

// plural is "1 device" or "2 devices".
func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(int64(n)) + " " + more
}

// frame is what the layout shows around a view.
type frame struct {
	Title   string
	Here    string // the address of the view, with its query
	Nav     []place
	Caller  access.Caller // the zero one for who is not signed in
	In      bool          // somebody is
	Said    *said
	Changes string // the address of the stream that the page listens to, "" for none
	View    any
}

// place is one of the navigation.
type place struct {
	Name, Address string
	Here          bool
}

// May reports that the reader may do what asks for a role.
func (f frame) May(role string) bool { return f.In && f.Caller.Is(auth.Role(role)) }

// Who is the reader's name.
func (f frame) Who() string {
	if f.Caller.Name != "" {
		return f.Caller.Name
	}
	return f.Caller.ID
}

func (p *Page) frame(r *http.Request, title string) frame {
	f := frame{Title: title, Here: r.URL.RequestURI()}
	for _, one := range views(p) {
		if one.Nav == "" {
			continue
		}
		address := strings.TrimSuffix(one.Pattern, "{$}")
		here := r.URL.Path == address || address != "/" && strings.HasPrefix(r.URL.Path, address+"/")
		f.Nav = append(f.Nav, place{one.Nav, address, here})
	}
	return f
}

// policy lets nothing in but files of ours, and has browsers tell what they stopped.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; report-uri " + reportsPath

func render(w http.ResponseWriter, r *http.Request, status int, name string, f frame) error {
	t, err := templateOf(name)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "layout.html", f); err != nil {
		return err
	}
	return sendPage(w, r, status, b.Bytes())
}

// sendPage is HTML. Only what is read is packed: what an act answers may have a secret in it, whose length would tell of it.
func sendPage(w http.ResponseWriter, r *http.Request, status int, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "same-origin") // with no-referrer a browser sends our own forms with "Origin: null"
	h.Set("Vary", "Accept, Accept-Encoding, "+liveHeader)
	access.Private(w)
	if r.Method == http.MethodGet && takesGzip(r) {
		if packed := packFast(body); packed != nil {
			h.Set("Content-Encoding", "gzip")
			body = packed
		}
	}
	return endpoint.Write(w, status, body)
}

// show is a view for who may read. Who is not signed in gets the form at the same address: a link that was handed over leads
// where it should.
func (p *Page) show(one view) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		access.Private(w)
		caller, err := p.Access.Allowed(w, r, auth.Viewer)
		var e *endpoint.Error
		if errors.As(err, &e) && e.Status == http.StatusUnauthorized {
			return p.signInForm(w, r, http.StatusUnauthorized, "", r.URL.RequestURI())
		}
		if err != nil {
			return err
		}
		p.Access.Touch(r.Context(), caller)
		v := &visit{w, r, caller}
		if r.Header.Get(liveHeader) != "" {
			return access.Visible(p.showAgain(one, v))
		}
		mark := p.Hints.Mark() // what changes while it is read changes the page, too
		found, err := one.Load(v)
		if err != nil {
			return access.Visible(err)
		}
		return p.render(v, http.StatusOK, one.Name, mark, found)
	}
}

func (p *Page) render(v *visit, status int, name, mark string, found shown) error {
	f := p.frame(v.r, found.Title)
	f.Caller, f.In, f.View = v.caller, true, found.View
	if mark != "" { // else it is the answer of an act, whose address nobody can ask for again
		f.Changes = changesPath + "?since=" + mark
	}
	f.Said = takeSaid(v)
	return render(v.w, v.r, status, name, f)
}

// mostForm bytes of a form are read.
const mostForm = 1 << 20

// do is an act: its guard has let in who may, and has refused what another site sends.
func (p *Page) do(one act) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		caller, err := p.Access.Caller(r)
		if err != nil {
			return err
		}
		if err := p.Access.OwnPage(r); err != nil {
			return err
		}
		p.Access.Touch(r.Context(), caller)
		r.Body = http.MaxBytesReader(w, r.Body, mostForm)
		if err := r.ParseForm(); err != nil {
			return endpoint.Errorf(http.StatusBadRequest, "bad_form", "the form cannot be read: %v", err)
		}
		v := &visit{w, r, caller}
		d, err := one.Do(v)
		if err != nil {
			return access.Visible(err)
		}
		return p.finish(v, d)
	}
}

// take is an act whose form has a file: it reads its own body, as it comes.
func (p *Page) take(one act) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		caller, err := p.Access.Caller(r)
		if err != nil {
			return err
		}
		if err := p.Access.OwnPage(r); err != nil {
			return err
		}
		p.Access.Touch(r.Context(), caller)
		v := &visit{w, r, caller}
		d, err := one.Do(v)
		if err != nil {
			return access.Visible(err)
		}
		return p.finish(v, d)
	}
}

// finish shows what an act has led to.
func (p *Page) finish(v *visit, d done) error {
	if d.View != "" {
		return p.render(v, cmp.Or(d.Status, http.StatusOK), d.View, "", d.Shows)
	}
	leaveSaid(v, d.Said)
	return seeOther(v.w, d.To)
}

func seeOther(w http.ResponseWriter, to string) error {
	w.Header().Set("Location", to)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// local is an address of this page, "/" for what leads elsewhere.
func local(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.ContainsAny(to, "\\\r\n") {
		return "/"
	}
	if path.Clean(u.Path) == "/login" {
		return "/"
	}
	return u.RequestURI()
}

// What an act says is shown once, at the next view: it waits in a cookie.
const (
	saidCookie = "slipway_said"
	mostSaid   = 2048 // bytes
)

func leaveSaid(v *visit, s said) {
	text, err := json.Marshal(s)
	if s.Text == "" || err != nil || len(text) > mostSaid {
		return
	}
	setSaid(v, base64.RawURLEncoding.EncodeToString(text), time.Minute)
}

func takeSaid(v *visit) *said {
	c, err := v.r.Cookie(saidCookie)
	if err != nil {
		return nil
	}
	setSaid(v, "", -time.Second)
	text, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return nil
	}
	var s said
	if json.Unmarshal(text, &s) != nil || s.Text == "" {
		return nil
	}
	return &s
}

func setSaid(v *visit, value string, age time.Duration) {
	http.SetCookie(v.w, &http.Cookie{
		Name: saidCookie, Value: value, Path: "/", MaxAge: int(age.Seconds()), HttpOnly: true, Secure: v.r.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
}
