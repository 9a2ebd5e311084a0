package fleet

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Event is one thing that happened, with who did it.
type Event struct {
	Seq     uint64          `json:"seq"` // from 1, without gaps
	At      time.Time       `json:"at"`  // UTC, microseconds
	Kind    EventKind       `json:"kind"`
	Actor   Actor           `json:"actor"`
	From    string          `json:"from,omitempty"` // the address that the actor came from, "" of the socket and of the gateway itself
	Object  Object          `json:"object"`
	Details json.RawMessage `json:"details,omitempty"` // an object: before, after and what else the kind says
	Hash    string          `json:"hash"`              // hex; how it follows from the one before is package event's matter
}

// EventKind is "noun.verb" in the past. Package event has the table of all.
type EventKind string

// ActorType is what kind of actor acts.
type ActorType string

// The three.
const (
	Person      ActorType = "person"  // or a pipeline: whoever shows a token, or comes through the socket
	DeviceActor ActorType = "device"  // by itself
	Itself      ActorType = "gateway" // by itself: a rule, a setting, a clock
)

// Actor is who did something.
type Actor struct {
	Type ActorType `json:"type"`
	ID   string    `json:"id,omitempty"`   // a token's id, "uid:1000" of the socket, a device's key
	Name string    `json:"name,omitempty"` // of the token or the device
}

// Object is what something was done to.
type Object struct {
	Type string `json:"type"`
	ID   string `json:"id,omitempty"` // of a build "<model>/<version>", of a dump "<device>/<name>"
}

// The objects that there are most events of.

// ObjectOf names a device.
func (k DeviceKey) ObjectOf() Object { return Object{Type: "device", ID: string(k)} }

// ObjectOf names a model.
func (c ModelCode) ObjectOf() Object { return Object{Type: "model", ID: string(c)} }

// BuildObject names a build.
func BuildObject(code ModelCode, v Version) Object {
	return Object{Type: "build", ID: string(code) + "/" + string(v)}
}

// RolloutID is "<model>/<number>".
func RolloutID(code ModelCode, number int) string { return string(code) + "/" + strconv.Itoa(number) }

// ParseRolloutID reads what RolloutID makes.
func ParseRolloutID(s string) (code ModelCode, number int, err error) {
	model, digits, _ := strings.Cut(s, "/")
	if code, err = ParseModelCode(model); err != nil {
		return "", 0, err
	}
	if number, err = strconv.Atoi(digits); err != nil || number < 1 {
		return "", 0, Refused("rollout %q: want a model and a number, such as pump/7", clip(s))
	}
	return code, number, nil
}
