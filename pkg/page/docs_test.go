package page

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/slipway-gateway/slipway/pkg/access"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/operator"
)

// docsPage is the description as a browser gets it.
func docsPage(t *testing.T, text func() ([]byte, error), headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	d := open(t)
	who := access.New(access.Options{Tokens: &auth.Operators{Store: d.store, Now: func() time.Time { return d.clock }}, Sessions: d.store, Socket: d.gateway, Failures: &d.failures, Now: func() time.Time { return d.clock }})
	r := httptest.NewRequest(http.MethodGet, "/api/docs", nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], strings.Replace(headers[i+1], "VIEWER", d.tokens[auth.Viewer], 1))
	}
	w := httptest.NewRecorder()
	if err := Docs(Options{Access: who, Gateway: d.gateway}, text)(w, r); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestTheDescriptionOfTheAPIIsAPageOfEachOperationAndEachType(t *testing.T) {
	a := docsPage(t, operator.DescriptionJSON)
	body := a.Body.String()
	if file := os.Getenv("SLIPWAY_DOCS_PAGE"); file != "" {
		_ = os.WriteFile(file, a.Body.Bytes(), 0o600)
	}
	if p := a.Header().Get("Content-Security-Policy"); !strings.HasPrefix(p, "default-src 'none'; script-src 'self'") || strings.Contains(body, "style=") || strings.Contains(body, "onclick") {
		t.Errorf("policy %q", p)
	}
	var d description
	text, err := operator.DescriptionJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	operations := 0
	for path, methods := range d.Paths {
		for method, one := range methods {
			operations++
			_, rest, found := strings.Cut(body, `<details class="act" id="`+one.ID+`"><summary><code>`+strings.ToUpper(method)+" "+path+"</code>")
			shown, _, _ := strings.Cut(rest, "</details>")
			if !found || !strings.Contains(shown, "curl -sS") || !strings.Contains(shown, "<p>For ") {
				t.Errorf("%s %s is not shown, or without an example or who may call it", method, path)
			}
			for _, p := range one.Parameters {
				if !strings.Contains(shown, "<code>"+p.Name+"</code>") {
					t.Errorf("%s %s without its parameter %s", method, path, p.Name)
				}
			}
			for status := range one.Responses {
				if !strings.Contains(shown, strings.Replace(status, "default", "any other", 1)) {
					t.Errorf("%s %s without the status %s", method, path, status)
				}
			}
			if role := one.Security; len(role) == 0 && !strings.Contains(shown, "For anybody.") {
				t.Errorf("%s %s does not say that it is public", method, path)
			}
		}
	}
	if operations < 80 || len(d.Components.Schemas) < 80 {
		t.Errorf("%d operations, %d types", operations, len(d.Components.Schemas))
	}
	for name, s := range d.Components.Schemas {
		_, rest, found := strings.Cut(body, `id="schema-`+name+`"`)
		shown, _, _ := strings.Cut(rest, "</section>")
		if !found {
			t.Errorf("the type %s is not shown", name)
		}
		for field := range s.Properties {
			if !strings.Contains(shown, "<code>"+field+"</code>") {
				t.Errorf("the type %s is without %s", name, field)
			}
		}
	}
	ids := map[string]int{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		if ids[m[1]]++; ids[m[1]] > 1 {
			t.Errorf("%s is the id of several", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(body, -1) {
		if ids[m[1]] == 0 {
			t.Errorf("a link leads to %s, which there is not", m[1])
		}
	}
	if strings.Contains(body, "Sign out") {
		t.Error("it is public, and somebody is signed in")
	}
	if a := docsPage(t, operator.DescriptionJSON, "Authorization", "Bearer VIEWER"); !strings.Contains(a.Body.String(), `aria-label="Views"`) {
		t.Error("who is signed in has no way to the views")
	}
}

// ownDescription is the API's, as text and as the page reads it, with what compiles the schema at a place in it.
func ownDescription(t *testing.T) (text []byte, d description, schemaAt func(place string) *jsonschema.Schema) {
	t.Helper()
	text, err := operator.DescriptionJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	root, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	const address = "https://slipway.example/openapi.json"
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource(address, root); err != nil {
		t.Fatal(err)
	}
	return text, d, func(place string) *jsonschema.Schema {
		t.Helper()
		compiled, err := c.Compile(address + "#" + place)
		if err != nil {
			t.Fatal(err)
		}
		return compiled
	}
}

func TestEachExampleOfABodyFitsItsType(t *testing.T) {
	_, d, schemaAt := ownDescription(t)
	for name, s := range d.Components.Schemas {
		made, err := json.Marshal(d.example(s, 0))
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(made)))
		if err != nil {
			t.Fatal(err)
		}
		if err := schemaAt("/components/schemas/" + name).Validate(v); err != nil {
			t.Errorf("%s: %s: %v", name, made, err)
		}
	}
}

// TestEachBodyHasAnExampleThatFitsItsType holds the examples themselves: those of bodies without a name stand beside them, the
// others at their types.
func TestEachBodyHasAnExampleThatFitsItsType(t *testing.T) {
	text, d, schemaAt := ownDescription(t)
	beside, named := 0, map[string]bool{}
	look := func(where string, content map[string]media) {
		m, is := content["application/json"]
		if !is {
			return
		}
		if name, ok := strings.CutPrefix(m.Schema.Ref, ofSchemas); ok {
			if named[name] = true; len(d.Components.Schemas[name].Examples) != 1 {
				t.Errorf("%s: its type %s has no example", where, name)
			}
			return
		}
		beside++
		if m.Example == nil {
			t.Errorf("%s has no example", where)
		}
		if m.Schema.Type == nil && len(m.Schema.OneOf) == 0 {
			return // any JSON
		}
		if err := schemaAt(where + "/content/application~1json/schema").Validate(m.Example); err != nil {
			t.Errorf("%s: %v: %v", where, m.Example, err)
		}
	}
	for path, methods := range d.Paths {
		for method, one := range methods {
			where := "/paths/" + url.PathEscape(strings.ReplaceAll(path, "/", "~1")) + "/" + method
			if one.Body != nil {
				look(where+"/requestBody", one.Body.Content)
			}
			for status, r := range one.Responses {
				look(where+"/responses/"+status, r.Content)
			}
		}
	}
	if n := strings.Count(docsPage(t, operator.DescriptionJSON).Body.String(), `<pre tabindex="0" aria-label="Example">`); n != beside+len(named) || beside < 20 || len(named) < 60 {
		t.Errorf("%d examples are shown, of %d bodies and %d types", n, beside, len(named))
	}
	var answers struct {
		Components struct {
			Responses map[string]struct{ Content map[string]media }
		}
	}
	if err := json.Unmarshal(text, &answers); err != nil {
		t.Fatal(err)
	}
	for name, r := range answers.Components.Responses {
		look("/components/responses/"+name, r.Content)
	}
}

func TestADescriptionRunsNothing(t *testing.T) {
	evil := `"><script>alert(1)</script>`
	doc := map[string]any{
		"info": map[string]any{"description": evil},
		"paths": map[string]any{"/" + evil: map[string]any{"post": map[string]any{
			"operationId": evil, "tags": []string{evil}, "summary": evil, "description": evil, "parameters": []any{map[string]any{"name": evil, "in": evil, "description": evil}},
			"requestBody": map[string]any{"content": map[string]any{"application/json": map[string]any{"schema": map[string]any{"$ref": ofSchemas + evil}}}},
			"responses":   map[string]any{evil: map[string]any{"description": evil}},
		}}},
		"components": map[string]any{"schemas": map[string]any{evil: map[string]any{"description": evil, "type": "object", "properties": map[string]any{evil: map[string]any{"enum": []string{evil}}}}}},
	}
	body := docsPage(t, func() ([]byte, error) { return json.Marshal(doc) }).Body.String()
	if strings.Contains(body, "<script>a") || !strings.Contains(body, "&lt;script&gt;") {
		t.Error(body)
	}
}
