package gateway

import (
	"fmt"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestAnImageIsLookedForByItsHashOnceAMinute(t *testing.T) {
	store := openCatalog(t)
	if err := store.AddModel(t.Context(), fleet.Model{Code: "pump"}); err != nil {
		t.Fatal(err)
	}
	k := &knownBuilds{store: store}
	if v, _ := k.VersionOfSketch("pump", "m1"); v != "" {
		t.Fatalf("of version %q, and there is none", v)
	}
	build := fleet.Build{Model: "pump", Version: "1.0", ELFSHA256: "elf", Sums: fleet.Sums{SketchMD5: "m1", SketchSHA256: "s1"}}
	if _, _, err := store.RecordBuild(t.Context(), build, false); err != nil {
		t.Fatal(err)
	}
	if _, err := store.PublishImage(t.Context(), fleet.Build{Model: "pump", Version: "2.0", Sums: fleet.Sums{SketchMD5: "m2"}}); err != nil {
		t.Fatal(err)
	}
	if v, _ := k.VersionOfSketch("pump", "m1"); v != "" {
		t.Error("the catalog is read with each request")
	}
	k.sketches[elfOf{"pump", "m1"}] = sketch{at: time.Now().Add(-strangerFor)}
	for hash, want := range map[string]string{"m1": "1.0 elf", "s1": "1.0 elf", "m2": "2.0 ", "": " ", "m3": " "} {
		if v, elf := k.VersionOfSketch("pump", hash); string(v)+" "+elf != want {
			t.Errorf("%q is %q of ELF %q, want %q", hash, v, elf, want)
		}
	}
	for i := range mostStrangers + 10 {
		k.VersionOfSketch("pump", fmt.Sprint(i))
		if n := len(k.sketches); n > mostStrangers {
			t.Fatalf("%d are remembered", n)
		}
	}
}

func TestAnELFThatNoBuildHasIsLookedForOnceAMinute(t *testing.T) {
	store := openCatalog(t)
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
	err := store.AddModel(t.Context(), fleet.Model{Code: "pump"})
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
