package catalog

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/dgraph-io/badger/v4/fb"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// blocksOf are the lengths of the blocks in a catalog's tables.
func blocksOf(t *testing.T, dir string) (lengths []int) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	must(t, err)
	for _, path := range tables {
		f, err := os.Open(path)
		must(t, err)
		defer f.Close()
		info, err := f.Stat()
		must(t, err)
		index, err := tableIndex(f, info.Size())
		must(t, err)
		for i := range index.OffsetsLength() {
			var block fb.BlockOffset
			if index.Offsets(&block, i) {
				lengths = append(lengths, int(block.Len()))
			}
		}
	}
	return lengths
}

func TestAPollComparesAFewKilobytesWithTheirChecksums(t *testing.T) {
	most := 20 << 10
	if strconv.IntSize == 32 {
		most = 132 << 10 // see blockBytes
	}
	dir := t.TempDir()
	c, err := Open(settled(t, dir))
	must(t, err)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	for i := range 500 {
		d := fleet.Device{Key: fleet.DeviceKey(fmt.Sprintf("dev%05d", i)), Model: "pump", Name: "a name as people give them"}
		must(t, c.AddDevice(t.Context(), d, auth.DeviceSecrets{}))
	}
	must(t, c.Close()) // writes what is in its memory as a table
	lengths := blocksOf(t, dir)
	if len(lengths) < 2 {
		t.Fatalf("blocks of %d bytes", lengths)
	}
	for _, n := range lengths {
		if n > most {
			t.Errorf("a block of %d bytes, of %d", n, lengths)
		}
	}
}
