package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestADumpIsDecodedAgainWhenSomebodyAsksAndItsCrashIsCountedOnce asks for one that failed, for what it is then, which waits
// for its firmware, and for one that has its report.
func TestADumpIsDecodedAgainWhenSomebodyAsksAndItsCrashIsCountedOnce(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "dumps.burst=100")
	g.cli("model", "add", "pump")
	viewer, operator := g.operatorToken("viewer"), g.operatorToken("operator", "--name", "Ana")
	device := g.addDevice("pump")
	address := g.upload(g.deviceToken(device.Key), device.Key, "1", []byte("no core dump at all"))
	name := filepath.Base(address)
	asks := func(as string, want int) {
		t.Helper()
		if a := g.ask("POST", address+"/decode", as, nil); a.StatusCode != want {
			t.Fatalf("%s %s", a.Status, a.body)
		}
	}
	told := 0
	tells := func(by, details string) { // each time that it was asked for
		t.Helper()
		told++
		var page struct {
			Events []struct {
				Actor, Object struct{ ID, Name string }
				Details       json.RawMessage
			}
		}
		g.within(20*time.Second, "it is told of", func() bool {
			if err := json.Unmarshal(g.ask("GET", "/api/events?kind=dump.decoded_again", viewer, nil).body, &page); err != nil {
				t.Fatal(err)
			}
			return len(page.Events) == told
		})
		last := page.Events[told-1]
		if !strings.HasPrefix(last.Actor.Name+last.Actor.ID, by) || last.Object.ID != device.Key+"/"+name || !strings.Contains(string(last.Details), details) {
			t.Errorf("told of %+v %s, want %s of %s", last, last.Details, details, by)
		}
	}

	// It fails again until its file is mended, as on a disk that was at fault.
	g.reportAt(viewer, address, "failed")
	asks(viewer, http.StatusForbidden)
	asks(operator, http.StatusAccepted)
	tells("Ana", `"after":"failed","before":"failed"`)
	if err := os.WriteFile(filepath.Join(g.state, "coredumps", device.Key, name+".dmp"), fixtureDump(t, "esp32c3"), 0o600); err != nil {
		t.Fatal(err)
	}
	asks(operator, http.StatusAccepted)
	tells("Ana", `"after":"missing","before":"failed"`)
	asks(operator, http.StatusAccepted)
	tells("Ana", `"after":"missing","before":"missing"`)
	if r := g.reportAt(viewer, address, "missing"); !strings.Contains(r.Report.Reason, "abort()") || !strings.Contains(r.Why, "its ELF is not here") {
		t.Errorf("without its firmware: %+v", r)
	}

	// Its bundle comes, and it is read by itself. Then somebody wants it read once more.
	g.drop("pump.zip", fixtureBundle(t, "pump", "esp32c3"))
	r := g.reportAt(viewer, address, "reported")
	file := filepath.Join(g.state, "coredumps", device.Key, name+".report.gz")
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if out := g.cli("dump", "decode", device.Key, "latest"); out != name+" of "+device.Key+" is decoded again\n" {
		t.Errorf("dump decode: %s", out)
	}
	tells("uid:", `"after":"reported","before":"reported"`)
	if after, err := os.Stat(file); err != nil || os.SameFile(before, after) {
		t.Errorf("its report is the one of before: %v", err)
	}
	again := g.reportAt(viewer, address, "reported")
	if again.Grade != "exact" || again.Fingerprint != r.Fingerprint || again.TopFrame != r.TopFrame || again.News != "new" {
		t.Errorf("decoded again it is %+v, and was %+v", again, r)
	}
	var listed struct {
		Crashes []struct{ Count, Devices int }
	}
	if err := json.Unmarshal(g.ask("GET", "/api/crashes", viewer, nil).body, &listed); err != nil {
		t.Fatal(err)
	}
	if len(listed.Crashes) != 1 || listed.Crashes[0].Count != 1 || listed.Crashes[0].Devices != 1 {
		t.Errorf("groups %+v", listed)
	}

	// All of its group, which has this one.
	asks(operator, http.StatusAccepted)
	tells("Ana", `"after":"reported","before":"reported"`)
	if a := g.ask("POST", "/api/crashes/"+r.Fingerprint+"/decode", viewer, nil); a.StatusCode != http.StatusForbidden {
		t.Errorf("%s %s", a.Status, a.body)
	}
	if a := g.ask("POST", "/api/crashes/"+r.Fingerprint+"/decode", operator, nil); a.StatusCode != http.StatusAccepted || string(a.body) != `{"dumps":1,"kept":1,"next":null}`+"\n" {
		t.Errorf("%s %s", a.Status, a.body)
	}
	tells("Ana", `"after":"reported","before":"reported"`)
	if out := g.cli("crash", "decode", r.Fingerprint); out != "core dumps of "+r.Fingerprint+" that are decoded again: 1\n" {
		t.Errorf("crash decode: %s", out)
	}
	tells("uid:", `"after":"reported","before":"reported"`)
	g.cli("audit", "verify")
}
