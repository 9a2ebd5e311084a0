package gateway

import (
	"fmt"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestAnELFThatNoBuildHasIsLookedForOnceAMinute(t *testing.T) {
	store, err := catalog.Open(catalog.Options{
		Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Now: time.Now, Beat: func() {},
		Space: func() (int64, int64, error) { return math.MaxInt64, math.MaxInt64, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	k := &knownBuilds{store: store, strangers: map[elfOf]time.Time{}}
	for i := range mostStrangers + 10 {
		if v := k.VersionOfELF("pump", fmt.Sprintf("%016x", i)); v != "" {
			t.Fatalf("ELF %d is of version %s", i, v)
		}
		if n := len(k.strangers); n > mostStrangers {
			t.Fatalf("%d are remembered", n)
		}
	}
	elf := elfOf{"pump", "0123456789abcdef"}
	k.VersionOfELF(elf.model, elf.prefix)
	if !k.stranger(elf) {
		t.Error("it is looked for with each request")
	}
	err = store.AddModel(t.Context(), fleet.Model{Code: "pump"})
	if err == nil {
		_, _, err = store.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: "1.0", ELFSHA256: elf.prefix}, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	k.strangers[elf] = time.Now().Add(-strangerFor)
	if v := k.VersionOfELF(elf.model, elf.prefix); v != "1.0" {
		t.Errorf("a minute later it is of version %q", v)
	}
}
