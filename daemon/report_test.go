package main

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/bundle"
)

// fixtureBundle is a real build as a bundle.
func fixtureBundle(t testing.TB, code, chip string) []byte {
	t.Helper()
	var out bytes.Buffer
	err := bundle.Pack(&out, code, bundle.Contents{
		Image: fixture(t, chip, "app.bin"), ELF: fixture(t, chip, "app.elf"), Map: []byte("map"),
		Settings: []byte("CONFIG_IDF_TARGET=\"" + strings.TrimSuffix(chip, "_bin") + "\"\n"),
		Versions: []byte(`{"git_commit":"x","idf_version":"x","firmware_version":"x"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// fixtureDump is the dump of a real crash, as a container.
func fixtureDump(t testing.TB, chip string) []byte {
	t.Helper()
	var core []byte
	for line := range strings.Lines(string(fixture(t, chip, "core.b64"))) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=") {
			continue
		}
		part, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		core = append(core, part...)
	}
	return core
}

// shownReport is what the API says of a dump.
type shownReport struct {
	Name        string
	State       string
	Why         string
	Grade       string
	Fingerprint string
	TopFrame    string `json:"top_frame"`
	News        string
	Report      struct {
		Reason string
		Tasks  []struct {
			Name   string
			Frames []struct{ Function, File string }
		}
	}
}

var crashes atomic.Int64

// crashedAgain is a dump of the same crash with other bytes: more of the partition's padding lies behind it. The same bytes
// would be the same dump.
func crashedAgain(core []byte) []byte {
	return append(slices.Clip(core), make([]byte, crashes.Add(1))...)
}

// upload sends a dump and returns its address in the API.
func (g *running) upload(token, key, version string, core []byte) string {
	g.t.Helper()
	a := g.ask("POST", uploadPath("esp32c3", version), token, bytes.NewReader(core))
	if a.StatusCode != http.StatusCreated {
		g.t.Fatalf("%s %s", a.Status, a.body)
	}
	name, _ := a.json(g.t)["filename"].(string)
	return "/api/coredumps/" + key + "/" + strings.TrimSuffix(name, ".dmp")
}

// reportAt waits until a dump is in a state.
func (g *running) reportAt(viewer, address, state string) shownReport {
	g.t.Helper()
	var r shownReport
	g.within(20*time.Second, address+" "+state, func() bool {
		r = shownReport{}
		if err := json.Unmarshal(g.ask("GET", address, viewer, nil).body, &r); err != nil {
			g.t.Fatal(err)
		}
		return r.State == state
	})
	return r
}

func TestADumpIsAReportAndAGroupAMomentLater(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "dumps.burst=100")
	for _, code := range []string{"pump", "fan"} {
		g.cli("model", "add", code)
	}
	viewer, operator := g.operatorToken("viewer"), g.operatorToken("operator")
	device := g.addDevice("pump")
	token := g.deviceToken(device.Key)
	core := fixtureDump(t, "esp32c3")

	// Before its firmware is here the dump waits for it, and says what can be known.
	early := g.upload(token, device.Key, "declared", core)
	if r := g.reportAt(viewer, early, "missing"); !strings.Contains(r.Report.Reason, "abort()") || r.Fingerprint != "" || r.Why == "" {
		t.Errorf("without its firmware: %+v", r)
	}
	g.drop("pump.zip", fixtureBundle(t, "pump", "esp32c3"))
	r := g.reportAt(viewer, early, "reported")
	if r.Grade != "exact" || r.TopFrame != "fail_once test_core_dump.c:14" || r.News != "new" || r.Report.Tasks[0].Name != "main" {
		t.Errorf("after its bundle came: %+v", r)
	}
	// The same crash again is known, whatever shape the dump has and whatever version its device declares.
	header := 24
	naked := append(bytes.Clone(core[header:]), make([]byte, 32)...)
	for name, shape := range map[string][]byte{
		"as esp-mdm sends it": naked, "its first four bytes lost": naked[4:], "its first twelve bytes lost": naked[12:],
		"a whole partition": append(bytes.Clone(core), bytes.Repeat([]byte{0xA5}, 65536-len(core))...),
		"base64":            fixture(t, "esp32c3", "core.b64"),
	} {
		again := g.reportAt(viewer, g.upload(token, device.Key, "9.9.9", shape), "reported")
		if again.Fingerprint != r.Fingerprint || again.News != "known" {
			t.Errorf("%s: %+v", name, again)
		}
	}
	var listed struct {
		Crashes []struct {
			Fingerprint string
			Count       int
			State       string
		}
		Total int
	}
	groups := func(query string) {
		t.Helper()
		listed.Crashes = nil
		if err := json.Unmarshal(g.ask("GET", "/api/crashes"+query, viewer, nil).body, &listed); err != nil {
			t.Fatal(err)
		}
	}
	groups("?model=pump&state=open&text=fail_once&sort=count")
	if listed.Total != 1 || listed.Crashes[0].Count != 6 {
		t.Errorf("groups %+v", listed)
	}
	groups("?model=fan")
	if listed.Total != 0 {
		t.Errorf("groups of another model %+v", listed)
	}
	// Resolved in a later version, a straggler of the old one changes nothing; resolved in its own, it is a regression.
	for _, resolved := range [][2]string{{"v99.0", "known"}, {"v1.0-56-g30082bf-dirty", "regression"}} {
		version, want := resolved[0], resolved[1]
		a := g.ask("POST", "/api/crashes/"+r.Fingerprint+"/resolve", operator, strings.NewReader(`{"firmware_version":"`+version+`"}`))
		if a.StatusCode != http.StatusOK {
			t.Fatalf("%s %s", a.Status, a.body)
		}
		if again := g.reportAt(viewer, g.upload(token, device.Key, "1", crashedAgain(core)), "reported"); again.News != want {
			t.Errorf("resolved in %s: %s", version, again.News)
		}
	}
	if out := g.cli("crash", "list"); !strings.Contains(out, "regression in") || !strings.Contains(out, "fail_once") {
		t.Errorf("crash list: %s", out)
	}
	other := g.addDevice("pump")
	if out := g.cli("device", "list", "--crash", r.Fingerprint, "--state", "live"); !strings.Contains(out, device.Key) || strings.Contains(out, other.Key) {
		t.Errorf("device list --crash: %s", out)
	}
	if out := g.cli("dump", "show", device.Key, r.Name); !strings.Contains(out, "in panic_abort (details=") {
		t.Errorf("dump show: %s", out)
	}
	// Ignored until the second crash from now on: the first changes nothing, also after a restart, the second has it open again.
	if out := g.cli("crash", "ignore", r.Fingerprint, "--until-crashes", "2"); !strings.Contains(out, "ignored until 2 more crashes") {
		t.Errorf("crash ignore: %s", out)
	}
	for _, want := range []string{"ignored until 2 more crashes (1 of them to come)", "open again"} {
		g.reportAt(viewer, g.upload(token, device.Key, "1", crashedAgain(core)), "reported")
		if g.restart(); !strings.Contains(g.cli("crash", "list"), want) {
			t.Errorf("not %s: %s", want, g.cli("crash", "list"))
		}
	}
	if out := g.cli("trouble", "list") + g.cli("crash", "show", r.Fingerprint); !strings.Contains(out, "crash ignored no more") || !strings.Contains(out, "2 more crashes came, and it was ignored until then") {
		t.Errorf("what needs somebody, and the crash: %s", out)
	}
	g.cli("crash", "ignore", r.Fingerprint)
	g.restart()
	groups("?state=ignored")
	if listed.Total != 1 || listed.Crashes[0].Count != 10 {
		t.Errorf("after a restart: %+v", listed)
	}
	journal := g.log.String()
	g.kill()
	g.start()
	if strings.Contains(journal, token) {
		t.Error("a token is in the journal")
	}
}

func TestWhatIsNoDumpFailsAloneAndTheNextIsReported(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "dumps.burst=100")
	g.cli("model", "add", "pump")
	viewer := g.operatorToken("viewer")
	device := g.addDevice("pump")
	token := g.deviceToken(device.Key)
	g.drop("pump.zip", fixtureBundle(t, "pump", "esp32c3"))
	g.within(5*time.Second, "accepted", func() bool { return g.exists("drop", "accepted", "pump.zip") })
	core := fixtureDump(t, "esp32c3")
	bad := g.upload(token, device.Key, "1", []byte("no core dump at all"))
	cut := g.upload(token, device.Key, "1", core[:len(core)/2])
	good := g.upload(token, device.Key, "1", core)
	if r := g.reportAt(viewer, bad, "failed"); r.Why == "" {
		t.Errorf("%+v", r)
	}
	if r := g.reportAt(viewer, cut, "missing"); r.Report.Reason == "" { // what says whose it is was in the other half
		t.Errorf("half a dump: %+v", r)
	}
	if r := g.reportAt(viewer, good, "reported"); r.Grade != "exact" {
		t.Errorf("%+v", r)
	}
}

func TestStormControlKeepsTheFirstAndTheLastDumpsOfACrash(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "dumps.burst=100", "dumps.keep_per_crash=2", "dumps.keep_per_device=100")
	g.cli("model", "add", "pump")
	viewer := g.operatorToken("viewer")
	device := g.addDevice("pump")
	token := g.deviceToken(device.Key)
	g.drop("pump.zip", fixtureBundle(t, "pump", "esp32c3"))
	g.within(5*time.Second, "accepted", func() bool { return g.exists("drop", "accepted", "pump.zip") })
	core := fixtureDump(t, "esp32c3")
	var names []string
	for range 8 {
		address := g.upload(token, device.Key, "1", crashedAgain(core))
		g.reportAt(viewer, address, "reported")
		names = append(names, address[strings.LastIndexByte(address, '/')+1:]+".dmp")
	}
	want := []string{names[0], names[1], names[6], names[7]}
	g.within(5*time.Second, fmt.Sprint("left: ", want), func() bool { return slices.Equal(filesIn(t, dumpDir(g, device.Key), ".dmp"), want) })
	var listed struct{ Crashes []struct{ Count int } }
	if err := json.Unmarshal(g.ask("GET", "/api/crashes", viewer, nil).body, &listed); err != nil || listed.Crashes[0].Count != 8 {
		t.Errorf("counted %+v, %v", listed, err)
	}
}

func TestAnELFThatIsATrapCostsItsOwnDumpsAlone(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "dumps.burst=100")
	g.cli("model", "add", "pump")
	viewer := g.operatorToken("viewer")
	device := g.addDevice("pump")
	token := g.deviceToken(device.Key)
	good := fixtureBundle(t, "pump", "esp32c3")
	z, err := zip.NewReader(bytes.NewReader(good), int64(len(good)))
	if err != nil || len(z.File) != 5 {
		t.Fatal(err)
	}
	elf := bytes.Clone(fixture(t, "esp32c3", "app.elf"))
	for i := 4096; i < len(elf); i += 7 { // headers stay, everything else is noise
		elf[i] ^= 0x5A
	}
	image := bytes.Clone(fixture(t, "esp32c3", "app.bin"))
	copy(image[0xB0:0xD0], make([]byte, 32)) // it does not say which ELF it was made of
	var trap bytes.Buffer
	err = bundle.Pack(&trap, "pump", bundle.Contents{Image: image, ELF: elf, Map: []byte("map"), Settings: []byte("x"),
		Versions: []byte(`{"git_commit":"x","idf_version":"x","firmware_version":"x"}`)})
	if err != nil {
		t.Fatal(err)
	}
	g.drop("trap.zip", trap.Bytes())
	g.within(5*time.Second, "accepted", func() bool { return g.exists("drop", "accepted", "trap.zip") })
	address := g.upload(token, device.Key, "v1.0-56-g30082bf-dirty", fixtureDump(t, "esp32c3"))
	var r shownReport
	g.within(20*time.Second, "looked at", func() bool {
		if err := json.Unmarshal(g.ask("GET", address, viewer, nil).body, &r); err != nil {
			t.Fatal(err)
		}
		return r.State == "failed" || r.State == "missing"
	})
	if a := g.ask("GET", "/api/health", "", nil); a.StatusCode != http.StatusOK {
		t.Errorf("health: %s %s", a.Status, a.body)
	}
}

func BenchmarkUploadToReport(b *testing.B) {
	asInstalled(b)
	g := startGateway(b, "dumps.burst=100000", "dumps.per_minute=100000")
	g.cli("model", "add", "pump")
	viewer := g.operatorToken("viewer")
	device := g.addDevice("pump")
	token := g.deviceToken(device.Key)
	g.drop("pump.zip", fixtureBundle(b, "pump", "esp32c3"))
	g.within(5*time.Second, "accepted", func() bool { return g.exists("drop", "accepted", "pump.zip") })
	core := fixtureDump(b, "esp32c3")
	g.reportAt(viewer, g.upload(token, device.Key, "1", core), "reported") // the ELF is inflated once a build
	const uploads = 200
	for b.Loop() {
		var took []time.Duration
		for range uploads {
			start := time.Now()
			address := g.upload(token, device.Key, "1", crashedAgain(core))
			g.reportAt(viewer, address, "reported")
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		p99 := took[uploads*99/100]
		b.ReportMetric(float64(took[uploads/2].Microseconds())/1000, "ms-median")
		b.ReportMetric(float64(p99.Microseconds())/1000, "ms-p99")
		if p99 > 250*time.Millisecond {
			b.Errorf("99 of 100 reports within %s, promised are 250 ms", p99)
		}
	}
}
