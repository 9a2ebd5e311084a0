package clients

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// What ESP-IDF's esp_http_client and esp_https_ota do, which differs between releases: read in 5.1.4, 5.3.2, 5.4.4, 5.5.1, 5.5.5
// and 6.0.2, and seen when that code was run against the gateway.

func idfClients() []Client {
	const patience = "5 s"
	ota := func(name string, v otaRelease) Client {
		return Client{
			Name: name, Asks: []Endpoint{Firmware}, Shows: Basic, Resumes: v.resumes, Ranges: v.resumes || v.partial, Repeats: v.repeats,
			Patience: patience, Round: v.round,
		}
	}
	return []Client{
		{Name: "esp_http_client, IDF 5.1-6.0", Asks: []Endpoint{Config, Dump}, Shows: Basic, Patience: patience, Round: performRound},
		ota("esp_https_ota, IDF 5.1-5.4", otaRelease{repeats: true}),
		ota("esp_https_ota, IDF 5.1-5.4, partial", otaRelease{repeats: true, partial: true}),
		ota("esp_https_ota, IDF 5.5.0-5.5.3", otaRelease{knows304: true, resumes: true, restarts: true, sameLink: true}),
		ota("esp_https_ota, IDF 5.5.4-6.0", otaRelease{knows304: true, resumes: true, restarts: true}),
		ota("esp_https_ota, IDF 5.5.4-6.0, partial", otaRelease{knows304: true, partial: true, restarts: true}),
		{Name: "esp-mdm", Asks: []Endpoint{Token, Config, Dump, Firmware}, Shows: Bearer, Erases: true, Patience: "4 s", Round: mdmBoot},
		{Name: "esp-mdm, told to rotate", Asks: []Endpoint{Token, Provisioning}, Shows: Bearer, Patience: "4 s", Round: mdmRotate},
	}
}

// esp are the lines of a request of esp_http_client.
func (d *Device) esp(method, path, authorization string, length int, more ...string) ([]string, error) {
	lines := []string{method + " " + path + " HTTP/1.1", "User-Agent: ESP32 HTTP Client/1.0", "Host: " + d.Gateway}
	if authorization != "" {
		lines = append(lines, authorization)
	}
	lines = append(append(lines, more...), "Content-Length: "+strconv.Itoa(length))
	most := espBuffer
	if authorization != "" {
		most = 4096 // what a client sets that sends a token
	}
	for _, line := range lines {
		if len(line)+2 > most {
			return nil, fmt.Errorf("a line of %d bytes does not fit into %d", len(line), most)
		}
	}
	return lines, nil
}

// espOnce makes one request on a connection of its own.
func (d *Device) espOnce(method, path, authorization string, body []byte, more ...string) (*answer, error) {
	lines, err := d.esp(method, path, authorization, len(body), more...)
	if err != nil {
		return nil, err
	}
	l, err := d.dial(espBuffer)
	if err != nil {
		return nil, err
	}
	a, err := d.ask(l, lines, body)
	if err != nil {
		l.Close()
	}
	return a, err
}

// mostRepeats is esp_http_client's max_authorization_retries.
const mostRepeats = 10

// perform is esp_http_client_perform: what is refused with a challenge of Basic is asked again, with and without credentials.
func (d *Device) perform(method, path string, body []byte, more ...string) (status int, read []byte, err error) {
	for repeats := 0; ; repeats++ {
		a, err := d.espOnce(method, path, d.basic(), body, more...)
		if err != nil {
			return 0, nil, err
		}
		read, err = a.whole(128 << 10)
		a.link.Close()
		if err != nil {
			return a.status, nil, err
		}
		if !a.basicWanted() || repeats == mostRepeats {
			return a.status, read, nil
		}
	}
}

// performRound is an application that looks at its answers: it keeps its dump until it is taken.
func performRound(d *Device) (End, error) {
	status, _, err := d.perform("GET", "/api/iot/config", nil)
	if err != nil || status != 200 {
		return Failed, errors.Join(err, fmt.Errorf("configuration: %d", status))
	}
	if d.Dump == nil {
		return Done, nil
	}
	status, _, err = d.perform("POST", "/api/iot/coredump?chip=esp32c3&firmware_version="+Version(d.Runs), d.Dump, "Content-Type: application/octet-stream")
	if err != nil || status != 201 {
		return Failed, errors.Join(err, fmt.Errorf("dump: %d", status))
	}
	d.Dump = nil
	return Done, nil
}

