package fleet

import "time"

// Presence is how a device is heard at this moment.
type Presence struct {
	State     DeviceState
	Line      string        // as named, or the network that it comes from
	Ago       time.Duration // since its last contact
	Rhythm    time.Duration // 0: none
	Missing   bool          // due and not heard
	Runs      string        // the version that it was found to run, RunsBy how that is known, and RunsSince since when
	RunsBy    Proof
	RunsSince time.Time
	Checks    bool // it has asked for an image and stopped in the first block: so it shows by itself what it runs
}

// Placed is a device with what decides whether and when a rollout reaches it.
type Placed struct {
	Key    DeviceKey
	Line   string // as named, or the network that it comes from
	Labels []string
	Barred string // why no rollout brings it a build: it is pinned or revoked; "" for nothing
	State  DeviceState
	Booted time.Duration // since its last boot; 0: none was seen
	Missed bool          // it was due for long, or its line is dark and it was due, and it was not heard
	Runs   string        // the version that it was found to run
	RunsBy Proof
}
