package page

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
)

// description is what the page reads of the API's own, OpenAPI 3.1. Tests hold the whole of it against the routes and the types.
type description struct {
	Info       struct{ Title, Description string }
	Paths      map[string]map[string]described
	Components struct {
		Schemas map[string]schema
	}
}

type described struct {
	ID          string `json:"operationId"`
	Tags        []string
	Summary     string
	Description string
	Security    []map[string][]string
	Parameters  []parameter
	Body        *struct {
		Required bool
		Content  map[string]media
	} `json:"requestBody"`
	Responses map[string]struct {
		Ref         string `json:"$ref"`
		Description string
		Content     map[string]media
	}
}

type parameter struct {
	Name, In, Description string
	Required              bool
	Schema                schema
}

type media struct {
	Schema  schema
	Example any
}

type schema struct {
	Ref         string `json:"$ref"`
	Type        any    // a name, or a list of them
	Format      string
	Description string
	Enum        []any
	Const       any
	Examples    []any
	Items       *schema
	OneOf       []schema
	Properties  map[string]schema
	Required    []string
	Additional  json.RawMessage `json:"additionalProperties"`
}

const ofSchemas = "#/components/schemas/"

// docsView is the description as people read it.
type docsView struct {
	Intro   string
	Tags    []docsTag
	Schemas []docsSchema
}

type docsTag struct {
	Name       string
	Operations []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary, Description string
	Who                                    string
	Parameters                             []docsField
	Bodies, Answers                        []docsBody
	Errors                                 string // the statuses that have the body of all errors
	Curl                                   string
}

// docsBody is what is sent or answered.
type docsBody struct {
	Status, Text string
	Media        string
	Of           docsType
	Fields       []docsField // of an object without a name of its own
	Example      string      // where the type has no place of its own
}

type docsField struct {
	Name, Where, Text string
	Required          bool
	Of                docsType
}

// docsType is a type in words; Name is that of a schema, which has a place of its own on the page.
type docsType struct{ Before, Name string }

type docsSchema struct {
	Name, Text string
	Fields     []docsField
	Example    string // of a body
}

// tags are in the order in which people meet them; others come behind.
var tags = []string{"device", "pipeline", "models", "rollouts", "devices", "crashes", "coredumps", "gateway"}

// Docs shows the description of the API, which it reads from JSON, to whoever asks.
func Docs(o Options, text func() ([]byte, error)) endpoint.Handler {
	p := &Page{Options: o}
	read := sync.OnceValues(func() (d description, err error) {
		b, err := text()
		if err == nil {
			err = json.Unmarshal(b, &d)
		}
		return d, err
	})
	return func(w http.ResponseWriter, r *http.Request) error {
		d, err := read()
		if err != nil {
			return err
		}
		f := p.frame(r, "API")
		if c, err := p.Access.Caller(r); err == nil && c.Is(auth.Viewer) {
			f.Caller, f.In = c, true
		}
		f.View = d.view(p.Gateway.BaseURL())
		return render(w, r, http.StatusOK, "docs", f)
	}
}

func (d description) view(base string) docsView {
	v := docsView{Intro: d.Info.Description}
	of := map[string][]docsOperation{}
	for path, methods := range d.Paths {
		for method, one := range methods {
			tag := "other"
			if len(one.Tags) > 0 {
				tag = one.Tags[0]
			}
			of[tag] = append(of[tag], d.operation(strings.ToUpper(method), path, one, base))
		}
	}
	place := func(tag string) int {
		if i := slices.Index(tags, tag); i >= 0 {
			return i
		}
		return len(tags)
	}
	for tag, operations := range of {
		slices.SortFunc(operations, func(a, b docsOperation) int {
			return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Method, b.Method))
		})
		v.Tags = append(v.Tags, docsTag{tag, operations})
	}
	slices.SortFunc(v.Tags, func(a, b docsTag) int { return cmp.Or(place(a.Name)-place(b.Name), strings.Compare(a.Name, b.Name)) })
	for name, s := range d.Components.Schemas {
		v.Schemas = append(v.Schemas, docsSchema{name, s.Description, s.fields(), s.shown()})
	}
	slices.SortFunc(v.Schemas, func(a, b docsSchema) int { return strings.Compare(a.Name, b.Name) })
	return v
}