// otaRelease is what tells releases of esp_https_ota apart.
type otaRelease struct {
	repeats  bool // a 401, whatever its challenge
	knows304 bool
	resumes  bool // Range: bytes=N-, also at 0
	restarts bool // a 416 starts over
	sameLink bool // on the same connection, and what is left of the 416's body is the begin of the image
	partial  bool // HEAD, then pieces
}

const firmwarePath = "/api/iot/firmware"

// piece is what a partial download asks for at a time, in bytes.
const piece = 4096

func (v otaRelease) round(d *Device) (End, error) {
	if v.partial {
		return v.pieces(d)
	}
	var more []string
	if v.resumes {
		more = append(more, "Range: bytes="+strconv.Itoa(len(d.Part))+"-")
	}
	image := d.Part
	if !v.resumes {
		image = nil
	}
	for repeats := 0; ; repeats++ {
		a, err := d.espOnce("GET", d.source(firmwarePath), d.basic(), nil, more...)
		if err != nil {
			return Failed, err
		}
		switch again, end, err := v.judge(a, repeats); {
		case end != "":
			a.link.Close()
			return end, err
		case again:
			a.link.Close()
			continue
		}
		if a.status == 416 {
			image, d.Part, more = nil, nil, []string{"Range: bytes=0-"}
			if v.sameLink {
				return v.goesOn(d, a)
			}
			a.link.Close()
			continue
		}
		if a.status == 200 {
			image = nil // it starts over
		}
		defer a.link.Close()
		return v.take(d, a, image)
	}
}

// judge says what is done at a status other than that of an image: it is asked again, or that was it.
func (v otaRelease) judge(a *answer, repeats int) (again bool, end End, err error) {
	switch {
	case a.status == 401 && (v.repeats || a.basicWanted()) && repeats < mostRepeats:
		return true, "", nil
	case a.status == 304 && v.knows304:
		return false, UpToDate, nil
	case a.status == 416 && v.restarts, a.status == 200, a.status == 206:
		return false, "", nil
	}
	end, err = refused(a.status)
	return false, end, err
}

// take reads an image behind what there is of it, and stops in the first block of the version that runs.
func (v otaRelease) take(d *Device, a *answer, image []byte) (End, error) {
	from, had := a.body(), len(image)
	if had == 0 {
		block := make([]byte, 1024)
		n, err := io.ReadFull(from, block)
		if image = block[:n]; err != nil && n == 0 {
			return Failed, err
		}
		if Version(image) != "" && Version(image) == Version(d.Runs) {
			return UpToDate, nil
		}
	}
	rest, err := io.ReadAll(io.LimitReader(from, mostImage))
	image = slices.Concat(image, rest)
	if v.resumes {
		d.Part = image
	}
	if a.length >= 0 && int64(len(image)-had) < a.length {
		err = errors.Join(err, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return Failed, err
	}
	if end, err := d.install(image); err == nil {
		return end, nil
	} else if v.resumes && len(image) > 0 && begins(image) {
		return Failed, err // what is missing is asked for in the next round
	} else {
		d.Part = nil
		return Failed, err
	}
}

// goesOn is how 5.5.0 to 5.5.3 start over: the same connection, on which the body of the 416 was not read.
func (v otaRelease) goesOn(d *Device, a *answer) (End, error) {
	defer a.link.Close()
	if left := a.body(); a.length != 0 {
		b, err := io.ReadAll(io.LimitReader(left, 1024))
		if err != nil || len(b) > 0 {
			return Failed, fmt.Errorf("%q is taken for the image: %w", b[:min(len(b), 32)], errors.Join(err, errors.New("no magic")))
		}
	}
	lines, err := d.esp("GET", d.source(firmwarePath), d.basic(), 0, "Range: bytes=0-")
	if err != nil {
		return Failed, err
	}
	again, err := d.ask(a.link, lines, nil)
	if err != nil {
		return Failed, err
	}
	if again.status != 200 && again.status != 206 {
		return refused(again.status)
	}
	return v.take(d, again, nil)
}

// pieces asks for the size, then for a piece after the other on the same connection, the last one without an end.
func (v otaRelease) pieces(d *Device) (End, error) {
	var a *answer
	for repeats := 0; ; repeats++ {
		var err error
		if a, err = d.espOnce("HEAD", d.source(firmwarePath), d.basic(), nil); err != nil {
			return Failed, err
		}
		again, end, err := v.judge(a, repeats)
		if end != "" {
			a.link.Close()
			return end, err
		}
		if !again {
			break
		}
		a.link.Close()
	}
	defer a.link.Close()
	if a.length <= 0 {
		return Failed, errors.New("no length: the image is never activated")
	}
	size, image := a.length, []byte{}
	for int64(len(image)) < size {
		span := fmt.Sprintf("Range: bytes=%d-%d", len(image), len(image)+piece-1)
		if int64(len(image)+piece) >= size {
			span = fmt.Sprintf("Range: bytes=%d-", len(image))
		}
		lines, err := d.esp("GET", d.source(firmwarePath), d.basic(), 0, span)
		if err != nil {
			return Failed, err
		}
		p, err := d.ask(a.link, lines, nil)
		if err != nil {
			return Failed, err
		}
		d.Asked["GET "+d.source(firmwarePath)]-- // another piece is another thing
		if p.status != 206 {
			return refused(p.status)
		}
		b, err := p.whole(piece)
		if err != nil {
			return Failed, err
		}
		if len(image) == 0 && Version(b) == Version(d.Runs) {
			return UpToDate, nil
		}
		image = append(image, b...)
	}
	return d.install(image)
}

// needed is what esp-mdm cannot boot without.
var needed = []string{"device_key", "client_id", "client_secret", "token_url", "base_url", "mqtt_url", "wifi_ssid", "wifi_password"}

// mdmToken looks at no status.
func (d *Device) mdmToken() (string, error) {
	form := "grant_type=client_credentials&scope=openid+profile+email&client_id=" + d.ID + "&client_secret=" + d.Secret
	a, err := d.espOnce("POST", "/api/oauth/token", "", []byte(form), "Content-Type: application/x-www-form-urlencoded")
	if err != nil {
		return "", err
	}
	defer a.link.Close()
	members, err := a.members(4096)
	if err != nil {
		return "", err
	}
	token, isText := members["access_token"].(string)
	if _, isNumber := members["expires_in"].(float64); !isText || !isNumber {
		return "", errors.New("no access_token and expires_in: it aborts, and boots again")
	}
	return "Authorization: Bearer " + token, nil
}

func (a *answer) members(most int) (map[string]any, error) {
	b, err := a.whole(most)
	if err != nil {
		return nil, err
	}
	var members map[string]any
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&members); err != nil {
		return nil, fmt.Errorf("%d without JSON: %w", a.status, err)
	}
	return members, nil
}

