package catalog

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestCountsThatCannotBeNotedAreSaidOnce(t *testing.T) {
	o := settled(t, t.TempDir())
	var journal strings.Builder
	o.Logger = slog.New(slog.NewTextHandler(&journal, nil))
	c, err := Open(o)
	must(t, err)
	inTheWay := filepath.Join(o.Dir, countsFile)
	must(t, os.MkdirAll(filepath.Join(inTheWay, "x"), 0o700))
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	must(t, c.update(t.Context(), func(*tx) error { // in the committer, as its beat
		for range 10 {
			c.copyCounts()
		}
		return nil
	}))
	must(t, os.RemoveAll(inTheWay))
	must(t, c.Close())
	if n := strings.Count(journal.String(), "not noted"); n != 1 {
		t.Errorf("said %d times:\n%s", n, &journal)
	}
}
