package deviceapi

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// The dialect of hawkBit's Direct Device Integration API, as its clients for ESP-IDF, Arduino and Zephyr speak it. A device
// calls itself by an id of its own, an alias of the gateway's device; it shows its client secret as a TargetToken. It polls; a
// link to a deployment in the answer is what it is to install, and it tells how that goes.
//
// The clients compare no versions: whoever is told of a deployment downloads it, flashes it and boots. So a deployment is
// announced only to who does not run that build, and once a device has said that it is through with it, not again for a while
// (see [due]). Zephyr's takes exactly one chunk with the part "bApp", one artifact, a SHA-256, a link with "/DEFAULT/controller/v1"
// in it of at most 199 bytes from there on, an action's number that fits an int32, and answers under 1,100 bytes.
//
// Source: hawkBit's documentation of the DDI API, and the clients' own sources.

// controllers are what the door needs to know of devices that speak hawkBit's protocol.
type controllers interface {
	// DeviceByAlias finds the device that has a key or an alias, or is fleet.ErrUnknown.
	DeviceByAlias(string) (fleet.Device, error)
	Reported(fleet.DeviceKey) (fleet.Reported, error)
	NoteReported(context.Context, fleet.DeviceKey, fleet.Reported) error
	// Sighting is what was seen of a device.
	Sighting(fleet.DeviceKey) (s fleet.Sighting, line string)
}

const (
	// pollEvery is told to the clients, as hours, minutes and seconds.
	pollEvery = "00:05:00"
	// tryAgainAfter is how long a device that is through with a deployment is not told of it again, whatever became of it.
	tryAgainAfter = time.Hour
	// attributesEvery is how often a device is asked for its attributes at least.
	attributesEvery = time.Hour
	// reportsPerMinute of one device are taken: some tell of each percent.
	reportsPerMinute = 60
)

// registerHawkbit adds the routes. The tenant is matched as it is set and in lower case: clients write both.
func (d *Door) registerHawkbit(rs *endpoint.Routes) {
	if d.options.Tenant == "" {
		return
	}
	tenants := []string{d.options.Tenant}
	if lower := strings.ToLower(d.options.Tenant); lower != d.options.Tenant {
		tenants = append(tenants, lower)
	}
	for _, tenant := range tenants {
		base := "/" + tenant + "/controller/v1/{controller}"
		rs.Handle(http.MethodGet, base, "hawkbit_poll", d.controller(fleet.HeardVersion, d.poll))
		rs.Handle(http.MethodPut, base+"/configData", "hawkbit_attributes", d.controller(fleet.HeardVersion, d.takeAttributes))
		rs.Handle(http.MethodGet, base+"/deploymentBase/{action}", "hawkbit_deployment", d.controller(fleet.HeardVersion, d.deployment))
		rs.Handle(http.MethodPost, base+"/deploymentBase/{action}/feedback", "hawkbit_feedback", d.controller(fleet.HeardVersion, d.feedback))
		rs.Handle(http.MethodGet, base+"/cancelAction/{action}", "hawkbit_cancel", d.controller(fleet.HeardVersion, d.cancellation))
		rs.Handle(http.MethodPost, base+"/cancelAction/{action}/feedback", "hawkbit_feedback", d.controller(fleet.HeardVersion, d.canceled))
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			rs.Handle(method, base+"/softwaremodules/{version}/artifacts/{file}", "hawkbit_artifact", d.controller(fleet.HeardFirmware, d.artifact))
		}
	}
}

// controller lets a device at no id but its own.
func (d *Door) controller(by fleet.HeardBy, h handler) endpoint.Handler {
	return d.known(by, func(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model) error {
		id := r.PathValue("controller")
		if string(device.Key) != id && !slices.Contains(device.Aliases, fleet.Alias(id)) {
			return endpoint.Errorf(http.StatusForbidden, "other_controller", "the credentials are of a device that is not called so: device set --alias")
		}
		w.Header().Set("Cache-Control", "no-store")
		return h(w, r, device, model)
	})
}

// action is a build that a device is to install, under the number by which hawkBit's clients know it.
type action struct {
	number int32
	image  fleet.Image // closed: its File is not to be read
}

