package gateway

import (
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/catalog"
)

// openCatalog has an empty catalog, which ends with the test.
func openCatalog(t *testing.T, changes ...func(*catalog.Options)) *catalog.Catalog {
	t.Helper()
	o := catalog.Options{
		Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Now: time.Now, Beat: func() {},
		Space: func() (int64, int64, error) { return math.MaxInt64, math.MaxInt64, nil },
	}
	for _, change := range changes {
		change(&o)
	}
	store, err := catalog.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}
