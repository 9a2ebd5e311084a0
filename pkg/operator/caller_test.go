package operator

import (
	"net/http"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// models adds models without anything.
func (d *desk) models(codes ...fleet.ModelCode) {
	d.t.Helper()
	for _, code := range codes {
		if err := d.store.AddModel(d.t.Context(), fleet.Model{Code: code}); err != nil {
			d.t.Fatal(err)
		}
	}
}

// createToken asks the API for a token, as an admin.
func (d *desk) createToken(body string) (a answer, token string) {
	d.t.Helper()
	a = d.ask(http.MethodPost, "/api/tokens", body, d.bearer(auth.Admin)...)
	_, rest, _ := strings.Cut(a.body, `"token":"`)
	token, _, _ = strings.Cut(rest, `"`)
	return a, token
}

func TestAPipelinesTokenIsForTheModelsThatItNamesOnly(t *testing.T) {
	d := open(t, nil)
	d.models("pump", "valve", "fan")
	made, token := d.createToken(`{"role":"pipeline","models":["valve","pump","valve"]}`)
	if made.StatusCode != http.StatusCreated || !strings.Contains(made.body, `"models":["pump","valve"]`) {
		t.Fatalf("%s %s", made.Status, made.body)
	}
	if list := d.ask(http.MethodGet, "/api/tokens", "", d.bearer(auth.Admin)...); !strings.Contains(list.body, `"models":["pump","valve"]`) {
		t.Errorf("the list does not say which models: %s", list.body)
	}
	bound := []string{"Authorization", "Bearer " + token}
	for _, test := range []struct {
		code   string
		status int
	}{{"pump", http.StatusOK}, {"valve", http.StatusOK}, {"fan", http.StatusForbidden}, {"none", http.StatusForbidden}} {
		read := d.ask(http.MethodGet, "/api/pipeline/models/"+test.code+"/firmware-version", "", bound...)
		if read.StatusCode != test.status {
			t.Errorf("reads %s: %s %s", test.code, read.Status, read.body)
		}
		push := d.ask(http.MethodPost, "/api/pipeline/models/"+test.code+"/firmware", "no image", bound...)
		if forbidden := push.StatusCode == http.StatusForbidden; forbidden != (test.status == http.StatusForbidden) {
			t.Errorf("pushes %s: %s %s", test.code, push.Status, push.body)
		}
		said := `pump or valve only, not of \"` + test.code + `\": an admin makes one with slipway token create --role pipeline --model ` + test.code
		if test.status == http.StatusForbidden && (!strings.Contains(push.body, said) || !strings.Contains(read.body, said)) {
			t.Errorf("%s: %s %s", test.code, push.body, read.body)
		}
	}
	if a := d.ask(http.MethodGet, "/api/pipeline/models/fan/firmware-version", "", d.bearer(auth.Pipeline)...); a.StatusCode != http.StatusOK {
		t.Errorf("a token without models: %s %s", a.Status, a.body)
	}
}

func TestATokenNamesOnlyModelsThatThereAreAndOnlyAPipelinesDoes(t *testing.T) {
	d := open(t, nil)
	d.models("pump")
	for body, want := range map[string]struct {
		status int
		says   string
	}{
		`{"role":"pipeline","models":["pmup"]}`:                                                   {http.StatusNotFound, `the nearest known one is \"pump\"`},
		`{"role":"pipeline","models":["Pump!"]}`:                                                  {http.StatusBadRequest, "model code"},
		`{"role":"viewer","models":["pump"]}`:                                                     {http.StatusBadRequest, "only a pipeline's names models"},
		`{"role":"pipeline","models":["pump"` + strings.Repeat(`,"pump"`, mostTokenModels) + `]}`: {http.StatusBadRequest, "at most 100"},
	} {
		before := d.ask(http.MethodGet, "/api/tokens", "", d.bearer(auth.Admin)...).body
		if a, _ := d.createToken(body); a.StatusCode != want.status || !strings.Contains(a.body, want.says) {
			t.Errorf("%s: %s %s", body, a.Status, a.body)
		}
		if after := d.ask(http.MethodGet, "/api/tokens", "", d.bearer(auth.Admin)...).body; after != before {
			t.Errorf("%s: a token was made all the same", body)
		}
	}
}
