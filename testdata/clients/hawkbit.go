package clients

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// hawkBit's clients for Arduino and ESP-IDF (ctron/eclipse-hawkbit-arduino-ota-client and its fork), Zephyr's subsys/mgmt/hawkbit,
// and the uploaders of ESP-ADF and esp-crash.

func ddiClients() []Client {
	asks := []Endpoint{Poll, Attributes, Deployment, Firmware, Feedback}
	return []Client{
		{Name: "hawkBit, Arduino and ESP-IDF", Asks: asks, Shows: TargetToken, Patience: "5 s", Round: func(d *Device) (End, error) {
			return ddiRound(d, 1436)
		}},
		{Name: "hawkBit, Zephyr", Asks: asks, Shows: TargetToken, Patience: "300 s", Round: func(d *Device) (End, error) {
			return ddiRound(d, 640)
		}},
		{Name: "ESP-ADF coredump service", Asks: []Endpoint{Dump}, Shows: Basic, Waits: true, Patience: "5 s", Round: adfRound},
		{Name: "esp-crash", Asks: []Endpoint{Dump}, Shows: PathSecret, Forms: true, Patience: "5 s", Round: crashRound},
	}
}

// ddi is one request of them; path is absolute or a whole address.
func (d *Device) ddi(method, address, body string, buffer int) ([]byte, error) {
	if _, path, whole := strings.Cut(address, "://"+d.Gateway); whole {
		address = path
	}
	lines := []string{method + " " + address + " HTTP/1.1", "Host: " + d.Gateway, "Authorization: TargetToken " + d.Secret, "Accept: application/hal+json"}
	if body != "" {
		lines = append(lines, "Content-Type: application/json", fmt.Sprint("Content-Length: ", len(body)))
	}
	l, err := d.dial(buffer)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	a, err := d.ask(l, lines, []byte(body))
	if err != nil {
		return nil, err
	}
	if a.status != 200 {
		return nil, fmt.Errorf("status %d", a.status)
	}
	if a.chunked || a.length < 0 {
		return nil, errors.New("HTTP response len mismatch") // Zephyr's compares with it
	}
	return a.whole(mostImage)
}

type ddiLinks map[string]struct{ Href string }

func ddiRound(d *Device, buffer int) (End, error) {
	base := d.source("/DEFAULT/controller/v1/" + d.ID[strings.LastIndex(d.ID, "-")+1:])
	b, err := d.ddi("GET", base, "", buffer)
	if err != nil {
		return Failed, err
	}
	var poll struct {
		Links ddiLinks `json:"_links"`
	}
	if err := json.Unmarshal(b, &poll); err != nil {
		return Failed, err
	}
	if link := poll.Links["configData"].Href; link != "" { // what is answered is not looked at
		_, _ = d.ddi("PUT", link, `{"mode":"merge","data":{"fw_version":"`+Version(d.Runs)+`"}}`, buffer)
	}
	link := poll.Links["deploymentBase"].Href
	if link == "" {
		return UpToDate, nil
	}
	if b, err = d.ddi("GET", link, "", buffer); err != nil {
		return Failed, err
	}
	var told struct {
		ID         string
		Deployment struct {
			Chunks []struct {
				Part      string
				Artifacts []struct {
					Hashes map[string]string
					Size   int
					Links  ddiLinks `json:"_links"`
				}
			}
		}
	}
	if err := json.Unmarshal(b, &told); err != nil || len(told.Deployment.Chunks) != 1 || told.Deployment.Chunks[0].Part != "bApp" || len(told.Deployment.Chunks[0].Artifacts) != 1 {
		return Failed, fmt.Errorf("expecting 1 chunk bApp with 1 artifact: %s, %w", b, err)
	}
	artifact := told.Deployment.Chunks[0].Artifacts[0]
	image, err := d.ddi("GET", artifact.Links["download-http"].Href, "", buffer)
	if err != nil {
		return Failed, err
	}
	if sum := sha256.Sum256(image); len(image) != artifact.Size || hex.EncodeToString(sum[:]) != artifact.Hashes["sha256"] {
		return Failed, errors.New("hash mismatch")
	}
	end, err := d.install(image)
	if err == nil { // before it restarts, whatever is answered
		_, _ = d.ddi("POST", base+"/deploymentBase/"+told.ID+"/feedback", `{"id":"`+told.ID+`","status":{"execution":"closed","result":{"finished":"success"}}}`, buffer)
	}
	return end, err
}

// adfRound posts the partition as it is, with no credentials until it is asked for them; only 200 counts.
func adfRound(d *Device) (End, error) {
	if d.Dump == nil {
		return Done, nil
	}
	shown := ""
	for range 1 + mostRepeats {
		lines := []string{"POST /api/iot/coredump/raw HTTP/1.1", "Host: " + d.Gateway, "User-Agent: ESP32 HTTP Client/1.0",
			"Content-Type: application/octet-stream", fmt.Sprint("Content-Length: ", len(d.Dump))}
		if shown != "" {
			lines = append(lines, shown)
		}
		l, err := d.dial(espBuffer)
		if err != nil {
			return Failed, err
		}
		a, err := d.ask(l, lines, d.Dump)
		l.Close()
		switch {
		case err != nil:
			return Failed, err
		case a.status == 200:
			d.Dump = nil
			return Done, nil
		case !a.basicWanted():
			return refused(a.status)
		}
		shown = d.basic()
	}
	return Failed, errors.New("asked for credentials again and again")
}

// crashRound posts a form, and erases the dump for any answer under 500.
func crashRound(d *Device) (End, error) {
	if d.Dump == nil {
		return Done, nil
	}
	const boundary = "----esp-crash"
	var body bytes.Buffer
	fmt.Fprintf(&body, "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"crash.dmp\"\r\nContent-Type: application/octet-stream\r\n\r\n%s\r\n--%s--\r\n", boundary, d.Dump, boundary)
	l, err := d.dial(espBuffer)
	if err != nil {
		return Failed, err
	}
	defer l.Close()
	a, err := d.ask(l, []string{"POST " + d.Path + "/api/iot/coredump/raw HTTP/1.1", "Host: " + d.Gateway,
		"Content-Type: multipart/form-data; boundary=" + boundary, fmt.Sprint("Content-Length: ", body.Len())}, body.Bytes())
	if err != nil {
		return Failed, err
	}
	if a.status >= 500 {
		return refused(a.status)
	}
	d.Dump = nil
	if a.status != 200 {
		return refused(a.status)
	}
	return Done, nil
}
