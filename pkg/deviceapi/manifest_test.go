package deviceapi

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// arduinoJSON is what ArduinoJson 6 takes for a document on an ESP32, in bytes: 16 for each value in an object or an array, and
// each text once, a name too, with its end.
func arduinoJSON(t *testing.T, document []byte) int {
	t.Helper()
	var all any
	if err := json.Unmarshal(document, &all); err != nil {
		t.Fatal(err)
	}
	texts := map[string]bool{}
	slots := 0
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, member := range v {
				slots++
				texts[name] = true
				walk(member)
			}
		case []any:
			for _, one := range v {
				slots++
				walk(one)
			}
		case string:
			texts[v] = true
		}
	}
	walk(all)
	taken := 16 * slots
	for text := range texts {
		taken += len(text) + 1
	}
	return taken
}

func TestAManifestSaysWhatIsOfferedAndWhereItIs(t *testing.T) {
	r := open(t, nil)
	got := r.do(t, http.MethodGet, "/api/iot/manifest.json", nil, pumpsToken)
	if got.status != http.StatusOK || got.length != int64(len(got.body)) || got.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d, %d bytes of %d, %v", got.status, len(got.body), got.length, got.header)
	}
	var m manifest
	if err := json.Unmarshal(got.body, &m); err != nil {
		t.Fatal(err)
	}
	image := r.do(t, http.MethodGet, "/api/iot/firmware", nil, pumpsToken).body
	sum, sha := md5.Sum(image), sha256.Sum256(image)
	if m.Name != "pump" || m.Version != "1.1" || m.Type != "pump" || m.URL != r.URL+"/api/iot/firmware/1.1" || len(m.Builds) != 1 {
		t.Errorf("%s", got.body)
	}
	if b := m.Builds[0]; b.ChipFamily != "ESP32-C3" || b.OTA.Path != "firmware/1.1" || b.OTA.MD5 != fmt.Sprintf("%x", sum) {
		t.Errorf("ESPHome's: %+v", b)
	}
	if m.Firmware != "firmware/1.1" || m.SHA != fmt.Sprintf("%x", sha) || m.Length != int64(len(image)) {
		t.Errorf("MicroPython's: %+v", m)
	}
	if len(r.turns) == 0 || r.turns[0] != "aaaaaaa1" {
		t.Error("a version is named before the device had its turn")
	}
	if got := r.do(t, http.MethodGet, "/api/iot/manifest.json", nil, emptysToken); got.status != http.StatusNotFound {
		t.Errorf("without firmware: %d", got.status)
	}
	if seen := r.asked(); seen[0].By != fleet.HeardManifest {
		t.Errorf("heard by %s", seen[0].By)
	}
}

func TestTheLargestManifestFitsIntoWhatItIsReadInto(t *testing.T) {
	const most = 2048
	r := open(t, nil)
	m := r.models["pump"]
	m.Name = strings.Repeat("ß", 200)
	m.Code = fleet.ModelCode(strings.Repeat("w", 50))
	m.FirmwareVersion = fleet.Version(strings.Repeat("http", 8))
	pump := r.devices["aaaaaaa1"]
	pump.Model = m.Code
	r.devices["aaaaaaa1"], r.models[m.Code] = pump, m
	r.image(t, m.Code, m.FirmwareVersion)
	secret := "aaaaaaa1-in-the-path"
	got := r.do(t, http.MethodGet, "/d/"+secret+"/api/iot/manifest.json", nil, "Host: "+strings.Repeat("h", 63)+":65535")
	if got.status != http.StatusOK || len(got.body) > most {
		t.Fatalf("%d, %d bytes: %s", got.status, len(got.body), got.body)
	}
	const restOfSecret = 51 - len("aaaaaaa1-in-the-path") // a real one is longer than this
	if n := arduinoJSON(t, got.body) + restOfSecret; n > most {
		t.Errorf("it takes %d bytes", n)
	}
	var read manifest
	if err := json.Unmarshal(got.body, &read); err != nil || !utf8.ValidString(read.Name) || strings.Contains(read.Builds[0].OTA.Path, "http") {
		t.Errorf("%+v, %v", read, err) // ESPHome takes a path with http in it for a whole address
	}
	if got := r.do(t, http.MethodGet, "/d/"+secret+"/api/iot/"+read.Firmware, nil); got.status != http.StatusOK {
		t.Errorf("what it leads to: %d", got.status)
	}
}
