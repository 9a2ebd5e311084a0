package operator

import (
	"bytes"
	"flag"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"go.yaml.in/yaml/v3"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

var update = flag.Bool("update", false, "write schemas.yaml anew")

// body is what an operation is told and what it answers with 2xx, as the types that its handler reads and writes.
type body struct{ in, out any }

// bodies are those of the operations that speak JSON and have types for it.
var bodies = map[string]body{
	"GET /api/adoptions":                                      {nil, api.Adoptions{}},
	"POST /api/adoptions":                                     {api.NewAdoption{}, api.OpenedAdoption{}},
	"DELETE /api/adoptions/{code}":                            {nil, api.Adoption{}},
	"GET /api/builds":                                         {nil, api.AllBuilds{}},
	"GET /api/caller":                                         {nil, api.Caller{}},
	"GET /api/coredumps":                                      {nil, api.Dumps{}},
	"GET /api/coredumps/{key}/{name}":                         {nil, api.DumpReport{}},
	"GET /api/crashes":                                        {nil, api.Groups[crash.Group]{}},
	"GET /api/crashes/{fingerprint}":                          {nil, Group{}},
	"GET /api/crashes/{fingerprint}/devices":                  {nil, api.GroupDevices{}},
	"GET /api/device-models":                                  {nil, api.Models{}},
	"GET /api/device-models/{code}":                           {nil, api.Model{}},
	"GET /api/device-models/{code}/builds":                    {nil, api.Builds{}},
	"GET /api/device-models/{code}/builds/{version}":          {nil, fleet.Build{}},
	"GET /api/device-models/{code}/rollout-plan":              {nil, fleet.Plan{}},
	"GET /api/device-models/{code}/rollouts/{number}":         {nil, api.Rollout{}},
	"GET /api/device-models/{code}/rollouts/{number}/devices": {nil, api.Members{}},
	"GET /api/device-models/{code}/rollouts/{number}/explain": {nil, fleet.Explanation{}},
	"GET /api/device-models/{code}/versions":                  {nil, ModelVersions{}},
	"GET /api/devices":                                        {nil, api.Devices{}},
	"GET /api/devices/{key}":                                  {nil, api.Device{}},
	"GET /api/devices/{key}/coredumps":                        {nil, api.Dumps{}},
	"GET /api/drops":                                          {nil, api.Drops{}},
	"GET /api/trouble":                                        {nil, api.Troubles{}},
	"POST /api/trouble/{id}/seen":                             {nil, fleet.Trouble{}},
	"GET /api/wanted":                                         {nil, api.WantedList[crash.Wanted]{}},
	"GET /api/events":                                         {nil, api.Events{}},
	"GET /api/health":                                         {nil, api.Health{}},
	"GET /api/iot/firmware-version":                           {nil, api.OfferedVersion{}},
	"GET /api/pipeline/models/{code}/firmware-version":        {nil, api.ModelVersion{}},
	"GET /api/rollouts":                                       {nil, api.Rollouts{}},
	"GET /api/status":                                         {nil, api.Status{}},
	"GET /api/webhooks":                                       {nil, api.Webhooks{}},
	"GET /api/webhooks/{id}":                                  {nil, fleet.WebhookState{}},
	"PATCH /api/webhooks/{id}":                                {api.WebhookChange{}, fleet.WebhookState{}},
	"POST /api/webhooks":                                      {api.NewWebhook{}, api.CreatedWebhook{}},
	"POST /api/webhooks/{id}/secret":                          {nil, api.WebhookSecret{}},
	"POST /api/webhooks/{id}/test":                            {nil, fleet.WebhookTried{}},
	"GET /api/tokens":                                         {nil, api.Tokens{}},
	"PATCH /api/device-models/{code}":                         {api.ModelChange{}, api.Model{}},
	"PATCH /api/devices/{key}":                                {api.DeviceChange{}, api.ChangedDevice{}},
	"POST /api/backups":                                       {nil, api.MadeBackup{}},
	"POST /api/catalog/rebuild":                               {nil, api.Status{}},
	"POST /api/clock/accept":                                  {nil, api.AcceptedClock{}},
	"POST /api/crashes/{fingerprint}/decode":                  {nil, api.DecodedAgain{}},
	"POST /api/crashes/{fingerprint}/ignore":                  {api.Ignore{}, crash.Group{}},
	"POST /api/crashes/{fingerprint}/merge":                   {api.Merge{}, crash.Group{}},
	"POST /api/crashes/{fingerprint}/note":                    {api.Note{}, crash.Group{}},
	"POST /api/crashes/{fingerprint}/reopen":                  {nil, crash.Group{}},
	"POST /api/crashes/{fingerprint}/resolve":                 {api.Resolve{}, crash.Group{}},
	"POST /api/crashes/{fingerprint}/split":                   {api.Split{}, api.SplitGroups[crash.Group]{}},
	"POST /api/device-models":                                 {api.NewModel{}, api.Model{}},
	"POST /api/device-models/{code}/builds/{version}/publish": {api.Publish{}, api.Model{}},
	"POST /api/device-models/{code}/rollouts":                 {api.NewRollout{}, api.Rollout{}},
	"POST /api/devices":                                       {api.NewDevice{}, api.AddedDevice{}},
	"POST /api/devices/import":                                {nil, api.Imported{}},
	"POST /api/devices/{key}/nudge":                           {api.Nudge{}, api.Nudged{}},
	"POST /api/devices/{key}/path-secret":                     {nil, api.PathSecret{}},
	"POST /api/devices/{key}/secret":                          {nil, api.Credentials{}},
	"POST /api/devices/{key}/token":                           {nil, api.DeviceToken{}},
	"POST /api/pipeline/models/{code}/firmware":               {nil, api.Accepted{}},
	"POST /api/tokens":                                        {api.NewToken{}, api.CreatedToken{}},
	"PUT /api/device-models/{code}/builds/{version}/note":     {api.BuildNote{}, fleet.Build{}},
	"PUT /api/device-models/{code}/rollout-plan":              {nil, fleet.Plan{}},
	"DELETE /api/devices/{key}/config":                        {nil, api.Configured{}},
	"PUT /api/devices/{key}/config":                           {nil, api.Configured{}},
}

const schemasHead = "# Made of the Go types by: go test ./pkg/operator -run Contract -update\n"

func TestContractSchemasAreThoseOfTheTypes(t *testing.T) {
	heard, err := listen("../..", "pkg/api", "pkg/fleet", "pkg/crash", "pkg/espcore", "pkg/operator")
	if err != nil {
		t.Fatal(err)
	}
	s := &schemas{said: heard, named: map[string]schema{}, types: map[string]reflect.Type{}}
	whole := map[string]bool{schemaName(fleet.Forecast{}): true} // what a rollout that is not started answers
	s.of(reflect.TypeFor[fleet.Forecast]())
	for _, b := range bodies {
		for _, v := range []any{b.in, b.out} {
			if v != nil {
				s.of(reflect.TypeOf(v))
				whole[schemaName(v)] = true
			}
		}
	}
	e := &examples{named: s.named}
	shown := map[string]*yaml.Node{}
	for name := range whole {
		if shown[name], err = inOneLine([]any{e.whole(s.ref(name), nil)}); err != nil {
			t.Fatal(err)
		}
	}
	for name, example := range shown {
		s.named[name]["examples"] = example
	}
	if len(e.lacks) > 0 {
		slices.Sort(e.lacks)
		t.Fatalf("say in exampleValues what examples have as %v", slices.Compact(e.lacks))
	}
	made := bytes.NewBufferString(schemasHead)
	enc := yaml.NewEncoder(made)
	enc.SetIndent(2)
	if err := enc.Encode(s.named); err != nil {
		t.Fatal(err)
	}
	if strings.Count(operations, schemasPlace) != 1 {
		t.Fatal("openapi.yaml has no place for schemas, or several")
	}
	if bodySchemas == made.String() {
		return
	}
	if !*update {
		t.Fatal("schemas.yaml is not what the types say: go test ./pkg/operator -run Contract -update")
	}
	if err := os.WriteFile("schemas.yaml", made.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestContractNamesTheTypeOfEachBody(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData([]byte(Description()))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var seen []string
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			name := method + " " + path
			want, known := bodies[name]
			if known {
				seen = append(seen, name)
			}
			if op.OperationID == "" {
				t.Errorf("%s has no operation id", name)
			}
			if op.RequestBody != nil && want.in != nil {
				if ref := refOf(op.RequestBody.Value.Content); ref != schemaName(want.in) {
					t.Errorf("%s is told %q in the description, and reads %s", name, ref, schemaName(want.in))
				}
			}
			if (want.in != nil) != (op.RequestBody != nil && refOf(op.RequestBody.Value.Content) != "") {
				t.Errorf("%s: one of the table and the description has a request body", name)
			}
			if op.Responses.Default() == nil || op.Responses.Default().Ref != "#/components/responses/Error" {
				t.Errorf("%s does not say what it answers when it fails: default", name)
			}
			answered := false
			for status, r := range op.Responses.Map() {
				if !strings.HasPrefix(status, "2") || r.Value.Content.Get("application/json") == nil {
					continue
				}
				answered = true
				if r.Value.Content.Get("application/json").Schema == nil {
					t.Errorf("%s: its JSON has no schema", name)
				}
				forecast := status == "200" && name == "POST /api/device-models/{code}/rollouts" // nothing is started
				if ref := refOf(r.Value.Content); known && !forecast && ref != schemaName(want.out) {
					t.Errorf("%s answers %q in the description, and writes %s", name, ref, schemaName(want.out))
				}
			}
			if known && want.out != nil && !answered {
				t.Errorf("%s: its JSON is not described", name)
			}
		}
	}
	for name := range bodies {
		if !slices.Contains(seen, name) {
			t.Errorf("%s is not in the description", name)
		}
	}
}

func schemaName(v any) string {
	if v == nil {
		return ""
	}
	if name := names[reflect.TypeOf(v)]; name != "" {
		return name
	}
	return reflect.TypeOf(v).Name()
}

func refOf(content openapi3.Content) string {
	media := content.Get("application/json")
	if media == nil || media.Schema == nil {
		return ""
	}
	return strings.TrimPrefix(media.Schema.Ref, "#/components/schemas/")
}

func TestTheDescriptionComesAsAPageToBrowsersOnly(t *testing.T) {
	d := open(t, func(o *Options) {
		o.Docs = func(w http.ResponseWriter, _ *http.Request) error {
			return endpoint.Write(w, http.StatusOK, []byte("a page"))
		}
	})
	for accept, want := range map[string]bool{"text/html,application/xhtml+xml,*/*;q=0.8": true, "": false, "*/*": false, "application/json": false, "application/yaml": false} {
		a := d.ask(http.MethodGet, "/api/docs", "", "Accept", accept)
		if (a.body == "a page") != want || a.Header.Get("Vary") != "Accept" {
			t.Errorf("accepted %q: %s %.40q, Vary %q", accept, a.Status, a.body, a.Header.Get("Vary"))
		}
	}
}

func TestTheDescriptionComesAsYAMLAndAsJSON(t *testing.T) {
	d := open(t, nil)
	for accept, want := range map[string]string{"": "application/yaml", "*/*": "application/yaml", "application/json": "application/openapi+json", "application/yaml, application/json": "application/yaml"} {
		a := d.ask(http.MethodGet, "/api/docs", "", "Accept", accept)
		doc, err := openapi3.NewLoader().LoadFromData([]byte(a.body))
		if err != nil || doc.Info.Title != "Slipway" || a.Header.Get("Content-Type") != want {
			t.Errorf("accepted %q: %s as %s, %v", accept, a.Status, a.Header.Get("Content-Type"), err)
		}
	}
}
