package deviceapi

import (
	"cmp"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// asked are the requests that were seen since the last call. What arrived of an image is told later, and is none.
func (m *memory) asked() []fleet.Seen {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := slices.DeleteFunc(m.seen, func(s fleet.Seen) bool { return s.Transfer != nil })
	m.seen = nil
	return all
}

func TestEveryRequestOfAKnownDeviceIsSeen(t *testing.T) {
	r := open(t, nil)
	for _, c := range []struct {
		method, path, body string
		by                 fleet.HeardBy
	}{
		{http.MethodGet, "/api/iot/config", "", fleet.HeardConfig},
		{http.MethodGet, "/api/iot/firmware-version", "", fleet.HeardVersion},
		{http.MethodGet, "/api/iot/firmware", "", fleet.HeardFirmware},
		{http.MethodHead, "/api/iot/firmware", "", fleet.HeardFirmware},
		{http.MethodGet, "/api/iot/firmware/9.9", "", fleet.HeardFirmware}, // of which there is none
		{http.MethodGet, "/api/iot/provisioning", "", fleet.HeardProvisioning},
		{http.MethodPost, "/api/iot/coredump?chip=esp32&firmware_version=1.0", "dump", fleet.HeardDump},
	} {
		r.asked() // nothing of the request before
		r.do(t, c.method, c.path, strings.NewReader(c.body), "Authorization: Bearer token-aaaaaaa1", "User-Agent: ESP32 HTTP Client/1.0", "X-Boot-ID: 7")
		all := r.asked()
		if len(all) != 1 {
			t.Errorf("%s: seen %d times", c.path, len(all))
			continue
		}
		got := all[0]
		if got.Device != "aaaaaaa1" || got.By != c.by || !got.Address.IsLoopback() || got.Agent != "ESP32 HTTP Client/1.0" || got.Said.BootID != "7" || got.At.IsZero() {
			t.Errorf("%s: %+v", c.path, got)
		}
	}
	r.asked()
	form := "grant_type=client_credentials&client_id=iotdevice-pump-aaaaaaa1&client_secret="
	r.do(t, http.MethodPost, tokenPath, strings.NewReader(form+"old+secret"), "Content-Type: application/x-www-form-urlencoded")
	if all := r.asked(); len(all) != 1 || all[0].By != fleet.HeardToken || all[0].Device != "aaaaaaa1" {
		t.Errorf("a token: %+v", all)
	}
}

func TestWhoShowsNoGoodCredentialsIsNotSeen(t *testing.T) {
	r := open(t, nil)
	form := "grant_type=client_credentials&client_id=iotdevice-pump-aaaaaaa1&client_secret=wrong"
	r.do(t, http.MethodPost, tokenPath, strings.NewReader(form), "Content-Type: application/x-www-form-urlencoded")
	r.do(t, http.MethodGet, "/api/iot/config", nil)
	r.do(t, http.MethodGet, "/api/iot/config", nil, "Authorization: Bearer wrong")
	if all := r.asked(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

func TestADeviceSaysOfItselfWhatIsShortAndPrintable(t *testing.T) {
	hash := strings.Repeat("0123456789ABCDEF", 4)
	for name, c := range map[string]struct {
		header http.Header
		want   fleet.Said
	}{
		"nothing": {http.Header{}, fleet.Said{}},
		"all": {header(
			"X-Running-Version", "1.4.2", "X-Running-ELF-SHA256", hash, "X-Boot-ID", "b1",
		), fleet.Said{Version: "1.4.2", ELFSHA256: strings.ToLower(hash), BootID: "b1"}},
		"Arduino": {header(
			"x-ESP32-version", "14.3.0(tasmota32)", "x-ESP32-sketch-md5", hash[:32], "x-ESP32-sketch-sha256", hash,
		), fleet.Said{Version: "14.3.0(tasmota32)", Sketch: strings.ToLower(hash)}},
		"Arduino's MD5":                 {header("x-ESP32-sketch-md5", hash[:32]), fleet.Said{Sketch: strings.ToLower(hash[:32])}},
		"ESP8266's version":             {header("x-ESP8266-version", "1.0", "x-ESP8266-sketch-md5", hash[:32]), fleet.Said{Version: "1.0", Sketch: strings.ToLower(hash[:32])}},
		"why it booted, and what of":    {header("X-Reset-Reason", "panic", "X-OTA-State", "pending_verify"), fleet.Said{Reset: "panic", OTAState: "pending_verify"}},
		"as ESP-IDF spells it":          {header("X-Reset-Reason", "ESP_RST_TASK_WDT", "X-OTA-State", "ESP_OTA_IMG_VALID"), fleet.Said{Reset: "task_wdt", OTAState: "valid"}},
		"what nobody knows":             {header("X-Reset-Reason", "a bad mood", "X-OTA-State", "esp_ota_img_"), fleet.Said{}},
		"its own header counts more":    {header("X-Running-Version", "1.4.2", "x-ESP32-version", "core"), fleet.Said{Version: "1.4.2"}},
		"nine digits, as its log has":   {header("X-Running-ELF-SHA256", "0123456789"), fleet.Said{ELFSHA256: "0123456789"}},
		"too few digits":                {header("X-Running-ELF-SHA256", "0123"), fleet.Said{}},
		"no digits":                     {header("X-Running-ELF-SHA256", "0123456x89"), fleet.Said{}},
		"64 bytes":                      {header("X-Boot-ID", strings.Repeat("b", 64)), fleet.Said{BootID: strings.Repeat("b", 64)}},
		"65 bytes":                      {header("X-Boot-ID", strings.Repeat("b", 65), "X-Running-Version", strings.Repeat("1", 65)), fleet.Said{}},
		"what a terminal would obey":    {header("X-Running-Version", "1\x1b[2J"), fleet.Said{}},
		"what is no ASCII":              {header("X-Boot-ID", "Überspannung"), fleet.Said{}},
		"twice, which of the two is it": {http.Header{"X-Running-Version": {"1", "2"}}, fleet.Said{}},
	} {
		if got := saidBy(c.header); got != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestTheReadmeNamesTheHeadersThatAreRead(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "## What a device may say of itself")
	table, _, _ = strings.Cut(table, "```")
	said := fleet.Said{}
	for _, row := range strings.Split(table, "\n") {
		cells := strings.Split(row, "|")
		if len(cells) < 3 || !strings.Contains(cells[1], "`X-") {
			continue
		}
		for _, name := range strings.Split(strings.ReplaceAll(cells[1], "`", ""), ",") {
			name = strings.TrimSpace(name)
			one := saidBy(header(name, "0123456789abcdef"))
			for _, example := range strings.Split(cells[2], "`")[1:] { // such as the row has
				if one == (fleet.Said{}) {
					one = saidBy(header(name, example))
				}
			}
			if one == (fleet.Said{}) {
				t.Errorf("%s is in the README, and is not read", name)
			}
			said.Reset, said.OTAState = cmp.Or(said.Reset, one.Reset), cmp.Or(said.OTAState, one.OTAState)
			said.Version, said.ELFSHA256, said.BootID = said.Version+one.Version, said.ELFSHA256+one.ELFSHA256, said.BootID+one.BootID
		}
	}
	if said.Version == "" || said.ELFSHA256 == "" || said.BootID == "" || said.Reset == "" || said.OTAState == "" {
		t.Errorf("what is read is not in the README: %+v", said)
	}
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func FuzzSaidBy(f *testing.F) {
	f.Add("1.4.2", "0123456789abcdef", "b1")
	f.Add("\x00", "é", strings.Repeat("x", 100))
	f.Fuzz(func(t *testing.T, version, hash, boot string) {
		said := saidBy(http.Header{"X-Running-Version": {version}, "X-Running-Elf-Sha256": {hash}, "X-Boot-Id": {boot}})
		for _, s := range []string{said.Version, said.ELFSHA256, said.BootID} {
			if text, err := json.Marshal(s); err != nil || len(s) > declaredMost || strings.Contains(string(text), `\u00`) && !strings.ContainsAny(s, "<>&") {
				t.Errorf("%q, %v", s, err)
			}
		}
		if strings.Trim(said.ELFSHA256, "0123456789abcdef") != "" {
			t.Errorf("hash %q", said.ELFSHA256)
		}
	})
}
