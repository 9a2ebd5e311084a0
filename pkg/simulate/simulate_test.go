package simulate

import (
	"errors"
	"testing"
	"time"
)

func TestAMixIsDealtToTheLastDevice(t *testing.T) {
	mix, err := ParseMix("esp-mdm=60,poller=20,ota=15,arduino=5")
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]map[Kind]int{
		1: {ESPMDM: 1}, 7: {ESPMDM: 4, Poller: 2, OTA: 1}, 40: {ESPMDM: 24, Poller: 8, OTA: 6, Arduino: 2},
	} {
		got := map[Kind]int{}
		for _, k := range mix.Deal(n, 1) {
			got[k]++
		}
		for _, k := range Kinds {
			if got[k] != want[k] {
				t.Errorf("of %d devices %d are %s, want %d", n, got[k], k, want[k])
			}
		}
	}
}

func TestAMixOrAFaultThatSaysNothingIsRefused(t *testing.T) {
	for _, s := range []string{"", "esp-mdm", "esp-mdm=x", "toaster=1", "poller=-1", "poller=0", "poller=1,"} {
		if m, err := ParseMix(s); err == nil {
			t.Errorf("mix %q is %v", s, m)
		}
	}
	for _, s := range []string{"", "1.1", "=silent", "1.1=loud", "1.1=back:30", "1.1=back:101%", "1.1=crash:-1%", "1.1=crash:NaN%", "1.1=late", "1.1=late:0s", "1.1=late:5%", "1.1=crash:%"} {
		if f, err := ParseFault(s); err == nil {
			t.Errorf("fault %q is %+v", s, f)
		}
	}
	for s, want := range map[string]Fault{
		"1.1=silent": {Version: "1.1", What: FallsSilent, Share: 1}, "1.1=crash:5%": {Version: "1.1", What: Crashes, Share: 0.05},
		"a=b=back:30%": {Version: "a=b", What: GoesBack, Share: 0.3}, "1.1=late:6h": {Version: "1.1", What: DiesLater, Share: 1, After: 6 * time.Hour},
	} {
		if f, err := ParseFault(s); err != nil || f != want {
			t.Errorf("fault %q is %+v, %v", s, f, err)
		}
	}
}

func TestPercentilesAreRightToATwentieth(t *testing.T) {
	var r timing
	for i := range 1000 {
		r.add(time.Duration(i+1)*time.Millisecond, i == 0)
	}
	for p, want := range map[int]time.Duration{50: 500, 95: 950, 99: 990, 100: 1000} {
		if got := r.percentile(p); got < want*time.Millisecond || got > want*time.Millisecond*21/20 {
			t.Errorf("percentile %d is %s, want %d ms", p, got, want)
		}
	}
	if r.count != 1000 || r.errors != 1 || r.max != time.Second {
		t.Errorf("%d requests, %d errors, %s at most", r.count, r.errors, r.max)
	}
}

func TestOnlyAWholeImageCounts(t *testing.T) {
	whole := make([]byte, 3000)
	copy(whole[32:], []byte{0x32, 0x54, 0xcd, 0xab})
	copy(whole[48:], "1.1.0")
	for name, c := range map[string]struct {
		sent   int
		known  string
		enough bool
		fails  bool
	}{
		"whole": {sent: 3000}, "cut off": {sent: 2999, fails: true}, "cut off in its first block": {sent: 1000, fails: true},
		"known": {sent: 1024, known: "1.1.0", enough: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := image{known: []string{c.known}}
			enough, err := m.read(&cutOff{whole[:c.sent]}, int64(len(whole)))
			if enough != c.enough || (err != nil) != c.fails {
				t.Errorf("enough %t, %v", enough, err)
			}
		})
	}
	if v, err := versionOf([]byte("<html>")); err == nil {
		t.Errorf("a page is the image of %q", v)
	}
}

// cutOff breaks off behind its bytes.
type cutOff struct{ left []byte }

func (c *cutOff) Read(p []byte) (int, error) {
	if len(c.left) == 0 {
		return 0, errors.New("reset by peer")
	}
	n := copy(p, c.left)
	c.left = c.left[n:]
	return n, nil
}
