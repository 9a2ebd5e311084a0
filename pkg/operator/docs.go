package operator

import (
	_ "embed" // the description of the API
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
)

// The description is written by people, but for its schemas, which are made of the types.
var (
	//go:embed openapi.yaml
	operations string
	//go:embed schemas.yaml
	bodySchemas string
)

// schemasPlace is where openapi.yaml has them.
const schemasPlace = "  schemas: {} # those in schemas.yaml\n"

// Description is the API in OpenAPI 3.1. Tests hold it against the routes, the types, and every answer of the suite.
var Description = sync.OnceValue(func() string {
	return strings.Replace(operations, schemasPlace, "  schemas:\n"+indented(bodySchemas), 1)
})

func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("    " + line)
	}
	return b.String()
}

// DescriptionJSON is the same as JSON, made when it is first asked for.
var DescriptionJSON = sync.OnceValues(func() ([]byte, error) {
	var v any
	if err := yaml.Unmarshal([]byte(Description()), &v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
})

// docs answers as YAML, as JSON to whoever accepts that and no YAML, and as a page to browsers.
func (d *door) docs(w http.ResponseWriter, r *http.Request) error {
	accept := r.Header.Get("Accept")
	w.Header().Set("Vary", "Accept")
	if strings.Contains(accept, "text/html") && d.Docs != nil {
		return d.Docs(w, r)
	}
	if !strings.Contains(accept, "json") || strings.Contains(accept, "yaml") {
		w.Header().Set("Content-Type", "application/yaml")
		return endpoint.Write(w, http.StatusOK, []byte(Description()))
	}
	text, err := DescriptionJSON()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/openapi+json")
	return endpoint.Write(w, http.StatusOK, text)
}
