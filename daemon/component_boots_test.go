package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/testdata/lasting"
)

// componentSeed is what all of a play's luck comes from; SLIPWAY_COMPONENT_SEED plays another one.
func componentSeed(t testing.TB) uint64 {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv("SLIPWAY_COMPONENT_SEED"), 10, 64)
	if err != nil {
		return 1
	}
	return seed
}

// TestADeviceWithTheComponentLosesNoDumpAndNeverDies: over all boots, of which many panic or lose their power, with a link
// that is cut at random and a gateway that is killed at random, each core dump is in the gateway or still in the device, the
// device always has an image to start that is one of the builds byte for byte, and none is installed again and again. In the
// end it runs what it is offered.
func TestADeviceWithTheComponentLosesNoDumpAndNeverDies(t *testing.T) {
	losesNothing(t, component)
}

// TestADeviceWithTheSketchLosesNoDumpAndNeverDies is the same of the other component, the one for Arduino.
func TestADeviceWithTheSketchComponentLosesNoDumpAndNeverDies(t *testing.T) {
	losesNothing(t, sketch)
}

func losesNothing(t *testing.T, c deviceClient) {
	t.Helper()
	t.Parallel()
	seed := componentSeed(t)
	p := newPlay(t, c, seed)
	if err := p.play(componentBoots); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	t.Logf("figure: %s, seed %d: %s", c.name, seed, p.summary())
	if len(p.dumps) == 0 || p.link.cuts == 0 {
		t.Errorf("nothing was shown: %s", p.summary())
	}
	// Where the network cuts is not the seed's alone: a short play may see no download that goes on.
	long := componentBoots >= 200
	if long && (p.kills == 0 || p.ends[bootLostPower] == 0 || p.wentBack == 0 || (p.resumed > 0) != c.resume) {
		t.Errorf("nothing was shown of something: %s", p.summary())
	}
}

// play is one device's life with a gateway.
type play struct {
	t      *testing.T
	client deviceClient
	luck   *rand.Rand
	g      *running
	link   *cutLink
	device *espDevice
	key    string
	token  string // an operator's

	images    map[string][]byte // by version
	dumps     map[string]bool   // each that was made, by SHA-256
	stored    map[string]string // SHA-256 of the gateway's files, by name
	installed map[string]int    // how often, by version
	asked     chan chan struct{}

	calm   bool     // nothing befalls the device but its builds
	faults []string // what the builds have, one of them at random
	every  int      // boots between two builds

	builds, kills, resumed, wentBack int
	ends                             map[int]int
}

const componentModel = "press"

func newPlay(t *testing.T, client deviceClient, seed uint64, changes ...change) *play {
	t.Helper()
	program := client.program(t, changes...)
	address := lasting.Address(t)
	p := &play{
		t: t, client: client, luck: rand.New(rand.NewPCG(seed, 2)), images: map[string][]byte{}, dumps: map[string]bool{}, stored: map[string]string{},
		installed: map[string]int{}, asked: make(chan chan struct{}), ends: map[int]int{},
		faults: []string{"", "", "-crash", "-mute"}, every: 5,
	}
	// Now and then a device that panics again and again is told to wait.
	p.g = startGateway(t, append(forLoad("listen.http="+address), "dumps.per_minute=240", "dumps.burst=2")...)
	p.g.cli("model", "add", componentModel)
	p.token = p.g.operatorToken("admin")
	c := p.g.addDevice(componentModel)
	p.key = c.Key
	p.link = newCutLink(t, address, seed, p.killed)
	p.images["0.9.0"] = imageOf(t, bundleOf(t, componentModel, "0.9.0"), componentModel) // what it left the factory with
	p.device = newESPDevice(t, program, p.images["0.9.0"], "http://"+p.link.Addr().String(), c)
	p.ship("")
	return p
}

// killed is called by the link and waits until the gateway was killed by whoever owns it.
func (p *play) killed() {
	done := make(chan struct{})
	select {
	case p.asked <- done:
		<-done
	case <-p.t.Context().Done():
	}
}

// ship publishes the next build: a good one, or one that crashes or has no network.
func (p *play) ship(fault string) string {
	p.t.Helper()
	p.builds++
	version := fmt.Sprintf("1.%d.0%s", p.builds, fault)
	bundle := bundleOf(p.t, componentModel, version)
	p.images[version] = imageOf(p.t, bundle, componentModel)
	a := p.g.ask(http.MethodPost, "/api/pipeline/models/"+componentModel+"/firmware", p.token, bytes.NewReader(bundle))
	if a.StatusCode != http.StatusOK && a.StatusCode != http.StatusCreated {
		p.t.Fatalf("%s %s", a.Status, a.body)
	}
	return version
}

// boot is one boot; the gateway is killed when the link says so, and started again then or after it.
func (p *play) boot(settings ...string) espBoot {
	p.t.Helper()
	settings = append(settings, "SEED", strconv.Itoa(int(p.luck.Uint32()>>1)))
	ended := make(chan espBoot, 1)
	go func() { ended <- p.device.boot(settings...) }()
	for {
		select {
		case done := <-p.asked:
			if p.g.cmd != nil {
				p.kills++
				p.g.kill()
			}
			close(done)
			if p.luck.IntN(2) == 0 {
				p.g.start()
			}
		case b := <-ended:
			if p.g.cmd == nil {
				p.g.start()
			}
			return b
		}
	}
}

