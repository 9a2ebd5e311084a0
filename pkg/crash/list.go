package crash

import "github.com/slipway-gateway/slipway/pkg/fleet"

// Listed is a dump with what is known of its crash.
type Listed struct {
	Dump  fleet.Dump
	Crash Crash
	Group string // that its chain belongs to, "" without one
}

// DumpFilter picks dumps, newest first. The zero one picks all.
type DumpFilter struct {
	Device fleet.DeviceKey
	Model  fleet.ModelCode
	State  State
	After  Ref // exclusive: older ones
	Limit  int // 0: all
}

// GroupFilter picks groups. The zero one picks all.
type GroupFilter struct {
	Model   fleet.ModelCode
	Version fleet.Version // seen in it
	State   GroupState
}
