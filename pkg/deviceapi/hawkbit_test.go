package deviceapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func (m *memory) DeviceByAlias(name string) (fleet.Device, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.devices {
		for _, alias := range append(d.Aliases, fleet.Alias(d.Key)) {
			if string(alias) == name {
				return d, nil
			}
		}
	}
	return fleet.Device{}, fleet.Unknown("no device is called %q", name)
}

func (m *memory) Reported(key fleet.DeviceKey) (fleet.Reported, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.told[key], nil
}

func (m *memory) NoteReported(_ context.Context, key fleet.DeviceKey, r fleet.Reported) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full != nil {
		return m.full
	}
	if !m.told[key].Same(r) {
		m.told[key] = r
		m.written++
	}
	return nil
}

func (m *memory) Sighting(fleet.DeviceKey) (fleet.Sighting, string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sighted, ""
}

const (
	ofPump   = "Authorization: TargetToken old secret"
	pumpBase = "/DEFAULT/controller/v1/24:6f:28:aa:00:01"
)

// follows holds an answer against one of the schemas.
func follows(t testing.TB, schema string, a reply) {
	t.Helper()
	compiled, err := jsonschema.NewCompiler().Compile("testdata/hawkbit/" + schema + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(a.body))
	if err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	if err := compiled.Validate(value); err != nil {
		t.Errorf("%s is none: %v", a.body, err)
	}
	if a.status != http.StatusOK || a.length != int64(len(a.body)) || len(a.body) >= 1100 { // bytes that Zephyr's client has at first
		t.Errorf("status %d, length %d of %d bytes", a.status, a.length, len(a.body))
	}
}

// poll is what a device is told to do: links by their names, as paths.
func (r *rig) poll(t testing.TB) map[string]string {
	t.Helper()
	a := r.do(t, "GET", pumpBase, nil, ofPump)
	follows(t, "poll", a)
	var answer ddiPoll
	if err := json.Unmarshal(a.body, &answer); err != nil {
		t.Fatal(err)
	}
	links := map[string]string{}
	for name, link := range answer.Links {
		links[name] = strings.TrimPrefix(link.Href, r.URL)
	}
	return links
}

// artifact reads a deployment and has the path and the hash of its image.
func (r *rig) deploymentAt(t testing.TB, path string) (link string, of ddiArtifact) {
	t.Helper()
	a := r.do(t, "GET", path, nil, ofPump)
	follows(t, "deployment", a)
	var answer ddiDeployment
	if err := json.Unmarshal(a.body, &answer); err != nil {
		t.Fatal(err)
	}
	of = answer.Deployment.Chunks[0].Artifacts[0]
	return strings.TrimPrefix(of.Links["download-http"].Href, r.URL), of
}

func (r *rig) tell(t testing.TB, path, execution, finished string) int {
	t.Helper()
	body := fmt.Sprintf(`{"id":"x","status":{"execution":%q,"result":{"finished":%q},"details":["as it went"]}}`, execution, finished)
	return r.do(t, "POST", path+"/feedback", strings.NewReader(body), ofPump, "Content-Type: application/json").status
}

func (r *rig) attributes(t testing.TB, body string) int {
	t.Helper()
	return r.do(t, "PUT", pumpBase+"/configData", strings.NewReader(body), ofPump).status
}

// clock is a door's time, which a test moves.
func clock(o *Options) *atomic.Int64 {
	var now atomic.Int64
	now.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano())
	o.Now = func() time.Time { return time.Unix(0, now.Load()).UTC() }
	return &now
}