func (d description) operation(method, path string, one described, base string) docsOperation {
	o := docsOperation{ID: one.ID, Method: method, Path: path, Summary: one.Summary, Description: one.Description, Who: who(one.Security)}
	for _, p := range one.Parameters {
		o.Parameters = append(o.Parameters, docsField{p.Name, p.In, cmp.Or(p.Description, p.Schema.Description), p.Required, p.Schema.inWords()})
	}
	if one.Body != nil {
		for kind, m := range one.Body.Content {
			o.Bodies = append(o.Bodies, docsBody{Media: kind, Of: m.Schema.inWords(), Fields: d.whole(m.Schema).fields(), Example: inJSON(m.Example)})
		}
		slices.SortFunc(o.Bodies, func(a, b docsBody) int { return strings.Compare(a.Media, b.Media) })
	}
	var failing []string
	for status, r := range one.Responses {
		if strings.HasSuffix(r.Ref, "/Error") {
			failing = append(failing, strings.Replace(status, "default", "any other", 1))
			continue
		}
		if len(r.Content) == 0 {
			o.Answers = append(o.Answers, docsBody{Status: status, Text: r.Description})
		}
		for kind, m := range r.Content {
			o.Answers = append(o.Answers, docsBody{status, r.Description, kind, m.Schema.inWords(), m.Schema.fields(), inJSON(m.Example)})
		}
	}
	slices.SortFunc(o.Answers, func(a, b docsBody) int {
		return cmp.Or(strings.Compare(a.Status, b.Status), strings.Compare(a.Media, b.Media))
	})
	slices.Sort(failing)
	o.Errors = strings.Join(failing, ", ")
	o.Curl = d.curl(method, path, one, base)
	return o
}

// who may call it, in words.
func who(ways []map[string][]string) string {
	var all []string
	for _, way := range ways {
		for scheme, roles := range way {
			switch scheme {
			case "operator":
				all = append(all, "a token of the role "+strings.Join(roles, " or "))
			case "device":
				all = append(all, "a device's access token")
			case "basic":
				all = append(all, "a device's client id and secret")
			case "target":
				all = append(all, "a device's TargetToken")
			case "socket":
				all = append(all, "the command line on the gateway")
			default:
				all = append(all, scheme)
			}
		}
	}
	if len(all) == 0 {
		return "anybody"
	}
	return strings.Join(all, ", or ")
}

// inWords is a type as people say it.
func (s schema) inWords() docsType {
	if name, ok := strings.CutPrefix(s.Ref, ofSchemas); ok {
		return docsType{"", name}
	}
	if s.Const != nil {
		return docsType{fmt.Sprintf("%q", fmt.Sprint(s.Const)), ""}
	}
	if len(s.Enum) > 0 {
		words := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			words[i] = fmt.Sprintf("%q", fmt.Sprint(v))
		}
		return docsType{strings.Join(words, ", "), ""}
	}
	if len(s.OneOf) > 0 {
		var words []string
		name := ""
		for _, one := range s.OneOf {
			if t := one.inWords(); t.Name != "" {
				name = t.Name
			} else {
				words = append(words, t.Before)
			}
		}
		if name != "" {
			words = append(words, "")
		}
		return docsType{strings.Join(words, " or "), name}
	}
	kind, null := s.kind()
	var t docsType
	switch kind {
	case "array":
		t = docsType{"list", ""}
		if s.Items != nil {
			of := s.Items.inWords()
			t = docsType{"list of " + of.Before, of.Name}
		}
	case "object":
		t = docsType{"object", ""}
		var of schema
		if len(s.Additional) > 0 && s.Additional[0] == '{' && json.Unmarshal(s.Additional, &of) == nil {
			each := of.inWords()
			t = docsType{"map of names to " + each.Before, each.Name}
		}
	case "string":
		t = docsType{map[string]string{"": "text", "date-time": "time, RFC 3339"}[s.Format], ""}
	case "":
		t = docsType{"any JSON", ""}
	default:
		t = docsType{kind, ""}
	}
	if null {
		t.Before = "null or " + t.Before
	}
	return t
}

// shown is the example of a body's type, "" of one that is part of others only.
func (s schema) shown() string {
	if len(s.Examples) == 0 {
		return ""
	}
	return inJSON(s.Examples[0])
}

