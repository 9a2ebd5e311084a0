package catalog

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/sighting"
)

func linesOf(t *testing.T, c *Catalog) map[string]sighting.LineRecord {
	t.Helper()
	all := map[string]sighting.LineRecord{}
	must(t, c.EachLine(func(r sighting.LineRecord) error {
		all[r.Line] = r
		return nil
	}))
	return all
}

func TestALineIsStoredWithItsEventAndReplacedAsAWhole(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	large := bytes.Repeat([]byte("dev00001........"), 2048)
	hall := sighting.LineRecord{Line: "hall3", Since: noon, Silent: [][]byte{large, large, large, large, large, large, large, large}}
	network := sighting.LineRecord{Line: "10.1.2.0/24", Since: noon, Silent: [][]byte{[]byte("dev00002........")}}
	for _, r := range []sighting.LineRecord{hall, network} {
		must(t, c.SaveLine(t.Context(), r, &sighting.LineChange{Line: r.Line, Dark: true, Since: noon, Devices: 3}))
	}
	must(t, c.Close())
	c = open(t, dir)
	if got := linesOf(t, c); !reflect.DeepEqual(got, map[string]sighting.LineRecord{"hall3": hall, "10.1.2.0/24": network}) {
		t.Errorf("stored are %d lines", len(got))
	}
	hall.Silent = hall.Silent[:1]
	must(t, c.SaveLine(t.Context(), hall, nil))
	must(t, c.SaveLine(t.Context(), sighting.LineRecord{Line: "10.1.2.0/24"}, &sighting.LineChange{Line: "10.1.2.0/24", Since: noon, Devices: 3}))
	if got := linesOf(t, c); !reflect.DeepEqual(got, map[string]sighting.LineRecord{"hall3": hall}) {
		t.Errorf("one is smaller now and one is lit, and stored are %d lines", len(got))
	}
	page, err := c.Events(event.Filter{Kinds: []string{"line"}})
	must(t, err)
	if n := len(page.Events); n != 3 || page.Events[0].Kind != event.LineDark || page.Events[2].Kind != event.LineLit || page.Events[2].Object.ID != "10.1.2.0/24" {
		t.Errorf("%d events: %+v", n, page.Events)
	}
	if n, err := c.count(linePrefix); n != 2 || err != nil {
		t.Errorf("%d keys are left, %v", n, err)
	}
}
