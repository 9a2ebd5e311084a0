// Package clients plays the HTTP clients that firmware in the field has, as their sources have them: the bytes of their requests,
// how they read an answer, what they do at each status, and what they keep. It is for tests that ask what becomes of such a
// device, whatever the gateway answers.
//
// Their own timeouts are noted ([Client.Patience]) and not kept: a busy machine exceeds them without any fault of the gateway's.
package clients

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/slipway-gateway/slipway/pkg/espimage"
)

// Endpoint is what a request is for.
type Endpoint string

// The endpoints.
const (
	Token        Endpoint = "token"
	Config       Endpoint = "config"
	Dump         Endpoint = "coredump"
	Provisioning Endpoint = "provisioning"
	Manifest     Endpoint = "manifest"
	Catalog      Endpoint = "catalog"
	Firmware     Endpoint = "firmware"
	Poll         Endpoint = "poll" // of hawkBit, as the next three
	Attributes   Endpoint = "configData"
	Deployment   Endpoint = "deploymentBase"
	Feedback     Endpoint = "feedback"
)

// End is how a round ended.
type End string

// The ends. A round that failed is made again when the client's interval is over.
const (
	Installed End = "installs"
	UpToDate  End = "nothing new"
	Done      End = "done" // there is no image in it: configuration, dump, rotation
	Failed    End = "fails"
)

// Client is one kind of client.
type Client struct {
	Name     string
	Asks     []Endpoint // in a round, in this order
	Shows    Credentials
	Resumes  bool // asks for the rest of what it has a part of
	Ranges   bool // asks for pieces
	Tells    bool // what it runs, so that it may be answered 304
	Repeats  bool // what was refused, ten times, whatever the challenge is
	Erases   bool // its dump, whatever is answered
	Forms    bool // sends its dump in a form, which is refused only with a status that it keeps its dump for
	Waits    bool // to be asked for its credentials
	Patience string
	Round    func(*Device) (End, error)
}

// Credentials are how a client shows who it is.
type Credentials string

// The ways.
const (
	Basic       Credentials = "basic"
	Bearer      Credentials = "bearer"
	PathSecret  Credentials = "path"
	TargetToken Credentials = "target" // its secret alone, the address names it
)

// All are the clients.
func All() []Client {
	var all []Client
	for _, some := range [][]Client{idfClients(), arduinoClients(), otherClients(), ddiClients()} {
		all = append(all, some...)
	}
	return all
}

// Device is what a client runs on, and what it keeps when its power goes.
type Device struct {
	Gateway    string // host:port
	Secret     string
	ID         string // "": it shows no credentials
	Path       string // /d/SECRET
	Source     string // path of the address that was set, "" for the usual one
	Type       string // model, as a sketch names it
	Chip       string
	Runs       []byte // image
	Part       []byte // of a download that broke off
	Stored     map[string]string
	Dump       []byte         // nil: there is none, or it was erased
	Asked      map[string]int // requests of this round, by their path
	OffNetwork bool
}

// Play makes one round.
func (d *Device) Play(c Client) (End, error) {
	d.Asked = map[string]int{}
	return c.Round(d)
}

// Requests are how often the device asked the same thing in its last round, at most.
func (d *Device) Requests() (most int) {
	for _, n := range d.Asked {
		most = max(most, n)
	}
	return most
}

// Version is the one in an image's app descriptor.
func Version(image []byte) string {
	_, app, err := espimage.ReadDescriptor(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		return ""
	}
	return app.Version
}

// install verifies an image as the bootloader does, and runs it.
func (d *Device) install(image []byte) (End, error) {
	read, err := espimage.Read(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		return Failed, err
	}
	if !read.ChecksumValid || read.HashAppended && !read.HashValid {
		return Failed, errors.New("the image does not verify")
	}
	d.Runs, d.Part = image, nil
	return Installed, nil
}

// basic is the header line of HTTP Basic, without its end; "" where the device has no credentials.
func (d *Device) basic() string {
	if d.ID == "" {
		return ""
	}
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(d.ID+":"+d.Secret))
}

// source is the path that the client asks.
func (d *Device) source(usual string) string { return cmp.Or(d.Source, usual) }

// refused is a status that a client does not like.
func refused(status int) (End, error) { return Failed, fmt.Errorf("status %d", status) }