// inJSON is a value as people read it, "" for none.
func inJSON(v any) string {
	if v == nil {
		return ""
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return ""
	}
	return string(text)
}

// kind is the type, and whether null is one, too.
func (s schema) kind() (kind string, null bool) {
	switch t := s.Type.(type) {
	case string:
		return t, false
	case []any:
		for _, one := range t {
			if one == "null" {
				null = true
			} else {
				kind, _ = one.(string)
			}
		}
	}
	return kind, null
}

func (s schema) fields() []docsField {
	var all []docsField
	for name, p := range s.Properties {
		all = append(all, docsField{Name: name, Text: p.Description, Required: slices.Contains(s.Required, name), Of: p.inWords()})
	}
	slices.SortFunc(all, func(a, b docsField) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// curl is a line that calls an operation, with the secret in the environment.
func (d description) curl(method, path string, one described, base string) string {
	var b strings.Builder
	b.WriteString("curl -sS --cacert ca.crt")
	switch method {
	case http.MethodGet:
	case http.MethodHead:
		b.WriteString(" --head")
	default:
		b.WriteString(" -X " + method)
	}
	switch {
	case len(one.Security) == 0:
	case one.Security[0]["socket"] != nil:
		b.Reset()
		b.WriteString("curl -sS --unix-socket /run/slipway/slipway.sock")
		base = "http://slipway"
	case one.Security[0]["target"] != nil:
		b.WriteString(` -H "Authorization: TargetToken $DEVICE_SECRET"`)
	default:
		b.WriteString(` -H "Authorization: Bearer $SLIPWAY_TOKEN"`)
	}
	if one.Body != nil {
		switch m, isJSON := one.Body.Content["application/json"]; {
		case isJSON:
			sent := m.Example
			if sent == nil {
				sent = d.example(m.Schema, 0)
			}
			if text, err := json.Marshal(sent); err == nil {
				b.WriteString(" -H 'Content-Type: application/json' -d '" + strings.ReplaceAll(string(text), "'", `'\''`) + "'")
			}
		case len(one.Security) == 0 && method == http.MethodPost: // of the tokens of devices
			b.WriteString(" -d grant_type=client_credentials -d client_id=$CLIENT_ID -d client_secret=$CLIENT_SECRET")
		default:
			b.WriteString(" --data-binary @FILE")
		}
	}
	address := path
	var query []string
	for _, p := range one.Parameters {
		value := d.sample(p.Schema, p.Name)
		switch {
		case p.In == "path":
			address = strings.Replace(address, "{"+p.Name+"}", value, 1)
		case p.In == "query" && p.Required:
			query = append(query, p.Name+"="+value)
		}
	}
	if len(query) > 0 {
		address += "?" + strings.Join(query, "&")
	}
	b.WriteString(" '" + base + address + "'")
	return b.String()
}

// sample is a value of a parameter: its example, or its name in capitals.
func (d description) sample(s schema, name string) string {
	if len(s.Examples) > 0 {
		return fmt.Sprint(s.Examples[0])
	}
	return strings.ToUpper(name)
}

// whole is the schema that a reference names.
func (d description) whole(s schema) schema {
	if name, ok := strings.CutPrefix(s.Ref, ofSchemas); ok {
		return d.Components.Schemas[name]
	}
	return s
}

// example is a value that fits a schema: what it requires, or all that it has where it requires nothing.
func (d description) example(s schema, depth int) any {
	s = d.whole(s)
	kind, _ := s.kind()
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case s.Const != nil:
		return s.Const
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.OneOf) > 0:
		return d.example(s.OneOf[0], depth)
	case kind == "object":
		made := map[string]any{}
		for name, p := range s.Properties {
			if len(s.Required) == 0 || slices.Contains(s.Required, name) {
				made[name] = d.example(p, depth+1)
			}
		}
		return made
	case kind == "array":
		if s.Items == nil || depth > 1 { // a list of what holds such a list has no end
			return []any{}
		}
		return []any{d.example(*s.Items, depth+1)}
	case kind == "integer", kind == "number":
		return 1
	case kind == "boolean":
		return true
	case s.Format == "date-time":
		return "2026-05-04T12:00:00Z"
	}
	return "…"
}