func TestAHawkbitClientWalksFromThePollToTheNewVersion(t *testing.T) {
	var now *atomic.Int64
	r := open(t, func(o *Options) { now = clock(o) })
	image := bytes.Repeat([]byte("1.1 "), 5000)
	links := r.poll(t)
	if links["configData"] == "" || links["cancelAction"] != "" {
		t.Errorf("the first poll has %v", links)
	}
	if status := r.attributes(t, `{"mode":"merge","data":{"hwRevision":3,"fw_version":"1.0"}}`); status != 200 {
		t.Errorf("attributes: %d", status)
	}
	if last := r.seen[len(r.seen)-1]; last.Said.Version != "1.0" {
		t.Errorf("what it says to run was not seen: %+v", last)
	}
	if links = r.poll(t); links["configData"] != "" {
		t.Errorf("it is asked for its attributes again: %v", links)
	}
	action := links["deploymentBase"]
	link, artifact := r.deploymentAt(t, action)
	if artifact.Size != int64(len(image)) || artifact.Filename != "pump-1.1.bin" {
		t.Errorf("%+v", artifact)
	}
	if status := r.tell(t, action, "proceeding", "none"); status != 200 {
		t.Errorf("proceeding: %d", status)
	}
	head := r.do(t, "HEAD", link, nil, ofPump)
	if head.status != 200 || head.length != int64(len(image)) {
		t.Errorf("HEAD: %d, %d bytes", head.status, head.length)
	}
	first := r.do(t, "GET", link, nil, ofPump, "Range: bytes=0-4095")
	rest := r.do(t, "GET", link, nil, ofPump, "Range: bytes=4096-")
	if first.status != 206 || rest.status != 206 || !bytes.Equal(append(first.body, rest.body...), image) {
		t.Errorf("in two parts: %d %d, %d bytes", first.status, rest.status, len(first.body)+len(rest.body))
	}
	if whole := r.do(t, "GET", link, nil, ofPump); whole.status != 200 || !bytes.Equal(whole.body, image) || whole.length != int64(len(image)) {
		t.Errorf("whole: %d, %d bytes", whole.status, whole.length)
	}
	now.Add(int64(time.Second))
	if status := r.tell(t, action, "closed", "success"); status != 200 {
		t.Errorf("closed: %d", status)
	}
	// It has restarted. It is asked what it is now, and told nothing to install, whether it has said that yet or not.
	links = r.poll(t)
	if links["deploymentBase"] != "" || links["configData"] == "" {
		t.Errorf("after the restart: %v", links)
	}
	now.Add(int64(time.Second))
	r.attributes(t, `{"data":{"fw_version":"1.1"}}`)
	r.sighted = fleet.Sighting{Runs: "1.1", RunsBy: fleet.ProofSaid}
	for range 3 {
		if links = r.poll(t); len(links) != 0 {
			t.Errorf("with nothing to do: %v", links)
		}
		now.Add(int64(20 * time.Minute))
	}
	told := r.told["aaaaaaa1"]
	if u := told.Update; u.Version != "1.1" || u.Execution != "closed" || u.Finished != "success" || u.Details[0] != "as it went" ||
		told.Attributes["hwRevision"] != "3" || told.Attributes["fw_version"] != "1.1" {
		t.Errorf("told: %+v %+v", u, told.Attributes)
	}
}

// TestADeviceThatIsThroughWithAnUpdateIsNotSentRoundAndRound: the clients compare no versions.
func TestADeviceThatIsThroughWithAnUpdateIsNotSentRoundAndRound(t *testing.T) {
	for name, c := range map[string]struct {
		execution, finished string
		says                string // its version, after the restart
		again               bool   // in the second hour
	}{
		"it succeeded and says nothing":               {"closed", "success", "", false},
		"it succeeded and says so":                    {"closed", "success", "1.1", false},
		"it succeeded, and went back":                 {"closed", "success", "1.0", true},
		"it failed":                                   {"closed", "failure", "", true},
		"it rejected it":                              {"rejected", "none", "", true},
		"it closed without saying how (client's bug)": {"closed", "none", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			var now *atomic.Int64
			r := open(t, func(o *Options) { now = clock(o) })
			action := r.poll(t)["deploymentBase"]
			r.tell(t, action, c.execution, c.finished)
			polls := 0
			for range 12 { // the hour after it, at every five minutes
				now.Add(int64(5*time.Minute) - 1)
				if c.says != "" {
					r.attributes(t, `{"data":{"swVersion":"`+c.says+`"}}`)
				}
				if r.poll(t)["deploymentBase"] != "" {
					polls++
				}
			}
			if polls != 0 {
				t.Errorf("told %d times in the hour after", polls)
			}
			now.Add(int64(time.Minute))
			if link := r.poll(t)["deploymentBase"]; (link == action) != c.again || link != "" && link != action {
				t.Errorf("in the second hour: %q, want %t", link, c.again)
			}
		})
	}
}