// mdmBoot is a boot: token, configuration, dump, firmware, each on a new connection.
func mdmBoot(d *Device) (End, error) {
	bearer, err := d.mdmToken()
	if err != nil {
		return Failed, err
	}
	a, err := d.espOnce("GET", "/api/iot/config", bearer, nil)
	if err != nil {
		return Failed, err
	}
	members, err := a.members(4096)
	a.link.Close()
	if err != nil {
		return Failed, err
	}
	for _, name := range []string{"deviceName", "deviceEntityId"} {
		if _, isText := members[name].(string); !isText {
			return Failed, fmt.Errorf("no %s: it aborts, and boots again", name)
		}
	}
	if d.Dump != nil {
		a, err := d.espOnce("POST", "/api/iot/coredump?chip=esp32c3&firmware_version="+Version(d.Runs), bearer, d.Dump, "Content-Type: application/octet-stream")
		d.Dump = nil // whatever is answered
		if err != nil {
			return Failed, err
		}
		a.link.Close()
	}
	if a, err = d.espOnce("GET", "/api/iot/firmware", bearer, nil); err != nil {
		return Failed, err
	}
	defer a.link.Close()
	if a.status != 200 {
		return refused(a.status)
	}
	return otaRelease{}.take(d, a, nil)
}

// mdmRotate stores whatever it gets, and erases what it does not get.
func mdmRotate(d *Device) (End, error) {
	if d.Stored == nil {
		d.Stored = map[string]string{}
		for _, key := range needed {
			d.Stored[key] = "x"
		}
	}
	defer func() {
		d.OffNetwork = slices.ContainsFunc(needed, func(key string) bool { return d.Stored[key] == "" })
	}()
	bearer, err := d.mdmToken()
	if err != nil {
		return Failed, err
	}
	a, err := d.espOnce("GET", "/api/iot/provisioning", bearer, nil)
	if err != nil {
		return Failed, err
	}
	defer a.link.Close()
	members, err := a.members(128 << 10)
	if err != nil {
		return Failed, err
	}
	got := map[string]string{}
	for name, v := range members {
		text, isText := v.(string)
		if !isText {
			return Failed, fmt.Errorf("%s is no text: it keeps what it has", name)
		}
		got[name] = text
	}
	d.Stored = got
	if got["client_secret"] != "" {
		d.Secret = got["client_secret"]
	}
	return Done, nil
}
