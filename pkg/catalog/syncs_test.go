package catalog

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/durable/powercut"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// What Badger itself does to the disk, no test sees but one on a file system that is cut off; this is what it is asked for.
func TestBadgerSyncsEachTransaction(t *testing.T) {
	c := open(t, t.TempDir())
	if o := c.store.db.Opts(); !o.SyncWrites || o.InMemory || o.ReadOnly {
		t.Errorf("the store runs with SyncWrites %v, InMemory %v, ReadOnly %v", o.SyncWrites, o.InMemory, o.ReadOnly)
	}
}

func TestTheSchemaFileOutlivesAPowerCut(t *testing.T) {
	root := t.TempDir()
	record := powercut.Record(t, root)
	must(t, writeSchemaFile(root))
	record.Acknowledge("SCHEMA")
	record.Cut(t, func(t *testing.T, root string, acknowledged []string) {
		if len(acknowledged) == 0 {
			return
		}
		if _, err := os.Stat(filepath.Join(root, schemaFile)); err != nil {
			t.Error(err)
		}
		must(t, checkSchemaFile(root))
	})
}

// TestACommitIsNotAcknowledgedOnceTheFileSystemHasFailedBehindItsSync has a sync that succeeds, and a file system that takes no
// more notes: ext4 loses the end of a log then.
func TestACommitIsNotAcknowledgedOnceTheFileSystemHasFailedBehindItsSync(t *testing.T) {
	c := open(t, t.TempDir())
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	c.store.writing.Lock()
	next := c.ahead.next
	refuses, err := os.Open(next.Name()) // no blocks for a file that is open for reading
	must(t, err)
	c.ahead.next = refuses
	c.store.writing.Unlock()
	want(t, c.AddModel(t.Context(), fleet.Model{Code: "fan"}), fleet.ErrFull)
	must(t, next.Close())
	until(t, "changes again", func() bool { return c.Fault() == "" })
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "valve"}))
}
