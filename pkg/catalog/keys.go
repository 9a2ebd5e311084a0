package catalog

import (
	"fmt"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// The keys. None of their parts can hold a slash: codes, device keys, versions, dump names, hex and ids. Values are JSON
// but for the catalog's own numbers (8 bytes, big endian; times in microseconds since 1970) and for indexes, which have
// none.
//
//	x/schema, x/clock, x/stopped, x/sequence   of the catalog itself
//	x/new                                      until what lies on disk has been read into it
//	x/restoring                                until a restore is over
//	x/counts                                   Counts
//	x/stock                                    stockRecord
//	x/keyfiles                                 keyFiles
//	x/restored                                 when one was
//	xi/<number>                                device keys of an import that is not over
//	m/<code>                                   fleet.Model
//	d/<device>                                 storedDevice
//	dm/<code>/<device>                         index: devices of a model
//	dp/<code>/<version>/<device>               index: devices that are pinned to a build
//	df/<device>                                fleet.Sent
//	dx/<mac>                                   a device's key: whose Wi-Fi has this MAC, as 12 hex digits
//	da/<alias>                                 a device's key: who calls itself that
//	dw/<device>                                the MAC of a device: the one key below dx/ that it has
//	dh/<device>                                fleet.Reported
//	dr/<device>                                removal, of a device that a person has removed
//	ds/<device>                                auth.DeviceSecrets
//	a/<code>                                   auth.Adoption: the newest of a model
//	as/<hash>                                  a model's code: whose adoption that is not closed has this secret
//	s/<device>                                 sighting.Record
//	sp/<number>                                when many devices were heard, packed by the sightings
//	sl/<line>                                  storedLine, by the hash of its name
//	sl/<line>/<number>                         who fell silent with it, packed by the sightings
//	o/<id>                                     auth.OperatorToken
//	os/<hash>                                  auth.Session, by the hash of its cookie
//	b/<code>/<version>                         fleet.Build
//	be/<elf sha256>/<code>/<version>           index: builds by ELF
//	u/<device>/<name>                          fleet.Dump
//	ut/<name>/<device>                         index: dumps by time
//	c/<device>/<name>                          crash.Crash
//	cs/<state>/<name>/<device>                 index: crashes by state and time
//	ca/<name>/<device>                         index: crashes that a person wants decoded anew, by time
//	g/<group>                                  crash.Group; a group is named by its first chain
//	go/<urgency>/<last seen>/<group>           index: groups by what asks for a look, the one that was seen last first
//	gi/<time>/<group>                          index: groups that are ignored until a time, in microseconds as 16 hex digits
//	gk/<fingerprint>                           crash.Chain; also where a group led that is gone
//	gm/<group>/<fingerprint>                   index: chains of a group that count something or take dumps
//	gn/<place>/<fingerprint>                   index: chains by what is near to them, see crash.Filed
//	gd/<fingerprint>/<device>                  crash.DeviceCount of a chain; none where older versions noted the device
//	gv/<fingerprint>/<version>                 crash.VersionCount of a chain
//	gc/<fingerprint>/<version>/<name>/<device> index: dumps of a chain that are still there
//	gt/<fingerprint>/<chain>                   while groups of the first rules are made anew: how many dumps of one went where
//	gu/<fingerprint>                           old chains whose dumps were not all looked at yet
//	x/regrouped                                Regrouping: what has become of them
//	x/events                                   ledger: where the stream of events begins and ends
//	x/counted                                  when counting began
//	nv/<code>/<version>                        crash.Series of a model's version
//	nx/<code>/<version>/<device>               crash.Series of a device that crashed
//	nd/<device>/<code>/<version>               index: versions in which a device crashed, of those below nx/
//	e/<number>                                 fleet.Event as it is hashed; numbers are 16 hex digits
//	eo/<object>/<number>                       index: events of an object, by its hash
//	er/<topic>/<device>                        paced: what happened often, and was not told of yet
//	r/<code>/<number>                          fleet.Rollout; numbers are 8 decimal digits
//	rm/<code>/<number>/<device>                fleet.Member
//	w/<id>                                     fleet.Webhook
//	wd/<id>                                    fleet.WebhookDelivery
//	ws/<id>                                    what a webhook's deliveries are signed with: the only secret that is no hash
//	tn/<id>                                    fleet.NotedTrouble: what somebody has seen
//	rp/<code>                                  fleet.Plan: what a model's rollouts go by that name none
const (
	keySchema    = "x/schema"
	keyClock     = "x/clock"
	keyStopped   = "x/stopped"
	keySequence  = "x/sequence"
	keyNew       = "x/new"
	keyRestoring = "x/restoring"
	keyRestored  = "x/restored"
	keyRegrouped = "x/regrouped"
	keyFilesKey  = "x/keyfiles"
	keyEvents    = "x/events"
	keyCounts    = "x/counts"
	keyCounted   = "x/counted"
	keyStock     = "x/stock"

	modelPrefix  = "m/"
	devicePrefix = "d/"
	buildPrefix  = "b/"
	tokenPrefix  = "o/"

	adoptionPrefix = "a/"
	adoptingPrefix = "as/"

	sessionPrefix = "os/"

	sightingPrefix = "s/"
	contactsPrefix = "sp/"
	linePrefix     = "sl/"

	dumpPrefix  = "u/"
	timePrefix  = "ut/"
	groupPrefix = "g/"
	chainPrefix = "gk/"

	allStatesPrefix = "cs/"
	askedPrefix     = "ca/"
	urgencyPrefix   = "go/"
	ignoredPrefix   = "gi/"

	unsettledPrefix = "gu/"
	importPrefix    = "xi/"

	allCountedPrefix = "nv/"
	allCrashedPrefix = "nx/"
	crashedInPrefix  = "nd/"

	eventPrefix       = "e/"
	objectEventPrefix = "eo/"
	pacedPrefix       = "er/"

	rolloutPrefix = "r/"

	webhookPrefix = "w/"
	troublePrefix = "tn/"
)

func modelKey(code fleet.ModelCode) string           { return modelPrefix + string(code) }
func deviceKey(key fleet.DeviceKey) string           { return devicePrefix + string(key) }
func modelDevicesPrefix(code fleet.ModelCode) string { return "dm/" + string(code) + "/" }
func macKey(mac string) string                       { return "dx/" + mac }
func aliasKey(alias fleet.Alias) string              { return "da/" + string(alias) }
func deviceMACKey(key fleet.DeviceKey) string        { return "dw/" + string(key) }
func sentKey(key fleet.DeviceKey) string             { return "df/" + string(key) }
func reportedKey(key fleet.DeviceKey) string         { return "dh/" + string(key) }
func removedKey(key fleet.DeviceKey) string          { return "dr/" + string(key) }
func secretsKey(key fleet.DeviceKey) string          { return "ds/" + string(key) }
func sightingKey(key fleet.DeviceKey) string         { return sightingPrefix + string(key) }
func contactsKey(n int) string                       { return fmt.Sprintf("%s%06d", contactsPrefix, n) }
func adoptingKey(h auth.Hash) string                 { return adoptingPrefix + string(h) }
func adoptionKey(code fleet.ModelCode) string        { return adoptionPrefix + string(code) }
func tokenKey(id string) string                      { return tokenPrefix + id }
func sessionKey(hash auth.Hash) string               { return sessionPrefix + string(hash) }
func buildsPrefix(code fleet.ModelCode) string       { return buildPrefix + string(code) + "/" }
func elfPrefix(hash string) string                   { return "be/" + hash }
func deviceDumpsPrefix(key fleet.DeviceKey) string   { return dumpPrefix + string(key) + "/" }
func statePrefix(state crash.State) string           { return allStatesPrefix + string(state) + "/" }
func groupKey(group string) string                   { return groupPrefix + group }
func chainKey(fingerprint string) string             { return chainPrefix + fingerprint }
func membersPrefix(group string) string              { return "gm/" + group + "/" }
func memberKey(group, fingerprint string) string     { return membersPrefix(group) + fingerprint }
func placePrefix(place string) string                { return "gn/" + place + "/" }
func placeKey(place, fingerprint string) string      { return placePrefix(place) + fingerprint }
func chainDevicesPrefix(fingerprint string) string   { return "gd/" + fingerprint + "/" }
func chainVersionsPrefix(fingerprint string) string  { return "gv/" + fingerprint + "/" }
func chainDumpsPrefix(fingerprint string) string     { return "gc/" + fingerprint + "/" }
func unsettledKey(old string) string                 { return unsettledPrefix + old }
func crashesPrefix(key fleet.DeviceKey) string       { return "c/" + string(key) + "/" }
func movedPrefix(old string) string                  { return "gt/" + old + "/" }
func movedKey(old, fingerprint string) string        { return movedPrefix(old) + fingerprint }
func importKey(n int) string                         { return fmt.Sprintf("%s%06d", importPrefix, n) }

func countedPrefix(code fleet.ModelCode) string { return allCountedPrefix + string(code) + "/" }

func countedKey(code fleet.ModelCode, version string) string { return countedPrefix(code) + version }

func crashedPrefix(code fleet.ModelCode, version string) string {
	return allCrashedPrefix + string(code) + "/" + version + "/"
}

func crashedKey(code fleet.ModelCode, version string, device fleet.DeviceKey) string {
	return crashedPrefix(code, version) + string(device)
}

// deviceCrashedPrefix is of the versions of a model in which a device crashed.
func deviceCrashedPrefix(key fleet.DeviceKey, code fleet.ModelCode) string {
	return crashedInPrefix + string(key) + "/" + string(code) + "/"
}

// crashedInKey is the index of a key below nx/.
func crashedInKey(crashed string) string {
	code, rest, _ := strings.Cut(strings.TrimPrefix(crashed, allCrashedPrefix), "/")
	version, device, _ := strings.Cut(rest, "/")
	return deviceCrashedPrefix(fleet.DeviceKey(device), fleet.ModelCode(code)) + version
}

func troubleKey(id string) string { return troublePrefix + id }

func rolloutsPrefix(code fleet.ModelCode) string { return rolloutPrefix + string(code) + "/" }

func rolloutKey(code fleet.ModelCode, number int) string {
	return fmt.Sprintf("%s%08d", rolloutsPrefix(code), number)
}

func rolloutMembersPrefix(code fleet.ModelCode, number int) string {
	return fmt.Sprintf("rm/%s/%08d/", code, number)
}

func rolloutMemberKey(code fleet.ModelCode, number int, key fleet.DeviceKey) string {
	return rolloutMembersPrefix(code, number) + string(key)
}

func rolloutPlanKey(code fleet.ModelCode) string { return "rp/" + string(code) }

func webhookKey(id string) string         { return webhookPrefix + id }
func webhookDeliveryKey(id string) string { return "wd/" + id }
func webhookSecretKey(id string) string   { return "ws/" + id }

func sequence(n uint64) string   { return fmt.Sprintf("%016x", n) }
func eventKey(seq uint64) string { return eventPrefix + sequence(seq) }

func modelDeviceKey(code fleet.ModelCode, key fleet.DeviceKey) string {
	return modelDevicesPrefix(code) + string(key)
}

func modelPinsPrefix(code fleet.ModelCode) string { return "dp/" + string(code) + "/" }

func pinsPrefix(code fleet.ModelCode, v fleet.Version) string {
	return modelPinsPrefix(code) + string(v) + "/"
}

func pinKey(d fleet.Device) string { return pinsPrefix(d.Model, d.Pin) + string(d.Key) }

func buildKey(code fleet.ModelCode, v fleet.Version) string { return buildsPrefix(code) + string(v) }

func elfKey(b fleet.Build) string {
	return elfPrefix(b.ELFSHA256) + "/" + string(b.Model) + "/" + string(b.Version)
}

func dumpKey(key fleet.DeviceKey, name fleet.DumpName) string {
	return deviceDumpsPrefix(key) + string(name)
}

func dumpTimeKey(key fleet.DeviceKey, name fleet.DumpName) string {
	return timePrefix + string(name) + "/" + string(key)
}

func crashKey(key fleet.DeviceKey, name fleet.DumpName) string {
	return "c/" + string(key) + "/" + string(name)
}

func stateKey(state crash.State, key fleet.DeviceKey, name fleet.DumpName) string {
	return statePrefix(state) + string(name) + "/" + string(key)
}

func askedKey(key fleet.DeviceKey, name fleet.DumpName) string {
	return askedPrefix + string(name) + "/" + string(key)
}

func chainDeviceKey(fingerprint string, key fleet.DeviceKey) string {
	return chainDevicesPrefix(fingerprint) + string(key)
}

func chainVersionKey(fingerprint string, v fleet.Version) string {
	return chainVersionsPrefix(fingerprint) + string(v)
}

func versionDumpsPrefix(fingerprint string, v fleet.Version) string {
	return chainDumpsPrefix(fingerprint) + string(v) + "/"
}

func chainDumpKey(c crash.Crash) string {
	return versionDumpsPrefix(c.Fingerprint, c.Version) + string(c.Name) + "/" + string(c.Device)
}

// lastPart is what follows the last slash of a key.
func lastPart(key string) string {
	return key[strings.LastIndexByte(key, '/')+1:]
}

// lastTwo are the parts around the last slash.
func lastTwo(key string) (before, last string, err error) {
	rest, last, ok := cutLast(key)
	_, before, more := cutLast(rest)
	if !ok || !more {
		return "", "", fmt.Errorf("the catalog has a key %q", key)
	}
	return before, last, nil
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// splitDumpKey finds the dump that a key u/<device>/<name> is of, or one that ends with /<name>/<device>.
func splitDumpKey(key string) (crash.Ref, error) {
	before, last, err := lastTwo(key)
	if strings.HasPrefix(key, dumpPrefix) {
		return crash.Ref{Device: fleet.DeviceKey(before), Name: fleet.DumpName(last)}, err
	}
	return crash.Ref{Device: fleet.DeviceKey(last), Name: fleet.DumpName(before)}, err
}
