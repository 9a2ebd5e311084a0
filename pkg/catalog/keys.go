package catalog

import "github.com/slipway-gateway/slipway/pkg/fleet"

// The keys. None of their parts can hold a slash: codes, device keys, versions, dump names, hex and ids.
//
//	x/schema, x/clock, x/stopped, x/sequence   of the catalog itself
//	m/<code>                                   Model
//	d/<device>                                 Device
//	dm/<code>/<device>                         index: devices of a model
//	ds/<device>                                auth.DeviceSecrets
//	o/<id>                                     auth.OperatorToken
//	b/<code>/<version>                         Build
//	be/<elf sha256>/<code>/<version>           index: builds by ELF
//	u/<device>/<name>                          Dump
//	ut/<name>/<device>                         index: dumps by time
//	c/<device>/<name>                          crash.Crash
//	cs/<state>/<name>/<device>                 index: crashes by state and time
//	g/<fingerprint>                            crash.Group
//	gd/<fingerprint>/<device>                  devices of a group
//	gv/<fingerprint>/<version>                 crash.VersionCount
//	gc/<fingerprint>/<version>/<name>/<device> dumps of a group that are still there
const (
	keySchema   = "x/schema"
	keyClock    = "x/clock"
	keyStopped  = "x/stopped"
	keySequence = "x/sequence"
)

func modelKey(code fleet.ModelCode) string     { return "m/" + string(code) }
func deviceKey(key fleet.DeviceKey) string     { return "d/" + string(key) }
func secretsKey(key fleet.DeviceKey) string    { return "ds/" + string(key) }
func tokenKey(id string) string                { return "o/" + id }
func buildsPrefix(code fleet.ModelCode) string { return "b/" + string(code) + "/" }

func modelDeviceKey(code fleet.ModelCode, key fleet.DeviceKey) string {
	return "dm/" + string(code) + "/" + string(key)
}

func buildKey(code fleet.ModelCode, v fleet.Version) string { return buildsPrefix(code) + string(v) }

func buildELFKey(b fleet.Build) string {
	return "be/" + b.ELFSHA256 + "/" + string(b.Model) + "/" + string(b.Version)
}

func dumpKey(key fleet.DeviceKey, name fleet.DumpName) string {
	return "u/" + string(key) + "/" + string(name)
}

func dumpTimeKey(key fleet.DeviceKey, name fleet.DumpName) string {
	return "ut/" + string(name) + "/" + string(key)
}