func TestWhatADeviceIsOfferedChangesWhileItFetches(t *testing.T) {
	r := open(t, nil)
	action := r.poll(t)["deploymentBase"]
	link, _ := r.deploymentAt(t, action)
	r.tell(t, action, "proceeding", "none")
	r.do(t, "GET", link, nil, ofPump, "Range: bytes=0-99")
	r.publish("1.0")
	// What was begun goes on, and nobody begins it any more.
	if got := r.do(t, "GET", link, nil, ofPump, "Range: bytes=100-199"); got.status != 206 {
		t.Errorf("the rest: %d", got.status)
	}
	if got := r.do(t, "GET", link, nil, ofPump); got.status != 404 {
		t.Errorf("from its begin: %d", got.status)
	}
	links := r.poll(t)
	if links["deploymentBase"] == action || links["deploymentBase"] == "" || links["cancelAction"] == "" {
		t.Errorf("after the change: %v", links)
	}
	if got := r.do(t, "GET", action, nil, ofPump); got.status != 404 {
		t.Errorf("the old deployment: %d", got.status)
	}
	if status := r.tell(t, action, "closed", "success"); status != 410 {
		t.Errorf("its feedback: %d", status)
	}
	cancel := r.do(t, "GET", links["cancelAction"], nil, ofPump)
	follows(t, "cancel", cancel)
	if status := r.tell(t, links["cancelAction"], "closed", "success"); status != 200 {
		t.Errorf("the answer to the cancellation: %d", status)
	}
	if links := r.poll(t); links["cancelAction"] != "" || links["deploymentBase"] == "" {
		t.Errorf("after its answer: %v", links)
	}
	// A rollout that halts takes what was begun.
	link, _ = r.deploymentAt(t, r.poll(t)["deploymentBase"])
	r.do(t, "GET", link, nil, ofPump, "Range: bytes=0-99")
	r.publish("1.1")
	r.taken = "1.0"
	if got := r.do(t, "GET", link, nil, ofPump, "Range: bytes=100-199"); got.status != 404 {
		t.Errorf("the rest of what was taken: %d", got.status)
	}
}

// publish offers another version to the pumps.
func (m *memory) publish(v fleet.Version) {
	m.mu.Lock()
	defer m.mu.Unlock()
	model := m.models["pump"]
	model.FirmwareVersion = v
	m.models["pump"] = model
}

