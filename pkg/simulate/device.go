package simulate

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// device is one device as a state machine: [device.next] is told the time and the answer to what it asked last, and says
// what it does next.
type device struct {
	Device
	plan *Plan
	luck *rand.Rand

	runs   string // version
	image  string // MD5 of the running image, "" where it was not downloaded
	before string // version that the bootloader can go back to
	left   string // version that it went back from: it is not installed again
	bootID string
	silent bool      // for good
	dies   time.Time // when it falls silent, zero for never
	named  []string  // versions that it was told of
	dump   []byte

	token   string
	expires time.Time

	agenda  []Request // what is left of this contact
	asked   Request
	resting bool

	boots, crashes int
}

func newDevice(p *Plan, d Device) *device {
	m := &device{Device: d, plan: p, luck: p.source(d.Key), runs: p.Runs}
	m.startUp()
	m.agenda = m.contact()
	return m
}

// step is what a device does: it rests, or it asks.
type step struct {
	rest time.Duration // of the fleet's time
	ask  *request
	end  bool // it is not heard again
}

// answer is what came back.
type answer struct {
	err     error // not as planned
	token   string
	expires time.Time
	version string // that is offered, or of the image that began
	image   string // MD5 of the whole image
	whole   bool   // all of the image arrived
}

// next takes the answer to what was asked last and says what comes then.
func (d *device) next(now time.Time, a answer) step {
	d.learn(a.version)
	rest := d.take(now, a)
	switch {
	case d.silent, !d.dies.IsZero() && now.After(d.dies):
		d.silent = true
		return step{end: true}
	case rest > 0:
		return step{rest: rest}
	case len(d.agenda) == 0 && !d.resting:
		d.resting = true
		return step{rest: d.about(d.plan.Interval)}
	case len(d.agenda) == 0:
		d.resting = false
		d.wake()
		if d.agenda[0] == Boot {
			d.agenda = d.agenda[1:]
			return step{rest: d.about(bootTime)}
		}
	}
	d.asked = d.agenda[0]
	if d.bearer() && d.asked != Token && now.After(d.expires) {
		d.asked = Token
	} else {
		d.agenda = d.agenda[1:]
	}
	return step{ask: d.request(d.asked)}
}

// bootTime is from the restart to the first request.
const bootTime = 3 * time.Second

// about varies a time by a tenth.
func (d *device) about(t time.Duration) time.Duration {
	return time.Duration(float64(t) * (0.9 + 0.2*d.luck.Float64()))
}

// start is how long it waits before its first contact: the fleet does not begin at once.
func (d *device) start() time.Duration {
	return time.Duration(float64(d.plan.Interval) * d.luck.Float64())
}

// wake begins an interval.
func (d *device) wake() {
	switch {
	case d.luck.Float64() < d.plan.crashRate(d.runs):
		d.crash(d.runs)
		d.boot()
	case d.Kind == ESPMDM: // it asks when it boots
		d.boot()
	default:
		d.agenda = d.contact()
	}
}

// boot restarts the device.
func (d *device) boot() {
	d.boots++
	d.startUp()
	d.agenda = []Request{Boot}
	if d.Kind != Arduino { // a sketch that asked at each boot would flash what it is sent again and again
		d.agenda = append(d.agenda, d.contact()...)
	}
}

func (d *device) startUp() {
	d.bootID = fmt.Sprintf("%016x", d.luck.Uint64())
	d.token, d.expires = "", time.Time{}
}

// contact is what the device asks when it has booted, or when its interval is over.
func (d *device) contact() []Request {
	var dump []Request
	if d.dump != nil {
		dump = []Request{Dump}
	}
	switch d.Kind {
	case ESPMDM:
		return slices.Concat([]Request{Token, Config}, dump, []Request{Firmware})
	case Poller:
		return append(dump, Version)
	case OTA:
		return append(dump, Firmware)
	default:
		return []Request{Firmware}
	}
}

// bearer reports that the device shows a token; the others show their secret.
func (d *device) bearer() bool { return d.Kind == ESPMDM || d.Kind == Poller }

// crash leaves a dump of what runs in the device's flash. Arduino sketches upload none.
func (d *device) crash(version string) {
	d.crashes++
	if dumps := d.plan.Dumps[version]; len(dumps) > 0 && d.Kind != Arduino {
		d.dump = dumps[d.luck.IntN(len(dumps))]
	}
}

// take is what an answer changes. Where nothing came as planned, the device comes again in an interval.
func (d *device) take(now time.Time, a answer) (rest time.Duration) {
	asked := d.asked
	d.asked = ""
	switch {
	case asked == "":
		return 0
	case a.err != nil:
		d.agenda = nil
		if asked == Dump && d.Kind == ESPMDM { // it erases its dump whatever is answered
			d.dump = nil
		}
	case asked == Token:
		d.token, d.expires = a.token, a.expires
	case asked == Dump:
		d.dump = nil
	case asked == Version:
		if a.version != "" && !slices.Contains([]string{d.runs, d.left}, a.version) {
			d.agenda = []Request{Firmware}
		}
	case asked == Firmware && a.whole:
		d.install(now, a.version, a.image)
		if !d.silent {
			d.agenda = d.agenda[1:] // the boot, which is the rest
			return d.about(bootTime)
		}
	}
	return 0
}

// learn notes a version that an answer named, also one that broke off behind its name.
func (d *device) learn(version string) {
	if version != "" && !slices.Contains(d.named, version) {
		d.named = append(slices.Clip(d.named), version) // who was shown them keeps them
	}
}

// install boots another image.
func (d *device) install(now time.Time, version, image string) {
	old, oldImage := d.runs, d.image
	d.dies = time.Time{}
	if life := d.plan.lifetime(version); life > 0 {
		d.dies = now.Add(time.Duration(float64(life) / d.plan.Speed))
	}
	d.before, d.runs, d.image = old, version, image
	d.boot()
	switch {
	case d.plan.has(d.Key, version, FallsSilent):
		d.silent = true
	case old != "" && old != version && d.plan.has(d.Key, version, GoesBack):
		d.crash(version)
		d.left, d.runs, d.image = version, old, oldImage
		d.boot()
	}
}

// parseToken reads what a token request is answered. The token is used for nine tenths of its life.
func parseToken(body []byte, now time.Time) (token string, expires time.Time, err error) {
	var v struct {
		Token   string  `json:"access_token"`
		Expires float64 `json:"expires_in"` // seconds
	}
	if err := json.Unmarshal(body, &v); err != nil || v.Token == "" || v.Expires <= 0 {
		return "", time.Time{}, fmt.Errorf("a token's answer without access_token or expires_in")
	}
	return v.Token, now.Add(time.Duration(0.9 * v.Expires * float64(time.Second))), nil
}
