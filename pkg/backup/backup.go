// Package backup makes and restores copies of what a gateway cannot find again when its disk dies: the catalog, the
// keys that devices trust, and the settings. Bundles and dumps are files of their own and are not in it.
//
// A backup is an age file (age-encryption.org/v1) around a tar of
//
//	manifest.json               [Manifest]
//	slipway.yaml                the settings file, where there is one
//	keys/ca.crt, keys/ca.key    the CA that devices carry, where the gateway has made one
//	keys/signing-….pem          the keys that tokens are signed with
//	keys/backup.key             what daily copies are encrypted to
//	catalog/000000 …            the catalog's own stream, see catalog.Catalog.Backup, in parts of at most 256 KiB
//
// in this order, so that `age -d FILE | tar x` opens it, too. The TLS leaf is not in it: a gateway makes one for the
// addresses that it has.
//
// A backup may come from anywhere. Names are a closed list and none of them becomes a path as it stands, every part is
// bounded, and nothing of a gateway is changed before the whole of a backup was read: age's hash over all of it, and
// the catalog's own, have then been compared. What the records say is believed: who may restore a backup may do
// everything anyway.
package backup

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/slipway-gateway/slipway/pkg/catalog"
)

// Manifest says where a backup comes from, and how much the catalog knew then.
type Manifest struct {
	Format  int       `json:"format"`
	MadeAt  time.Time `json:"made_at"` // UTC
	Slipway string    `json:"slipway"` // version that made it
	Host    string    `json:"host"`
	catalog.Counts
}

const (
	format = 1

	manifestName  = "manifest.json"
	settingsName  = "slipway.yaml"
	keysPrefix    = "keys/"
	catalogPrefix = "catalog/"

	// KeyName is the file among the keys that daily copies are encrypted to: an age identity.
	KeyName = "backup.key"
	caName  = "ca.crt"

	mostManifest = 64 << 10
	mostSettings = 1 << 20   // bytes; the commented file with everything in it has 8 KiB
	mostKey      = 64 << 10  // bytes of one key file; they have a few hundred
	mostKeys     = 64        // files; two signing keys a year, and old ones go
	mostPart     = 256 << 10 // bytes of the catalog that are held in memory
)

// keyNames are the files of the keys' folder that belong into a backup.
func keyNames() *regexp.Regexp {
	return regexp.MustCompile(`^(ca\.crt|ca\.key|backup\.key|signing-[0-9]{1,12}-[A-Za-z0-9_-]{8}\.pem)$`)
}

// ErrDamaged is a backup that is not whole, or no backup at all. Nothing of it can be used.
var ErrDamaged = errors.New("the file is damaged, or is not a backup of a gateway")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}
