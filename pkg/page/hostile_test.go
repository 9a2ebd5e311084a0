package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
)

// shownBy has the type of what each template shows. A template without one fails the test.
var shownBy = map[string]any{
	"added": newDevices{}, "build": buildView{}, "crash": crashView{}, "crashes": crashesView{}, "device": deviceView{}, "devices": devicesView{},
	"docs": docsView{}, "drop": dropView{}, "dump": dumpView{}, "events": eventsView{}, "failure": failure{}, "gateway": gatewayView{},
	"licences": []licence{}, "model": modelView{}, "models": modelsView{}, "now": nowView{}, "rollout": rolloutView{}, "rolloutnew": newRolloutView{},
	"signin": signIn{}, "starting": starting{},
}

// filler fills values with a text in every place that holds one, by reflection: a field that is added is filled, too.
type filler struct {
	text   string
	truth  bool            // of every bool, so that both branches are seen
	number int64           // of every number
	filled map[string]bool // the fields, as Type.Field
	marked []string        // fields that hold finished HTML, or what the template takes for such
}

const (
	deepest = 7 // types that hold themselves
	several = 2 // of a list
)

func (f *filler) fill(v reflect.Value, name string, depth int) {
	switch v.Type() {
	case reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(noon))
		return
	case reflect.TypeFor[json.RawMessage]():
		text, _ := json.Marshal(map[string]string{f.text: f.text})
		v.Set(reflect.ValueOf(json.RawMessage(text)))
		f.filled[name] = true
		return
	case reflect.TypeFor[template.HTML](), reflect.TypeFor[template.URL](), reflect.TypeFor[template.JS](), reflect.TypeFor[template.CSS](), reflect.TypeFor[template.HTMLAttr](), reflect.TypeFor[template.Srcset](), reflect.TypeFor[template.JSStr]():
		f.marked = append(f.marked, name)
		return
	}
	if depth > deepest {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(f.text)
		f.filled[name] = true
	case reflect.Bool:
		v.SetBool(f.truth)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(f.number)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(f.number))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(f.number))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), name, depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), several, several))
		for i := range several {
			f.fill(v.Index(i), name, depth+1)
		}
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i), name, depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(key, name, depth+1)
		f.fill(value, name, depth+1)
		v.SetMapIndex(key, value)
	case reflect.Interface:
		if v.Type().NumMethod() == 0 {
			v.Set(reflect.ValueOf(f.text))
			f.filled[name] = true
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() {
				f.fill(v.Field(i), v.Type().Name()+"."+field.Name, depth+1)
			}
		}
	}
}

// shownWith is a template with everything that it shows filled.
func shownWith(t *testing.T, name string, f *filler) (html string, err error) {
	t.Helper()
	view := reflect.New(reflect.TypeOf(shownBy[name])).Elem()
	f.fill(view, name, 0)
	all := frame{In: true, View: view.Interface(), Said: &said{f.text, f.text, f.text}, Title: f.text, Here: "/" + f.text, Changes: "/changes"}
	all.Caller.Name, all.Caller.ID, all.Caller.Role = f.text, f.text, auth.Admin
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	shape, err := templateOf(name)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = shape.ExecuteTemplate(&b, "layout.html", all)
	return b.String(), err
}

var (
	tagOf   = regexp.MustCompile(`<[!/a-zA-Z][^\s>]*`)
	leading = regexp.MustCompile(`(?i)\s(?:href|src|action|formaction|data-stream|hx-get|hx-post)\s*=\s*["']?\s*(?:javascript|vbscript|data):`)
	quotes  = regexp.MustCompile(`"[^"]*"`)
	handler = regexp.MustCompile(`(?i)<[a-z][^<>]*\s(?:on[a-z]+|style)\s*=`)
)

// TestNoFieldOfAnyViewRunsWhatIsWrittenInIt fills every field of every view with hostile texts, and holds the page against the same
// one with a harmless word: it has the same elements, no address of a script, and nothing that a browser would run.
func TestNoFieldOfAnyViewRunsWhatIsWrittenInIt(t *testing.T) {
	files, err := templateFiles.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file.Name(), ".html")
		if name == "layout" || strings.HasPrefix(name, "_") {
			continue
		}
		if shownBy[name] == nil {
			t.Errorf("the template %s shows a type that is not in shownBy", name)
			continue
		}
		for _, state := range []struct {
			truth  bool
			number int64
		}{{true, 1}, {false, 1}, {true, 0}} {
			plain := &filler{text: "harmless", truth: state.truth, number: state.number, filled: map[string]bool{}}
			want, err := shownWith(t, name, plain)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if len(plain.marked) > 0 {
				t.Errorf("%s: %v hold HTML that nothing escapes", name, plain.marked)
			}
			for what, text := range map[string]string{
				"a script":           `"><script>alert(1)</script>`,
				"an image":           `'><img src=x onerror=alert(1)>`,
				"the end of a block": `</textarea></title></pre></code></script><script>alert(1)</script>`,
				"an attribute":       `" onmouseover="alert(1)" style="x`,
				"an address":         `javascript:alert(1)`,
				"one in disguise":    " jAvA\tscript:alert(1)",
				"one of data":        `data:text/html,<script>alert(1)</script>`,
				"what turns text":    "\u202e<b>\u2066x\u200f",
				"zeros":              "\x00<b>\x00",
				"many":               strings.Repeat("<", 256),
				"no UTF-8":           "\xff\xfe<b>",
				"a template":         `{{.}}{{template "main"}}`,
			} {
				got, err := shownWith(t, name, &filler{text: text, truth: state.truth, number: state.number, filled: map[string]bool{}})
				if err != nil {
					t.Errorf("%s with %s: %v", name, what, err)
					continue
				}
				if a, b := tagOf.FindAllString(want, -1), tagOf.FindAllString(got, -1); !slices.Equal(a, b) {
					t.Errorf("%s with %s has other elements: %s", name, what, firstOther(a, b))
				}
				if m := leading.FindString(got); m != "" {
					t.Errorf("%s with %s has an address %q", name, what, m)
				}
				if m := handler.FindString(quotes.ReplaceAllString(got, `""`)); m != "" {
					t.Errorf("%s with %s has %q", name, what, m)
				}
				if strings.Contains(got, "\x00") {
					t.Errorf("%s with %s has a zero", name, what)
				}
			}
		}
	}
}

func firstOther(a, b []string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("the %dth is %s instead of %s", i, b[i], a[i])
		}
	}
	return fmt.Sprintf("%d instead of %d", len(b), len(a))
}