// offeredAction is what the device is offered; found is false where that is nothing.
func (d *Door) offeredAction(device fleet.Device, model fleet.Model) (a action, found bool, err error) {
	v, ok := d.options.Offers.Offer(device, model)
	if !ok {
		return a, false, nil
	}
	image, err := d.options.Images.OpenImage(model, v)
	if errors.Is(err, fleet.ErrUnknown) {
		return a, false, nil
	}
	if err != nil {
		return a, false, err
	}
	image.File.Close()
	return action{numberOf(model.Code, image), image}, true, nil
}

// numberOf is the same for the same bytes of the same model, also after a restart: Zephyr's client installs no action twice.
func numberOf(code fleet.ModelCode, image fleet.Image) int32 {
	sum := sha256.Sum256([]byte(string(code) + "\n" + string(image.Version) + "\n" + image.ETag))
	const most = 1<<31 - 1
	return int32(binary.BigEndian.Uint32(sum[:])%most) + 1
}

// due says whether a device is told of an action. One that runs the build is not. One that is through with it is, after an
// hour, where it failed, or where it has said since that it runs another version: it went back.
func due(a action, seen fleet.Sighting, told *fleet.ReportedUpdate, word lastWord, now time.Time) bool {
	switch {
	case seen.RunsBy != "" && seen.Runs == string(a.image.Version):
		return false
	case told == nil || told.Action != a.number || !told.Over():
		return true
	case now.Sub(told.At) < tryAgainAfter && !now.Before(told.At):
		return false
	case told.Finished == "success":
		return word.at.After(told.At) && word.version != "" && word.version != string(a.image.Version)
	}
	return true
}

// lastWord is what a device's attributes have said of its version, and when; the zero one where it has not said any since the
// gateway's start.
type lastWord struct {
	version string // "" where no attribute names it
	at      time.Time
}

func (d *Door) lastWord(key fleet.DeviceKey) lastWord {
	word, _ := d.words.Load(key)
	last, _ := word.(lastWord)
	return last
}

// asks says whether a device is asked for its attributes: at first, now and then, and after an update until they tell of it.
func asks(told *fleet.ReportedUpdate, word lastWord, now time.Time) bool {
	updated := told.Over() && told.Finished == "success"
	return word.at.IsZero() || now.Sub(word.at) > attributesEvery || now.Before(word.at) ||
		updated && (word.at.Before(told.At) || word.version != "" && word.version != string(told.Version))
}

// reported is what a device has told, also where no disk has taken it.
func (d *Door) reported(key fleet.DeviceKey) (fleet.Reported, error) {
	if r, ok := d.untold.Load(key); ok {
		return r.(fleet.Reported), nil
	}
	return d.options.Controllers.Reported(key)
}

// noteReported keeps what a device tells. On a disk that takes nothing the door remembers it by itself, until the gateway ends:
// a device whose success is forgotten would install the same again.
func (d *Door) noteReported(ctx context.Context, device fleet.Device, change func(*fleet.Reported)) error {
	if wait := d.reports.take(device.Key, d.options.Now()); wait > 0 {
		return later(http.StatusTooManyRequests, "too_many_reports", "the device reports too often", wait)
	}
	told, err := d.reported(device.Key)
	if err != nil {
		return err
	}
	change(&told)
	err = d.options.Controllers.NoteReported(ctx, device.Key, told)
	if errors.Is(fleet.OfDisk(err), fleet.ErrFull) {
		d.untold.Store(device.Key, told)
		return nil
	}
	if err == nil {
		d.untold.Delete(device.Key)
	}
	return err
}

// ddiLink is a link as HAL writes it.
type ddiLink struct {
	Href string `json:"href"`
}

type ddiPoll struct {
	Config struct {
		Polling struct {
			Sleep string `json:"sleep"`
		} `json:"polling"`
	} `json:"config"`
	Links map[string]ddiLink `json:"_links"`
}

// poll answers the question whether there is anything to do.
func (d *Door) poll(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model) error {
	d.options.Offers.Turn(r.Context(), device)
	told, err := d.reported(device.Key)
	if err != nil {
		return err
	}
	offered, found, err := d.offeredAction(device, model)
	if err != nil {
		return err
	}
	at := d.controllerURL(r)
	var answer ddiPoll
	answer.Config.Polling.Sleep = pollEvery
	answer.Links = map[string]ddiLink{}
	seen, _ := d.options.Controllers.Sighting(device.Key)
	word, now := d.lastWord(device.Key), d.options.Now()
	if found && due(offered, seen, told.Update, word, now) {
		answer.Links["deploymentBase"] = ddiLink{fmt.Sprintf("%s/deploymentBase/%d", at, offered.number)}
	}
	if u := told.Update; u != nil && !u.Over() && (!found || u.Action != offered.number) {
		answer.Links["cancelAction"] = ddiLink{fmt.Sprintf("%s/cancelAction/%d", at, u.Action)}
	}
	if asks(told.Update, word, now) {
		answer.Links["configData"] = ddiLink{at + "/configData"}
	}
	return endpoint.WriteJSON(w, http.StatusOK, answer)
}

