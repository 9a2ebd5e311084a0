// Package simulate plays a fleet against a gateway: devices of four kinds that ask, check, download, boot, crash and fall
// silent as those in the field do.
//
// A [device] is a state machine that knows neither sockets nor sleep: it is told the time and what was answered, and says
// what it does next. The player makes its requests, byte by byte as that kind of client makes them, with lwIP's receive
// window, and scales its waits. What a device does follows from the seed and from what it is answered, so that a plan plays
// the same twice.
//
// The package carries no firmware and no dumps: images come from the gateway, dumps from whoever plays.
package simulate

import (
	"crypto/tls"
	"net/url"
	"time"
)

// Plan is what is played.
type Plan struct {
	Gateway   *url.URL
	TLS       *tls.Config // for https
	Devices   []Device
	Interval  time.Duration // between two contacts of a device; it varies by a tenth
	CrashRate float64       // probability that a device crashes in an interval
	Faults    []Fault
	Runs      string // version that the devices run at the beginning, "" for what they are offered first
	Chip      string // as dumps are declared
	Dumps     Dumps
	Speed     float64       // how much faster than the clock the fleet lives
	For       time.Duration // of the fleet's time; 0: until the player is stopped
	Seed      uint64
}

// Device is one that is played, with what it is flashed with.
type Device struct {
	Key    string
	ID     string // client id
	Secret string
	Kind   Kind
}

// Dumps are the core dumps of builds, by version, as the partition holds them.
type Dumps map[string][][]byte
