package simulate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// plan is one without chance: nobody crashes unless a test says so.
func plan(faults ...Fault) *Plan {
	return &Plan{Interval: 5 * time.Minute, Faults: faults, Runs: "1.0", Chip: "esp32c3", Dumps: Dumps{"1.0": {[]byte("old")}, "1.1": {[]byte("new")}}, Speed: 1, Seed: 7}
}

// life plays a device for so many steps against a gateway that offers a version, and tells what it did.
func life(d *device, offered string, steps int) []string {
	var did []string
	a, now := answer{}, noon
	for range steps {
		s := d.next(now, a)
		a = answer{}
		switch {
		case s.end:
			return append(did, "silent")
		case s.ask == nil && s.rest > time.Minute:
			did = append(did, "rests")
		case s.ask == nil:
			did = append(did, "boots")
		default:
			did = append(did, told(s.ask))
			a = answered(s.ask, offered, now)
		}
		now = now.Add(s.rest)
	}
	return did
}

func told(r *request) string {
	if r.kind == Dump {
		_, declared, _ := strings.Cut(r.path, "firmware_version=")
		return fmt.Sprintf("dump %s of %s", r.body, declared)
	}
	return string(r.kind)
}

func answered(r *request, offered string, now time.Time) answer {
	switch r.kind {
	case Token:
		return answer{token: "t", expires: now.Add(time.Hour)}
	case Version:
		return answer{version: offered}
	case Firmware:
		return answer{version: offered, whole: !slices.Contains(r.known, offered), image: "md5"}
	}
	return answer{}
}

func expect(t *testing.T, got []string, want string) {
	t.Helper()
	if strings.Join(got, ", ") != want {
		t.Errorf("it did\n%s\nand should have done\n%s", strings.Join(got, ", "), want)
	}
}

func TestEachKindAsksInItsOrderAndInstallsWhatDiffers(t *testing.T) {
	for kind, want := range map[Kind]string{
		ESPMDM:  "token, config, firmware, boots, token, config, firmware, rests, boots, token, config, firmware",
		Poller:  "token, version, firmware, boots, token, version, rests, version, rests, version, rests, version",
		OTA:     "firmware, boots, firmware, rests, firmware, rests, firmware, rests, firmware, rests, firmware, rests",
		Arduino: "firmware, boots, rests, firmware, boots, rests, firmware, boots, rests, firmware, boots, rests",
	} {
		t.Run(string(kind), func(t *testing.T) {
			d := newDevice(plan(), Device{Key: "press001", Kind: kind})
			expect(t, life(d, "1.1", 12), want)
			if d.runs != "1.1" {
				t.Errorf("it runs %q", d.runs)
			}
		})
	}
}

func TestADeviceThatABadVersionSilencesEnds(t *testing.T) {
	d := newDevice(plan(Fault{Version: "1.1", What: FallsSilent, Share: 1}), Device{Key: "press001", Kind: ESPMDM})
	expect(t, life(d, "1.1", 12), "token, config, firmware, silent")
	if d.runs != "1.1" {
		t.Errorf("it runs %q", d.runs)
	}
}

func TestADeviceThatDiesLaterLivesWithTheVersionForAWhile(t *testing.T) {
	d := newDevice(plan(Fault{Version: "1.1", What: DiesLater, After: 8 * time.Minute}), Device{Key: "press001", Kind: Poller})
	expect(t, life(d, "1.1", 12), "token, version, firmware, boots, token, version, rests, version, rests, silent")
	if d.runs != "1.1" || !slices.Equal(d.named, []string{"1.1"}) {
		t.Errorf("it runs %q and was told of %q", d.runs, d.named)
	}
}

func TestADownloadThatBreaksHasNamedItsVersion(t *testing.T) {
	d := newDevice(plan(), Device{Key: "press001", Kind: OTA})
	d.next(noon, answer{})
	d.next(noon, answer{version: "1.1", err: errors.New("reset by peer")})
	if d.runs != "1.0" || !slices.Equal(d.named, []string{"1.1"}) {
		t.Errorf("it runs %q and was told of %q", d.runs, d.named)
	}
}

func TestADeviceThatGoesBackUploadsTheDumpOfTheVersionThatItLeftAndDoesNotInstallItAgain(t *testing.T) {
	d := newDevice(plan(Fault{Version: "1.1", What: GoesBack, Share: 1}), Device{Key: "press001", Kind: Poller})
	expect(t, life(d, "1.1", 10), "token, version, firmware, boots, token, dump new of 1.0, version, rests, version, rests")
	if d.runs != "1.0" || d.left != "1.1" {
		t.Errorf("it runs %q and left %q", d.runs, d.left)
	}
}

func TestADeviceThatCrashesBootsAndUploadsItsDump(t *testing.T) {
	d := newDevice(plan(Fault{Version: "1.0", What: Crashes, Share: 1}), Device{Key: "press001", Kind: OTA})
	expect(t, life(d, "1.0", 6), "firmware, rests, boots, dump old of 1.0, firmware, rests")
}

func TestWhatWasAnsweredOtherwiseThanPlannedIsAskedAgainInAnInterval(t *testing.T) {
	d := newDevice(plan(), Device{Key: "press001", Kind: Poller})
	if s := d.next(noon, answer{}); s.ask == nil || s.ask.kind != Token {
		t.Fatalf("%+v", s)
	}
	if s := d.next(noon, answer{err: errors.New("no")}); s.ask != nil || s.rest < 4*time.Minute || s.rest > 6*time.Minute {
		t.Errorf("after a refusal: %+v", s)
	}
	if s := d.next(noon, answer{}); s.ask == nil || s.ask.kind != Token {
		t.Errorf("after the interval: %+v", s)
	}
}

func TestATokenIsRenewedBeforeItEnds(t *testing.T) {
	d := newDevice(plan(), Device{Key: "press001", Kind: Poller})
	life(d, "1.0", 2) // a token for an hour, and the version
	d.next(noon, answer{version: "1.0"})
	if s := d.next(noon.Add(59*time.Minute), answer{}); s.ask.kind != Version {
		t.Errorf("with a token: %s", s.ask.kind)
	}
	d.next(noon, answer{version: "1.0"})
	if s := d.next(noon.Add(61*time.Minute), answer{}); s.ask.kind != Token {
		t.Errorf("without one: %s", s.ask.kind)
	}
}

func TestASeedPlaysTheSameTwiceAndAnotherSeedOtherwise(t *testing.T) {
	fleet := func(seed uint64) (lives []string) {
		p := plan(Fault{Version: "1.1", What: FallsSilent, Share: 0.3}, Fault{Version: "1.1", What: GoesBack, Share: 0.3}, Fault{Version: "1.0", What: Crashes, Share: 0.3})
		p.Seed = seed
		for i, kind := range (Mix{ESPMDM: 60, Poller: 20, OTA: 15, Arduino: 5}).Deal(40, seed) {
			lives = append(lives, strings.Join(life(newDevice(p, Device{Key: fmt.Sprintf("press%03d", i), Kind: kind}), "1.1", 60), ", "))
		}
		return lives
	}
	if !slices.Equal(fleet(1), fleet(1)) {
		t.Error("one seed, two lives")
	}
	if slices.Equal(fleet(1), fleet(2)) {
		t.Error("two seeds, one life")
	}
	silent := 0
	for _, l := range fleet(1) {
		if strings.HasSuffix(l, "silent") {
			silent++
		}
	}
	if silent < 4 || silent > 20 {
		t.Errorf("%d of 40 fell silent, of whom three tenths shall", silent)
	}
}
