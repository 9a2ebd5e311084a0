package fleet

import (
	"net/netip"
	"time"
)

// Seen is what one request, dump or message shows about a device. Whoever serves it hands it on; what follows from it is
// the sightings' matter.
type Seen struct {
	Device   DeviceKey
	At       time.Time
	By       HeardBy
	Address  netip.Addr // of the peer; the zero one where it came by a broker
	Agent    string     // User-Agent, as it came
	Said     Said
	Transfer *Transfer // of an image, once it is known how much of it arrived; nil of everything else
	Dump     *SeenDump
	Kept     bool // a broker has kept it: it says what was so once, not that the device is heard now
}

// HeardBy is the way by which a device was heard.
type HeardBy string

// The ways.
const (
	HeardToken        HeardBy = "token"
	HeardConfig       HeardBy = "config"
	HeardVersion      HeardBy = "version"
	HeardFirmware     HeardBy = "firmware"
	HeardDump         HeardBy = "dump"
	HeardProvisioning HeardBy = "provisioning"
	HeardManifest     HeardBy = "manifest"
	HeardMQTT         HeardBy = "mqtt"
)

// Said is what the device says of itself in this request or message: its own word, believed as such. Members that it does
// not say are empty.
type Said struct {
	Version   string // of what it runs
	ELFSHA256 string // hex, or a prefix of it
	Sketch    string // hash of the image that runs, as Arduino's HTTPUpdate tells it: see [Sums.Sketch]
	BootID    string // new at each boot
	Reset     ResetReason
	OTAState  OTAState
	Started   bool // the message tells of a start
	Offline   bool // a last will: the device is gone
}

// Transfer is an image on its way to a device: what was asked for, and what arrived.
type Transfer struct {
	Version     Version
	Size        int64 // of the whole image, bytes
	From, To    int64 // the bytes that were answered, To exclusive
	Arrived     int64 // of those, bytes that the device's TCP has acknowledged
	Whole       bool  // the answer was written to its end and all of it was acknowledged
	Going       bool  // it is still being sent: more may arrive
	NotModified bool  // answered 304 for the ETag of Version: nothing was sent
	Begun       time.Time
}

// SeenDump is a dump that was identified.
type SeenDump struct {
	Declared Version // what the request said
	Build    Version // of the build whose ELF the dump was made of; "" where none is known
	ELF      string  // hex
}
