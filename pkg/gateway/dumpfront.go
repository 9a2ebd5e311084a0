package gateway

import (
	"context"
	"io"
	"os"
	"sync"

	"github.com/slipway-gateway/slipway/pkg/dumps"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// dumpFront is the dump directories as doors and triage see them: a store that is there once recovery is over.
type dumpFront struct {
	options dumps.Options // without a Dir: off

	mu    sync.Mutex   // guards store
	store *dumps.Store // nil: off, or not recovered yet
}

// open recovers what lies on disk. Nobody waits for it but those who wait for recovery: the health check is answered.
func (f *dumpFront) open(ctx context.Context) error {
	if f.options.Dir == "" {
		return nil
	}
	opened, err := dumps.Open(ctx, f.options)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.store = opened
	return nil
}

// reconcile reads what lies on disk once more, beside the work that goes on.
func (f *dumpFront) reconcile(ctx context.Context) error {
	if f.options.Dir == "" {
		return nil
	}
	store, err := f.opened()
	if err != nil {
		return err
	}
	return store.Reconcile(ctx)
}

func (f *dumpFront) opened() (*dumps.Store, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.store == nil {
		return nil, fleet.Unknown("core dumps are not configured")
	}
	return f.store, nil
}

// Usage is what dumps take on disk in bytes; ok is false where there are none to count.
func (f *dumpFront) Usage() (bytes int64, ok bool) {
	store, err := f.opened()
	if err != nil {
		return 0, false
	}
	return store.Usage(), true
}

// Trouble is what an operator should know, "" when all is well.
func (f *dumpFront) Trouble() string {
	store, err := f.opened()
	if err != nil {
		return ""
	}
	return store.Trouble()
}

// Fault says that dumps are refused as a sync has failed, "" when they are not.
func (f *dumpFront) Fault() string {
	store, err := f.opened()
	if err != nil {
		return ""
	}
	return store.Fault()
}

// Write stores a dump.
func (f *dumpFront) Write(ctx context.Context, d fleet.Dump, body io.Reader, size int64) (fleet.Dump, error) {
	store, err := f.opened()
	if err != nil {
		return d, err
	}
	return store.Write(ctx, d, body, size)
}

// OpenDump opens a dump's bytes.
func (f *dumpFront) OpenDump(key fleet.DeviceKey, name fleet.DumpName) (*os.File, error) {
	store, err := f.opened()
	if err != nil {
		return nil, err
	}
	return store.OpenDump(key, name)
}

// ReadReport reads a dump's report.
func (f *dumpFront) ReadReport(key fleet.DeviceKey, name fleet.DumpName) ([]byte, error) {
	store, err := f.opened()
	if err != nil {
		return nil, err
	}
	return store.ReadReport(key, name)
}

// WriteReport lays a report beside its dump.
func (f *dumpFront) WriteReport(key fleet.DeviceKey, name fleet.DumpName, report []byte) error {
	store, err := f.opened()
	if err != nil {
		return err
	}
	return store.WriteReport(key, name, report)
}

// Remove removes a dump.
func (f *dumpFront) Remove(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName) error {
	store, err := f.opened()
	if err != nil {
		return err
	}
	return store.Remove(ctx, key, name)
}

// Path is where a dump lies.
func (f *dumpFront) Path(key fleet.DeviceKey, name fleet.DumpName) string {
	return dumps.Path(f.options.Dir, key, name)
}