func (p *play) play(boots int) error {
	p.t.Helper()
	p.link.setBad(!p.calm)
	for n := range boots {
		if n%p.every == p.every-1 {
			p.ship(p.faults[p.luck.IntN(len(p.faults))])
		}
		settings := []string{"CONTACTS", strconv.Itoa(3 + p.luck.IntN(8))}
		if !p.calm && p.luck.IntN(2) == 0 {
			settings = append(settings, "PANIC", strconv.Itoa(1+p.luck.IntN(3)))
		}
		if !p.calm && p.luck.IntN(3) == 0 {
			settings = append(settings, "POWER", strconv.Itoa(p.luck.IntN(40)))
		}
		b := p.boot(settings...)
		if err := p.judge(b); err != nil {
			return fmt.Errorf("boot %d: %w\n%s", n, err, b)
		}
	}
	return p.settle()
}

// settle ends the bad times: the device is to run the last build, with its dump in the gateway.
func (p *play) settle() error {
	p.t.Helper()
	p.link.setBad(false)
	last := p.ship("")
	var b espBoot
	for range 40 {
		b = p.boot("CONTACTS", "6")
		if err := p.judge(b); err != nil {
			return fmt.Errorf("in the end: %w\n%s", err, b)
		}
		if b.runs() == last && p.device.dump() == "" {
			break
		}
		time.Sleep(20 * time.Millisecond) // the gateway's clock is not the device's, and it may have said "not yet"
	}
	if b.runs() != last {
		return fmt.Errorf("in the end it does not run %s\n%s", last, b)
	}
	if s := p.g.sighting(p.key); s.Runs != last || s.RunsBy != "said" {
		return fmt.Errorf("the gateway has it run %s by %s", s.Runs, s.RunsBy)
	}
	return nil
}

// mostInstalls is how often one version may be installed: as often as a trial may end by what is nobody's fault.
const mostInstalls = 3

// judge says what a boot did that none may do.
func (p *play) judge(b espBoot) error {
	p.t.Helper()
	p.ends[b.code]++
	switch b.code {
	case bootTurnedOff, bootRestarted, bootPanicked, bootLostPower:
	default:
		return fmt.Errorf("the device is dead")
	}
	for _, made := range b.all("dump made") {
		sum, _, _ := strings.Cut(made, " ")
		p.dumps[sum] = true
	}
	for _, v := range b.all("installed") {
		if p.installed[v]++; p.installed[v] > mostInstalls {
			return fmt.Errorf("%s is installed %d times", v, p.installed[v])
		}
	}
	requests, last, notYet := 0, 0, false
	for _, line := range b.lines {
		switch {
		case strings.HasPrefix(line, "http "):
			at, err := strconv.Atoi(strings.Fields(line)[1]) // ms of the device's time
			if err != nil {
				return err
			}
			if notYet && at-last >= 1000 { // the gateway's time is not the device's, whose seconds of waiting may be some ms
				requests = 0
			}
			requests, last, notYet = requests+1, at, false
		case line == "status 429":
			notYet = true
		case strings.HasPrefix(line, "waits "):
			requests = 0
		case line == "status 206":
			p.resumed++
		case strings.HasPrefix(line, "bootloader: slot"):
			p.wentBack++
		}
		if requests > p.client.most {
			return fmt.Errorf("%d requests without a word of waiting", requests)
		}
	}
	if err := p.startsABuild(b); err != nil {
		return err
	}
	return p.noDumpIsLost()
}

// runs is the version that was started and is no longer on trial.
func (b espBoot) runs() string {
	for _, line := range b.all("boot") {
		if version, rest, _ := strings.Cut(line, " "); strings.HasPrefix(rest, "slot") {
			return version
		}
	}
	return ""
}

// startsABuild compares the image that was started with the build of that version.
func (p *play) startsABuild(b espBoot) error {
	for _, line := range b.all("boot") {
		words := strings.Fields(line)
		version, slot := words[0], words[slices.Index(words, "slot")+1]
		image, known := p.images[version]
		if !known || !bytes.HasPrefix(p.device.slot(slot), image) {
			return fmt.Errorf("what was started as %s is no build", version)
		}
	}
	return nil
}

func (p *play) noDumpIsLost() error {
	p.t.Helper()
	names, err := filepath.Glob(filepath.Join(p.g.state, "coredumps", p.key, "*.dmp"))
	if err != nil {
		p.t.Fatal(err)
	}
	there := map[string]bool{p.device.dump(): true}
	for _, name := range names {
		if p.stored[name] == "" {
			b, err := os.ReadFile(name)
			if err != nil {
				p.t.Fatal(err)
			}
			p.stored[name] = sumOf(b)
		}
		there[p.stored[name]] = true
	}
	for sum := range p.dumps {
		if !there[sum] {
			return fmt.Errorf("the dump %.8s is lost: it is neither in the gateway nor in the device", sum)
		}
	}
	return nil
}

func (p *play) summary() string {
	boots := 0
	for _, n := range p.ends {
		boots += n
	}
	return fmt.Sprintf("%d boots (%d restarts, %d panics, %d power cuts), %d links cut, %d kills of the gateway; %d dumps, none lost; "+
		"%d builds, %d trials that went back, %d downloads resumed, no brick and no loop",
		boots, p.ends[bootRestarted], p.ends[bootPanicked], p.ends[bootLostPower], p.link.cuts, p.kills, len(p.dumps),
		p.builds, p.wentBack, p.resumed)
}
