package operator

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

const ofPump = "/api/device-models/pump/rollouts"

func TestARolloutIsToldOfAsTheAPISays(t *testing.T) {
	d := rollingOut(t, nil)
	const rollout = `{"number":7,"model_code":"pump","version":"1.4.2","base":"1.4.1","state":"running","wave":2,"why":"","dark":[],` +
		`"plan":{"name":"small","waves":[{"devices":1,"rest":"0s"},{"devices":3,"rest":"0s"},{"share":1,"rest":"0s"}],"unproven":0,"up_within":"0s"},` +
		`"target":{"lines":[],"labels":[],"keys":[]},"tested":false,"warnings":[],` +
		`"counts":{"waiting":0,"offered":0,"fetching":0,"fetched":0,"up":0,"healthy":1,"lost":0,"back":0,"off":0,"skipped":0,"crashed":0},` +
		`"evidence":{"total":0,"loss":0,"crash":0,"silence":0,"signature":0},"signature":null,` +
		`"created_at":"2026-05-04T12:00:00Z","started_at":"2026-05-04T12:00:00Z","started_by":"plant"}`
	const member = `{"device_key":"aaaaaaaa","line":"hall3","wave":1,"state":"healthy","attempts":1,"offered_at":"2026-05-04T12:00:00Z","up_by":"said","why":""}`
	for path, want := range map[string]string{
		ofPump + "/7":                          rollout,
		ofPump + "/newest":                     rollout,
		"/api/rollouts":                        `{"rollouts":[` + rollout + `],"next":null}`,
		"/api/rollouts?state=halted":           `{"rollouts":[],"next":null}`,
		"/api/rollouts?model=pump":             `{"rollouts":[` + rollout + `],"next":null}`,
		ofPump + "/7/devices":                  `{"devices":[` + member + `],"next":null}`,
		ofPump + "/7/devices?state=lost":       `{"devices":[],"next":null}`,
		ofPump + "/7/devices?wave=2":           `{"devices":[],"next":null}`,
		ofPump + "/7/devices?crashed=true":     `{"devices":[],"next":null}`,
		ofPump + "/7/devices?went_back=true":   `{"devices":[],"next":null}`,
		"/api/device-models/pump/rollout-plan": `{"name":"standard","waves":[],"unproven":0,"up_within":"0s"}`,
	} {
		a := d.ask(http.MethodGet, path, "", d.bearer(auth.Viewer)...)
		if a.StatusCode != http.StatusOK || strings.TrimSpace(a.body) != plainWaves(want) {
			t.Errorf("%s: %s\n got %s\nwant %s", path, a.Status, a.body, plainWaves(want))
		}
	}
	a := d.ask(http.MethodGet, ofPump+"/7/explain", "", d.bearer(auth.Viewer)...)
	if a.StatusCode != http.StatusOK || !strings.Contains(a.body, `"gates":[]`) || !strings.Contains(a.body, `"lines":[]`) {
		t.Errorf("explain: %s %s", a.Status, a.body)
	}
	a = d.ask(http.MethodGet, "/api/devices/aaaaaaaa", "", d.bearer(auth.Viewer)...)
	if want := `"rollout":{"number":7,"version":"1.4.2","state":"running","member":` + member + `}`; !strings.Contains(a.body, want) {
		t.Errorf("the device's place is missing: %s", a.body)
	}
}

// plainWaves leaves out rests that are zero, as the record does.
func plainWaves(s string) string { return strings.ReplaceAll(s, `,"rest":"0s"`, "") }