func TestAnAddressWithAHashHasNoOtherBytes(t *testing.T) {
	r := open(t, nil)
	link, _ := r.deploymentAt(t, r.poll(t)["deploymentBase"])
	other := strings.Replace(link, "of-1.1.bin", "of-9.9.bin", 1)
	for _, path := range []string{other, strings.Replace(link, "/1.1/", "/1.0/", 1), strings.Replace(link, "/1.1/", "/x%2Fy/", 1)} {
		if got := r.do(t, "GET", path, nil, ofPump); got.status != 404 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

func TestOnlyTheDevicesOwnSecretOpensItsAddress(t *testing.T) {
	routes := []string{
		"GET " + pumpBase, "PUT " + pumpBase + "/configData", "GET " + pumpBase + "/deploymentBase/1", "POST " + pumpBase + "/deploymentBase/1/feedback",
		"GET " + pumpBase + "/cancelAction/1", "POST " + pumpBase + "/cancelAction/1/feedback", "GET " + pumpBase + "/softwaremodules/1.1/artifacts/of-1.1.bin",
		"HEAD " + pumpBase + "/softwaremodules/1.1/artifacts/of-1.1.bin",
	}
	for _, route := range routes {
		method, path, _ := strings.Cut(route, " ")
		r := open(t, nil) // wrong secrets are paced
		for header, want := range map[string]struct {
			status    int
			challenge string
		}{
			"X: none":                                   {401, `Basic realm="slipway"`},
			"Authorization: TargetToken wrong":          {401, "Bearer"},
			"Authorization: TargetToken":                {401, "Bearer"},
			"Authorization: TargetToken p+q/=%":         {401, "Bearer"}, // another device's
			"Authorization: GatewayToken old secret":    {401, "Bearer"},
			emptysToken:                                 {403, ""},
			basic("iotdevice-empty-bbbbbbb2", "p+q/=%"): {403, ""},
		} {
			got := r.do(t, method, path, nil, header)
			if got.status != want.status || got.header.Get("WWW-Authenticate") != want.challenge || got.length < 0 {
				t.Errorf("%s with %q: %d, challenge %q, length %d", route, header, got.status, got.header.Get("WWW-Authenticate"), got.length)
			}
			if strings.Contains(header, "GatewayToken") && method != "HEAD" && !strings.Contains(string(got.body), "send TargetToken with the device's own") {
				t.Errorf("%s: %s", route, got.body)
			}
		}
	}
	r := open(t, nil)
	for _, id := range []string{"nobody", "aaaaaaa2", "a%2Fb", "..%2f"} { // as a wrong secret: who asks learns nothing
		if got := r.do(t, "GET", "/DEFAULT/controller/v1/"+id, nil, ofPump); got.status != 401 {
			t.Errorf("id %s: %d", id, got.status)
		}
	}
	for _, path := range []string{"/DEFAULT/controller/v1/aaaaaaa1", "/default/controller/v1/esp32-0001"} {
		for _, header := range []string{ofPump, "Authorization: targettoken old secret", pumpsToken, basic("iotdevice-pump-aaaaaaa1", "old secret")} {
			if got := r.do(t, "GET", path, nil, header); got.status != 200 || !strings.Contains(string(got.body), "/DEFAULT/controller/v1/") {
				t.Errorf("%s with %q: %d %s", path, header, got.status, got.body)
			}
		}
	}
	if got := r.do(t, "GET", "/api/iot/config", nil, ofPump); got.status != 401 {
		t.Errorf("a TargetToken where no address names the device: %d", got.status)
	}
	if got := r.do(t, "GET", "/OTHER/controller/v1/aaaaaaa1", nil, ofPump); got.status != 404 {
		t.Errorf("another tenant: %d", got.status)
	}
}

func TestInTestModeTheAddressNamesTheDevice(t *testing.T) {
	r := open(t, func(o *Options) { o.Caller = ByWord(o.Images.(*memory)) })
	if got := r.do(t, "GET", pumpBase, nil); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := r.do(t, "GET", "/DEFAULT/controller/v1/nobody", nil); got.status != 404 {
		t.Errorf("nobody: %d", got.status)
	}
}

// TestOnADiskThatTakesNothingASuccessIsRemembered: it would be installed again, at every poll.
func TestOnADiskThatTakesNothingASuccessIsRemembered(t *testing.T) {
	r := open(t, nil)
	action := r.poll(t)["deploymentBase"]
	r.full = fleet.Full("no room")
	if status := r.tell(t, action, "closed", "success"); status != 200 {
		t.Errorf("told: %d", status)
	}
	if links := r.poll(t); links["deploymentBase"] != "" {
		t.Errorf("it is sent round: %v", links)
	}
	r.full = nil
	r.attributes(t, `{"data":{"a":"b"}}`)
	if told := r.told["aaaaaaa1"]; told.Update == nil || told.Attributes["a"] != "b" {
		t.Errorf("what was remembered is not noted once there is room: %+v", told)
	}
}

func TestProgressCostsOneWriteAndTooMuchOfItIsRefused(t *testing.T) {
	r := open(t, func(o *Options) { clock(o) })
	action := r.poll(t)["deploymentBase"]
	for range reportsPerMinute {
		if status := r.tell(t, action, "proceeding", "none"); status != 200 {
			t.Fatalf("progress: %d", status)
		}
	}
	if r.written != 1 {
		t.Errorf("%d writes", r.written)
	}
	got := r.do(t, "PUT", pumpBase+"/configData", strings.NewReader(`{"data":{}}`), ofPump)
	if got.status != 429 || got.header.Get("Retry-After") == "" {
		t.Errorf("%d", got.status)
	}
}

func TestWhatADeviceTellsIsBounded(t *testing.T) {
	r := open(t, nil)
	action := r.poll(t)["deploymentBase"]
	long := strings.Repeat("x", 129)
	many := make([]string, mostAttributes+1)
	for i := range many {
		many[i] = fmt.Sprintf(`"a%d":"x"`, i)
	}
	for body, want := range map[string]int{
		`{"status":{"execution":"closed","result":{"finished":"success"}}}`: 200,
		`{"status":{"execution":"closed","result":{"finished":"great"}}}`:   400,
		`{"status":{"execution":"CLOSED","result":{"finished":"success"}}}`: 400,
		`{"status":{"result":{"finished":"success"}}}`:                      400,
		`[]`: 400, ``: 400, `{"status":`: 400,
		`{"x":"` + strings.Repeat("x", mostReport) + `"}`: 413,
	} {
		if got := r.do(t, "POST", action+"/feedback", strings.NewReader(body), ofPump); got.status != want {
			t.Errorf("feedback %.80s: %d, want %d", body, got.status, want)
		}
	}
	for body, want := range map[string]int{
		`{"data":{"a":"b","n":7,"t":true}}`: 200, `{"mode":"replace","data":{"only":"x"}}`: 200, `{"mode":"remove","data":{"only":""}}`: 200, `{}`: 200,
		`{"mode":"grow","data":{}}`: 400, `{"data":{"a":{}}}`: 400, `{"data":{"a":null}}`: 400, `{"data":{"a":["b"]}}`: 400, `{"data":{"":"x"}}`: 400,
		`{"data":{"` + long + `":"x"}}`: 400, `{"data":{"x":"` + long + `"}}`: 400, `{"data":{"a\n":"x"}}`: 400,
		`{"data":{` + strings.Join(many, ",") + `}}`: 400, `nonsense`: 400,
	} {
		if status := r.attributes(t, body); status != want {
			t.Errorf("attributes %.80s: %d, want %d", body, status, want)
		}
	}
}

func TestOnlyAVersionOfTheFirmwareIsADevicesWordOnIt(t *testing.T) {
	for _, c := range []struct {
		attributes map[string]string
		want       string
	}{
		{map[string]string{"fw_version": "1.2"}, "1.2"},
		{map[string]string{"App-Version": "1.2", "swVersion": "1.2", "version": "7"}, "1.2"},
		{map[string]string{"fw_version": "1.2", "sw.version": "1.3"}, ""},
		{map[string]string{"version": "1.2", "hwVersion": "3"}, ""},
		{map[string]string{"fwVersion": strings.Repeat("1", 65)}, ""},
		{nil, ""},
	} {
		if got := versionIn(c.attributes); got != c.want {
			t.Errorf("%v: %q, want %q", c.attributes, got, c.want)
		}
	}
	r := open(t, nil)
	r.attributes(t, `{"data":{"fw_version":"1.0"}}`)
	r.attributes(t, `{"data":{"colour":"red"}}`) // does not say 1.0 once more
	said := 0
	for _, s := range r.seen {
		if s.Said.Version != "" {
			said++
		}
	}
	if said != 1 {
		t.Errorf("said %d times", said)
	}
}

func TestAnActionHasTheSameNumberForTheSameBytesOnly(t *testing.T) {
	numbers := map[int32]bool{}
	for _, code := range []fleet.ModelCode{"pump", "fan"} {
		for _, v := range []fleet.Version{"1.0", "1.1"} {
			for _, etag := range []string{`"a"`, `"b"`} {
				n := numberOf(code, fleet.Image{Version: v, ETag: etag})
				if n <= 0 || numbers[n] || n != numberOf(code, fleet.Image{Version: v, ETag: etag, Size: 7}) {
					t.Errorf("%s %s %s is %d", code, v, etag, n)
				}
				numbers[n] = true
			}
		}
	}
}

// FuzzHawkbitReports: what is taken can be shown, is bounded, and is taken again as it is.
func FuzzHawkbitReports(f *testing.F) {
	seeds, err := filepath.Glob("testdata/hawkbit/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range seeds {
		seed, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Add([]byte(`{"id":"1","time":"20260102T030405","status":{"execution":"closed","result":{"finished":"success","progress":{"cnt":2,"of":5}},"code":200,"details":["a","b"]}}`))
	f.Add([]byte(`{"mode":"merge","data":{"VIN":"x","hwRevision":3},"id":"","time":"","status":{"execution":"closed","result":{"finished":"success"}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if u, err := readFeedback(body); err == nil {
			if len(u.Details) > mostDetails || u.Execution == "" || u.Finished == "" {
				t.Errorf("%+v", u)
			}
			for _, line := range u.Details {
				if len(line) > 3*mostDetail || strings.ContainsFunc(line, unprintable) {
					t.Errorf("detail %q", line)
				}
			}
		}
		now, said, err := readAttributes(body, map[string]string{"before": "x"})
		if err != nil {
			return
		}
		if len(now) > mostAttributes {
			t.Errorf("%d attributes", len(now))
		}
		for name, value := range now {
			if name == "" || len(name) > mostAttribute || strings.ContainsFunc(name+value, unprintable) {
				t.Errorf("%q: %q", name, value)
			}
		}
		if v := versionIn(said); len(v) > declaredMost {
			t.Errorf("version %q", v)
		}
	})
}
