// Package described holds each answer of a gateway under test against the description of its API: its status has to be
// described for the operation, and its JSON has to fit the schema. A gateway that a test starts as a process of its own
// writes what does not fit into a file, which the tests' end looks at.
package described

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/operator"
)

// variable names the file that processes of a test write into.
const variable = "SLIPWAY_TEST_UNDESCRIBED"

// Main runs the tests of a package and fails when an answer was not as described, of this process or of one that it started.
func Main(run func() int) int {
	dir, err := os.MkdirTemp("", "described")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	file := dir + "/answers"
	if err := os.Setenv(variable, file); err != nil {
		panic(err)
	}
	Watch()
	code := run()
	text, err := os.ReadFile(file)
	if err == nil && len(text) > 0 {
		fmt.Fprintf(os.Stderr, "--- FAIL: answers that the description of the API does not have\n%s", distinct(text))
		return max(code, 1)
	}
	return code
}

// distinct is the first line of each operation.
func distinct(text []byte) []byte {
	var out bytes.Buffer
	seen := map[string]bool{}
	for line := range bytes.Lines(text) {
		what, _, _ := bytes.Cut(line, []byte(": "))
		if !seen[string(what)] {
			seen[string(what)] = true
			out.Write(line)
		}
	}
	return out.Bytes()
}

// Watch has the gateways of this process looked at, where a test has asked for it.
func Watch() {
	file := os.Getenv(variable)
	if file == "" {
		return
	}
	endpoint.Witness = func(r *http.Request, status int, _ http.Header, body []byte) {
		if err := Check(r.Method, r.Pattern, status, body); err != nil {
			note(file, err)
		}
	}
}

// Unwatched takes the look away for a test that counts what an answer costs.
func Unwatched(t testing.TB) {
	t.Setenv(variable, "")
	before := endpoint.Witness
	endpoint.Witness = nil
	t.Cleanup(func() { endpoint.Witness = before })
}

func note(file string, err error) {
	f, openErr := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if openErr != nil {
		panic(openErr)
	}
	defer f.Close()
	fmt.Fprintln(f, strings.Join(strings.Fields(err.Error()), " "))
}

// Check says what about an answer is not as described.
func Check(method, pattern string, status int, body []byte) error {
	d, err := document()
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%s %s %d", method, pattern, status)
	if len(body) == 0 { // an answer to HEAD
		return nil
	}
	schema, err := d.schemaOf(method, pattern, status)
	if err != nil {
		return fmt.Errorf("%s: %w: %.200s", what, err, body)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := schema.Validate(v); err != nil {
		return fmt.Errorf("%s: %w in %.400s", what, err, body)
	}
	return nil
}

// described is the document with the schemas that were needed so far.
type described struct {
	mu       sync.Mutex
	compiler *jsonschema.Compiler
	root     map[string]any
	made     map[string]*jsonschema.Schema // by pointer
}

var document = sync.OnceValues(func() (*described, error) {
	d := &described{compiler: jsonschema.NewCompiler(), made: map[string]*jsonschema.Schema{}}
	if err := yaml.Unmarshal([]byte(operator.Description()), &d.root); err != nil {
		return nil, err
	}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	return d, d.compiler.AddResource(address, d.root)
})

const address = "https://slipway.example/openapi.json"

// schemaOf finds the schema of an operation's answer; errors that are no operation's have the one that all have.
func (d *described) schemaOf(method, pattern string, status int) (*jsonschema.Schema, error) {
	const errors = "/components/responses/Error"
	item, known := at(d.root, "paths", pattern)
	if !known && method == http.MethodPost && strings.HasSuffix(pattern, "/token") { // one of auth.token_paths
		pattern = "/api/oauth/token"
		item, known = at(d.root, "paths", pattern)
	}
	switch op, has := at(item, strings.ToLower(method)); {
	case status >= http.StatusBadRequest && (!known || !has): // a page, or an unknown path or method
		return d.schema(errors)
	case !has:
		return nil, fmt.Errorf("the operation is not described")
	default:
		answer, has := at(op, "responses", strconv.Itoa(status))
		if !has && status >= http.StatusInternalServerError { // of a disk, or of a fault of ours: any operation may have them
			answer, has = at(op, "responses", "default")
		}
		if !has {
			return nil, fmt.Errorf("the status is not described")
		}
		if ref, _ := at(answer, "$ref"); ref != nil {
			return d.schema(strings.TrimPrefix(ref.(string), "#"))
		}
		return d.schema("/paths/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(pattern) + "/" + strings.ToLower(method) + "/responses/" + strconv.Itoa(status))
	}
}

func (d *described) schema(answer string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.made[answer]; s != nil {
		return s, nil
	}
	// An address has its braces escaped.
	s, err := d.compiler.Compile(address + "#" + (&url.URL{Path: answer + "/content/application~1json/schema"}).EscapedPath())
	if err != nil {
		return nil, fmt.Errorf("its JSON has no schema (%w)", err)
	}
	d.made[answer] = s
	return s, nil
}

func at(v any, path ...string) (any, bool) {
	for _, name := range path {
		m, _ := v.(map[string]any)
		if v = m[name]; v == nil {
			return nil, false
		}
	}
	return v, true
}