func TestARolloutIsOrderedWithWhatWasAskedForAndNothingElse(t *testing.T) {
	d := rollingOut(t, nil)
	d.rollouts.all[0].State = fleet.RolloutFinished
	if _, err := d.store.UpdateDevice(t.Context(), "aaaaaaaa", func(one *fleet.Device) error {
		one.Line, one.Labels = "hall3", []string{"night"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		body   string
		status int
		says   string
	}{
		{`{"version":"1.4.2","plan":"urgent","target":{"lines":["hall3"],"labels":["night"],"keys":["aaaaaaaa"]},"first":"hall3","window":"Mo-Fr 22:00-05:00",` +
			`"retreat":true,"untested":true,"start_at":"2026-05-05T22:00:00Z","draft":true,"again":true}`, 201, `"number":8`},
		{`{"version":"1.4.1","first":["aaaaaaaa"],"plan":{"name":"mine","waves":[{"devices":1,"rest":"5s"},{"share":1}],"up_within":"10s"},"halt_first":true}`, 201, `"first":["aaaaaaaa"]`},
		{`{"version":"1.4.2"}`, 409, "rollout 9 of pump"},
		{`{"version":"1.4.2","dry_run":true}`, 200, `"builds":[]`},
		{`{"version":"1.4.22"}`, 404, `the nearest known one is \"1.4.2\"`},
		{`{"version":"../x"}`, 400, "version"},
		{`{}`, 400, "version"},
		{`{"version":"1.4.2","first":"hall4"}`, 404, `the nearest known one is \"hall3\"`},
		{`{"version":"1.4.2","first":["aaaaaaab"]}`, 404, `the nearest known one is \"aaaaaaaa\"`},
		{`{"version":"1.4.2","first":["../x"]}`, 400, "device key"},
		{`{"version":"1.4.2","first":[]}`, 400, "at least one device"},
		{`{"version":"1.4.2","first":7}`, 400, "want a line"},
		{`{"version":"1.4.2","target":{"lines":["hall4"]}}`, 404, `the nearest known one is \"hall3\"`},
		{`{"version":"1.4.2","target":{"labels":["nigth"]}}`, 404, `the nearest known one is \"night\"`},
		{`{"version":"1.4.2","target":{"devices":["aaaaaaaa"]}}`, 400, "devices"},
		{`{"version":"1.4.2","wave":3}`, 400, "wave"},
		{`{"version":"1.4.2","plan":{"waves":[{"device":3}]}}`, 400, "device"},
		{`{"version":"1.4.2","plan":{"waves":[{"devices":3,"rest":"a while"}]}}`, 400, "no duration"},
	} {
		a := d.ask(http.MethodPost, ofPump, test.body, d.bearer(auth.Operator)...)
		if a.StatusCode != test.status || !strings.Contains(a.body, test.says) {
			t.Errorf("%s: %s %s; want %d with %q", test.body, a.Status, a.body, test.status, test.says)
		}
	}
	if len(d.rollouts.orders) != 3 {
		t.Fatalf("%d orders: %+v", len(d.rollouts.orders), d.rollouts.orders)
	}
	full, own := d.rollouts.orders[0], d.rollouts.orders[1]
	if full.Model != "pump" || full.Version != "1.4.2" || full.Plan.Name != "urgent" || full.First.Line != "hall3" || full.Window != "Mo-Fr 22:00-05:00" ||
		!full.Retreat || !full.Untested || !full.Draft || !full.Again || full.HaltFirst || full.StartAt.Day() != 5 || len(full.Target.Keys) != 1 {
		t.Errorf("%+v", full)
	}
	if own.Plan.Waves[0].Rest.String() != "5s" || own.Plan.UpWithin.String() != "10s" || !own.HaltFirst || own.First.Keys[0] != "aaaaaaaa" {
		t.Errorf("%+v", own)
	}
}

func TestWhatOverrulesARolloutNeedsAReasonAndAPauseNeedsNone(t *testing.T) {
	d := rollingOut(t, nil)
	act := func(verb, body string) answer {
		return d.ask(http.MethodPost, ofPump+"/7/"+verb, body, d.bearer(auth.Operator)...)
	}
	for _, verb := range []string{"halt", "advance", "excuse", "retreat"} {
		for _, reason := range []string{"", `"reason":"",`, `"reason":" \u0000\n ",`} {
			body := `{` + reason + `"devices":["aaaaaaaa"]}`
			if verb != "excuse" {
				body = strings.TrimSuffix(`{`+reason, ",") + "}"
			}
			if a := act(verb, body); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "say why") {
				t.Errorf("%s with %s: %s %s", verb, body, a.Status, a.body)
			}
		}
	}
	for _, test := range []struct {
		verb, body string
		status     int
		says       string
	}{
		{"pause", "", 200, "paused"},
		{"resume", "", 200, "running"},
		{"halt", `{"reason":"hall\u0007 3\nsmells\u001b[31m"}`, 200, "halted"},
		{"resume", `{"accept":["9f2c"]}`, 400, "say why"},
		{"resume", `{"reason":"known","accept":["9f2c","5%"]}`, 200, "running"},
		{"excuse", `{"reason":"unplugged"}`, 400, "name the devices"},
		{"excuse", `{"reason":"unplugged","devices":["aaaaaaab"]}`, 404, "aaaaaaaa"},
		{"excuse", `{"reason":"unplugged","devices":["aaaaaaaa"]}`, 200, "running"},
		{"pause", `{"devices":["aaaaaaaa"]}`, 400, "excuse"},
		{"pause", `{"accept":["5%"]}`, 400, "resume"},
		{"halt", `{"reason":"x","untested":true}`, 400, "retreat"},
		{"retreat", `{"reason":"` + strings.Repeat("ü", fleet.MostReason+1) + `"}`, 400, "at most 200"},
		{"retreat", `{"reason":"` + strings.Repeat("ü", fleet.MostReason) + `","untested":true}`, 200, "retreating"},
		{"retreat", `{"reason":"x","force":true}`, 400, "force"},
		{"finish", "", 200, "finished"},
	} {
		if a := act(test.verb, test.body); a.StatusCode != test.status || !strings.Contains(a.body, test.says) {
			t.Errorf("%s %s: %s %s; want %d with %q", test.verb, test.body, a.Status, a.body, test.status, test.says)
		}
	}
	halt := d.rollouts.acts[2]
	if halt.Verb != fleet.RolloutHalt || halt.Reason != "hall 3 smells[31m" || halt.By == "" {
		t.Errorf("%+v", halt)
	}
	if resume := d.rollouts.acts[3]; !slices.Equal(resume.Accept, []string{"9f2c", "5%"}) {
		t.Errorf("%+v", resume)
	}
	if a := d.ask(http.MethodPost, ofPump+"/8/pause", "", d.bearer(auth.Operator)...); a.StatusCode != http.StatusNotFound {
		t.Errorf("one that there is not: %s", a.Status)
	}
}

func TestAPipelineReadsAndHaltsItsModelsRolloutsAndStartsNone(t *testing.T) {
	d := rollingOut(t, nil)
	d.models("fan")
	d.rollouts.put(fleet.Rollout{Number: 1, Model: "fan", Version: "2.0", State: fleet.RolloutRunning})
	_, token := d.createToken(`{"role":"pipeline","models":["pump"]}`)
	bound := []string{"Authorization", "Bearer " + token}
	free := d.bearer(auth.Pipeline)
	for _, test := range []struct {
		who        []string
		method     string
		path, body string
		status     int
		says       string
	}{
		{bound, "GET", ofPump + "/7", "", 200, "1.4.2"},
		{bound, "GET", ofPump + "/newest/devices", "", 200, "aaaaaaaa"},
		{bound, "GET", "/api/device-models/pump/rollout-plan", "", 200, "standard"},
		{bound, "GET", "/api/device-models/fan/rollouts/1", "", 403, "pump only"},
		{bound, "GET", "/api/rollouts", "", 403, "?model="},
		{bound, "GET", "/api/rollouts?model=fan", "", 403, "?model="},
		{bound, "GET", "/api/rollouts?model=pump", "", 200, "1.4.2"},
		{free, "GET", "/api/rollouts", "", 200, "2.0"},
		{free, "GET", "/api/device-models/fan/rollouts/1", "", 200, "2.0"},
		{bound, "POST", "/api/device-models/fan/rollouts/1/halt", `{"reason":"x"}`, 403, "pump only"},
		{bound, "POST", ofPump + "/7/pause", "", 403, "role operator"},
		{bound, "POST", ofPump + "/7/resume", `{"reason":"x"}`, 403, "role operator"},
		{bound, "POST", ofPump, `{"version":"1.4.2"}`, 403, "slipway rollout start"},
		{free, "POST", ofPump, `{"version":"1.4.2"}`, 403, "firmware.publish: rollout"},
		{free, "PUT", "/api/device-models/pump/rollout-plan", `"urgent"`, 403, "role operator"},
		{bound, "POST", ofPump + "/7/halt", `{"reason":"the soak test fails"}`, 200, "halted"},
		{d.bearer(auth.Viewer), "POST", ofPump + "/7/halt", `{"reason":"x"}`, 403, "role pipeline"},
		{d.bearer(auth.Viewer), "POST", ofPump, `{"version":"1.4.2"}`, 403, "role operator"},
	} {
		if a := d.ask(test.method, test.path, test.body, test.who...); a.StatusCode != test.status || !strings.Contains(a.body, test.says) {
			t.Errorf("%s %s: %s %s; want %d with %q", test.method, test.path, a.Status, a.body, test.status, test.says)
		}
	}
}

func TestAPipelineStopsNoRetreat(t *testing.T) {
	d := rollingOut(t, nil)
	d.rollouts.all[0].State = fleet.RolloutRetreating
	_, token := d.createToken(`{"role":"pipeline","models":["pump"]}`)
	for _, who := range [][]string{{"Authorization", "Bearer " + token}, d.bearer(auth.Pipeline)} {
		a := d.ask(http.MethodPost, ofPump+"/7/halt", `{"reason":"x"}`, who...)
		if a.StatusCode != http.StatusForbidden || !strings.Contains(a.body, "stops no retreat") || len(d.rollouts.acts) > 0 {
			t.Errorf("%s %s, and there are the acts %+v", a.Status, a.body, d.rollouts.acts)
		}
	}
	// One that begins after the door has looked is spared by the act itself.
	d.rollouts.all[0].State = fleet.RolloutRunning
	for role, spares := range map[auth.Role]bool{auth.Pipeline: true, auth.Operator: false} {
		a := d.ask(http.MethodPost, ofPump+"/7/halt", `{"reason":"x"}`, d.bearer(role)...)
		if act := d.rollouts.acts[len(d.rollouts.acts)-1]; a.StatusCode != http.StatusOK || act.SparesRetreat != spares {
			t.Errorf("%s: %s %s, and the act is %+v", role, a.Status, a.body, act)
		}
	}
}

func TestAPublishWaitsForARolloutUnlessItIsHaltedFirst(t *testing.T) {
	d := rollingOut(t, nil)
	publish := func(version, query, body string) answer {
		return d.ask(http.MethodPost, "/api/device-models/pump/builds/"+version+"/publish"+query, body, d.bearer(auth.Operator)...)
	}
	for _, test := range []struct {
		version, query, body string
		status               int
		says                 string
		stands               fleet.RolloutState
	}{
		{"1.4.2", "", "", 409, "rollout 7 of pump", fleet.RolloutRunning},
		{"1.4.2", "?halt_first=false", "", 409, "--halt-first", fleet.RolloutRunning},
		{"1.4.2", "?halt_first=yes", "", 400, "want true or false", fleet.RolloutRunning},
		{"1.4.2", "", `{"halt":true}`, 400, "halt", fleet.RolloutRunning},
		{"1.4.22", "?halt_first=true", "", 404, "1.4.2", fleet.RolloutRunning}, // what is not there halts nothing
		{"1.4.2", "", `{"halt_first":true}`, 409, "not on the disk", fleet.RolloutHalted},
	} {
		a := publish(test.version, test.query, test.body)
		if r, err := d.rollouts.Rollout("pump", 7); a.StatusCode != test.status || !strings.Contains(a.body, test.says) || err != nil || r.State != test.stands {
			t.Errorf("%+v: %s %s, and it is %s, %v", test, a.Status, a.body, r.State, err)
		}
	}
	d.rollouts.all[0].State = fleet.RolloutRunning
	if publish("1.4.2", "?halt_first=true", ""); d.rollouts.all[0].State != fleet.RolloutHalted {
		t.Error("the address says halt_first, and it runs")
	}
}

func TestRolloutsThatThereAreNotAreNamedWithWhatThereIs(t *testing.T) {
	d := rollingOut(t, nil)
	for path, want := range map[string]struct {
		status int
		says   string
	}{
		ofPump + "/8": {404, "no rollout 8"}, ofPump + "/0": {404, "newest"}, ofPump + "/-1": {404, "newest"}, ofPump + "/x/devices": {404, "newest"},
		"/api/device-models/pmup/rollouts/7": {404, `the nearest known one is \"pump\"`},
		"/api/rollouts?model=pmup":           {404, `the nearest known one is \"pump\"`},
		"/api/rollouts?state=haltet":         {400, `\"halted\"`},
		"/api/rollouts?after=pump":           {400, "begin without it"},
		"/api/rollouts?after=PUMP/1":         {400, "begin without it"},
		"/api/rollouts?after=pump/x":         {400, "begin without it"},
		ofPump + "/7/devices?state=loste":    {400, `\"lost\"`},
		ofPump + "/7/devices?wave=0":         {400, "from 1"},
		ofPump + "/7/devices?crashed=1":      {400, "true or false"},
		ofPump + "/7/devices?went_back=1":    {400, "true or false"},
		ofPump + "/7/devices?after=x":        {400, "begin without it"},
		ofPump + "/7/devices?line=hall3":     {400, "unknown query parameter"},
	} {
		if a := d.ask(http.MethodGet, path, "", d.bearer(auth.Viewer)...); a.StatusCode != want.status || !strings.Contains(a.body, want.says) {
			t.Errorf("%s: %s %s; want %d with %q", path, a.Status, a.body, want.status, want.says)
		}
	}
}

func TestAModelsPlanIsANameOrAPlan(t *testing.T) {
	d := rollingOut(t, nil)
	for body, want := range map[string]struct {
		status int
		says   string
	}{
		`"urgent"`: {200, `"name":"urgent"`}, `{"name":"mine","waves":[{"share":1}]}`: {200, `"waves":[{"share":1}]`},
		`{}`: {400, "name a plan"}, `""`: {400, "name a plan"}, `{"wave":[]}`: {400, "wave"}, `7`: {400, ""}, ``: {400, "empty"},
	} {
		a := d.ask(http.MethodPut, "/api/device-models/pump/rollout-plan", body, d.bearer(auth.Operator)...)
		if a.StatusCode != want.status || !strings.Contains(a.body, want.says) {
			t.Errorf("%s: %s %s; want %d with %q", body, a.Status, a.body, want.status, want.says)
		}
	}
}

// manyRollouts fill their lists with more than a page of a hundred.
func (d *desk) manyRollouts() {
	members := make([]fleet.Member, 103)
	for i := range members {
		members[i] = fleet.Member{Device: fleet.DeviceKey(fmt.Sprintf("bbbbb%03d", i)), State: fleet.MemberOffered, OfferedAt: ago(i)}
		if i%3 == 0 {
			members[i].UpAt = ago(i).Add(30 * time.Minute)
		}
		d.rollouts.put(fleet.Rollout{Number: i%7 + 2, Model: fleet.ModelCode(fmt.Sprintf("valve%03d", i)), Version: "1.0", State: fleet.RolloutHalted, StartedAt: ago(i)})
	}
	d.rollouts.put(fleet.Rollout{Number: 1, Model: "pump", Version: "1.0", State: fleet.RolloutFinished}, members...)
}
