package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestAModelWithALargeConfigurationCostsWhatASmallOneCosts(t *testing.T) {
	c := open(t, t.TempDir())
	allocated := map[fleet.ModelCode]float64{}
	for code, config := range map[fleet.ModelCode]string{"small": `{}`, "large": `{"names":["` + strings.Repeat(`a","`, 5_000) + `"]}`} {
		must(t, c.AddModel(t.Context(), fleet.Model{Code: code, Config: json.RawMessage(config), Provisioning: map[string]string{"a": "b", "c": "d"}}))
		allocated[code] = testing.AllocsPerRun(100, func() {
			if m, err := c.Model(code); err != nil || len(m.Config) != len(config) {
				t.Fatal(m.Code, err)
			}
		})
	}
	if allocated["large"] != allocated["small"] || allocated["small"] > 20 {
		t.Errorf("allocations %v", allocated)
	}
}

func TestNobodySeesAModelAsItWasBeforeAChangeThatWasAnswered(t *testing.T) {
	c := open(t, t.TempDir())
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	defer readers.Wait()
	defer stop()
	for range 4 {
		readers.Go(func() {
			for last := ""; ctx.Err() == nil; {
				m, err := c.Model("pump")
				if err != nil || m.Name < last {
					t.Errorf("%q after %q, %v", m.Name, last, err)
					return
				}
				last = m.Name
			}
		})
	}
	for i := range 200 {
		name := fmt.Sprintf("%04d", i)
		_, err := c.UpdateModel(t.Context(), "pump", func(m *fleet.Model) error { m.Name = name; return nil })
		must(t, err)
		if m, err := c.Model("pump"); err != nil || m.Name != name {
			t.Fatalf("%q after it was made %q, %v", m.Name, name, err)
		}
	}
}

func TestAnotherStoreCountsItsOwnCommits(t *testing.T) {
	var names []string
	var decoded decodedModels
	for _, name := range []string{"one", "two"} {
		c := open(t, t.TempDir())
		must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump", Name: name}))
		c.decoded.db, c.decoded.known = decoded.db, decoded.known // what was known of the store before
		m, err := c.Model("pump")
		must(t, err)
		names = append(names, m.Name)
		decoded.db, decoded.known = c.decoded.db, c.decoded.known
	}
	if strings.Join(names, " ") != "one two" {
		t.Errorf("%q", names)
	}
}

func TestManyModelsAreNotAllKeptDecoded(t *testing.T) {
	c := open(t, t.TempDir())
	for i := range 3 * mostDecoded {
		code := fleet.ModelCode(fmt.Sprintf("m%d", i))
		must(t, c.AddModel(t.Context(), fleet.Model{Code: code}))
		if m, err := c.Model(code); err != nil || m.Code != code || len(c.decoded.known) > mostDecoded {
			t.Fatalf("%q, %v, %d are kept", m.Code, err, len(c.decoded.known))
		}
	}
}
