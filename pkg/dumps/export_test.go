package dumps

import (
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// What the suites that stores have in common need of this package's tests.

// NewShortIndex is the index in memory.
func NewShortIndex() Index { return newIndex() }

// OpenForContract is a store that takes 1 MiB a dump.
func OpenForContract(t *testing.T) *Store { return openStore(t, t.TempDir(), newIndex(), nil) }

// UploadForContract lays a dump into a store.
func UploadForContract(t *testing.T, s *Store) fleet.Dump { return upload(t, s, "aaaaaaaa", "core") }
