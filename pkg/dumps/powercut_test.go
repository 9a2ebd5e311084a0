package dumps

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/durable/powercut"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// forgetful is a disk that does not sync directories while it forgets, and says that it has: it leaves what a kill leaves
// between a dump's names and their sync.
type forgetful struct {
	*powercut.Recorder
	forgets bool
}

func (f *forgetful) SyncDir(dir string) error {
	if f.forgets {
		return nil
	}
	return f.Recorder.SyncDir(dir)
}

// A dump whose upload was cut off between its names and their sync lies there, and nobody was told that it lasts.
func TestACopyOfADumpThatWasNotAcknowledgedLastsOnceItIs(t *testing.T) {
	root := t.TempDir()
	disk := &forgetful{Recorder: powercut.Record(t, root), forgets: true}
	defer durable.Use(disk)()
	s := openStore(t, root, newIndex(), nil)
	first := upload(t, s, "aaaaaaaa", "bytes")
	disk.forgets = false
	s = openStore(t, root, newIndex(), nil)
	d := upload(t, s, "aaaaaaaa", "bytes")
	if d.Name() != first.Name() {
		t.Fatalf("%s is no copy of %s", d.Name(), first.Name())
	}
	disk.Acknowledge("aaaaaaaa/" + string(d.Name()) + "=bytes")
	disk.Cut(t, lasts)
}

// A dump that was answered with 201 is there after a power cut at any moment, whatever the disk kept of what it was not
// told to keep.
func TestAnAcknowledgedDumpOutlivesAPowerCutAtEveryStep(t *testing.T) {
	root := t.TempDir()
	record := powercut.Record(t, root)
	s := openStore(t, root, newIndex(), nil)
	for i, key := range []fleet.DeviceKey{"aaaaaaaa", "aaaaaaaa", "bbbbbbbb", "aaaaaaaa"} {
		body := fmt.Sprintf("dump %d of %s", i, key)
		d := upload(t, s, key, body)
		record.Acknowledge(fmt.Sprintf("%s/%s=%s", key, d.Name(), body))
		if copied := upload(t, s, key, body); copied.Name() != d.Name() {
			t.Fatalf("%s is no copy of %s", copied.Name(), d.Name())
		}
	}
	record.Cut(t, lasts)
}

// lasts opens what a power cut has left and asks for each dump that was acknowledged before it.
func lasts(t *testing.T, root string, acknowledged []string) {
	s := openStore(t, root, newIndex(), nil)
	for _, one := range acknowledged {
		path, body, _ := strings.Cut(one, "=")
		key, name, _ := strings.Cut(path, "/")
		d, err := s.Sidecar(fleet.DeviceKey(key), fleet.DumpName(name))
		if err != nil || d.Size != int64(len(body)) {
			t.Errorf("%s: %+v, %v", path, d, err)
		}
		if got, err := os.ReadFile(s.Path(fleet.DeviceKey(key), fleet.DumpName(name))); string(got) != body {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	for key := range s.listed() {
		pairs(t, root, key) // fails on what is half
	}
	if left, err := filepath.Glob(filepath.Join(root, "*", ".*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