// controllerURL is the device's own address, with the tenant as it is set.
func (d *Door) controllerURL(r *http.Request) string {
	return reachedAt(r) + "/" + d.options.Tenant + "/controller/v1/" + url.PathEscape(r.PathValue("controller"))
}

type ddiDeployment struct {
	ID         string `json:"id"`
	Deployment struct {
		Download string     `json:"download"`
		Update   string     `json:"update"`
		Chunks   []ddiChunk `json:"chunks"`
	} `json:"deployment"`
}

type ddiChunk struct {
	Part      string        `json:"part"`
	Version   fleet.Version `json:"version"`
	Name      string        `json:"name"`
	Artifacts []ddiArtifact `json:"artifacts"`
}

type ddiArtifact struct {
	Filename string             `json:"filename"`
	Hashes   ddiHashes          `json:"hashes"`
	Size     int64              `json:"size"`
	Links    map[string]ddiLink `json:"_links"`
}

type ddiHashes struct {
	SHA1   string `json:"sha1,omitempty"`
	MD5    string `json:"md5,omitempty"`
	SHA256 string `json:"sha256"`
}

// part is what all clients for ESP32 take, and the only one that Zephyr's does.
const part = "bApp"

// deployment describes what is offered. An action that is not that any more is unknown: the next poll names another.
func (d *Door) deployment(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model) error {
	d.options.Offers.Turn(r.Context(), device)
	offered, found, err := d.offeredAction(device, model)
	if err != nil {
		return err
	}
	if !found || r.PathValue("action") != strconv.Itoa(int(offered.number)) {
		return fleet.Unknown("action %q is not the one that device %s is offered", r.PathValue("action"), device.Key)
	}
	image := offered.image
	link := ddiLink{fmt.Sprintf("%s/softwaremodules/%s/artifacts/%s", d.controllerURL(r), url.PathEscape(string(image.Version)), artifactName(image))}
	var answer ddiDeployment
	answer.ID = strconv.Itoa(int(offered.number))
	answer.Deployment.Download, answer.Deployment.Update = "forced", "forced"
	answer.Deployment.Chunks = []ddiChunk{{
		Part: part, Version: image.Version, Name: cmp.Or(model.Project, string(model.Code)),
		Artifacts: []ddiArtifact{{
			Filename: string(model.Code) + "-" + string(image.Version) + ".bin",
			Hashes:   ddiHashes{SHA1: image.ImageSHA1, MD5: image.ImageMD5, SHA256: image.SHA256},
			Size:     image.Size,
			Links:    map[string]ddiLink{"download": link, "download-http": link},
		}},
	}}
	return endpoint.WriteJSON(w, http.StatusOK, answer)
}

// artifactName is the image's hash, as far as its ETag has it: an address whose bytes are never others.
func artifactName(image fleet.Image) string { return strings.Trim(image.ETag, `"`) + ".bin" }

// artifact is the image of a deployment. What is not offered any more is not begun; one that was begun goes on unless it was
// taken from the device.
func (d *Door) artifact(w http.ResponseWriter, r *http.Request, device fleet.Device, model fleet.Model) error {
	v, err := fleet.ParseVersion(r.PathValue("version"))
	if err != nil {
		return fleet.Unknown("%v", err)
	}
	if offered, ok := d.options.Offers.Offer(device, model); !ok || offered != v {
		sent, known, err := d.lastSent(device)
		if err != nil {
			return err
		}
		if !goesOn(r) || !known || sent.Version != v || d.options.Offers.Taken(device, v) {
			return fleet.Unknown("version %s is not what device %s is offered", v, device.Key)
		}
	}
	image, err := d.options.Images.OpenImage(model, v)
	if err != nil {
		return err
	}
	defer image.File.Close()
	if r.PathValue("file") != artifactName(image) {
		return fleet.Unknown("version %s has other bytes than %s", v, r.PathValue("file"))
	}
	return d.opened(w, r, device, image, false)
}
