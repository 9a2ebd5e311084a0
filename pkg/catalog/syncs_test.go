package catalog

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/durable"
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

// failing is a disk that takes no place in its journal any more; its syncs succeed all the same.
type failing struct {
	durable.Kernel
	over atomic.Bool
}

func (d *failing) Kept(f *os.File) error {
	if d.over.Load() {
		return syscall.EROFS
	}
	return d.Kernel.Kept(f)
}

func TestACommitThatTheFileSystemHasNotKeptIsRefused(t *testing.T) {
	disk := &failing{}
	t.Cleanup(durable.Use(disk))
	c := open(t, t.TempDir())
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	disk.over.Store(true)
	want(t, c.AddModel(t.Context(), fleet.Model{Code: "fan"}), fleet.ErrFull)
	disk.over.Store(false)
	until(t, "changes again", func() bool { return c.Fault() == "" })
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "valve"}))
}
