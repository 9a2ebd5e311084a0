package bundle_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

func TestAnArduinoBuildIsNamedByItsPapersOrByWhoHandsItIn(t *testing.T) {
	for _, test := range []struct {
		name            string
		arduino         bool
		papers, handed  string
		version, refuse string
	}{
		{name: "its papers", arduino: true, papers: "1.4.0", version: "1.4.0"},
		{name: "who hands it in", arduino: true, papers: "1.4.0", handed: "1.5.0", version: "1.5.0"},
		{name: "papers that say nothing", arduino: true, handed: "1.5.0", version: "1.5.0"},
		{name: "nobody", arduino: true, refuse: "gives every sketch the version \"esp-idf: v4.4.7 38eeba213a\": name this build with --version"},
		{name: "papers that say the core's", arduino: true, papers: "esp-idf: v4.4.7 38eeba213a", refuse: "name this build with --version"},
		{name: "an image that has a version", papers: "2.0.0", version: "1.0.0"},
		{name: "and that one is expected", papers: "1.0.0", handed: "1.0.0", version: "1.0.0"},
		{name: "and another one is expected", papers: "1.0.0", handed: "2.0.0", refuse: `the image says version "1.0.0", and not "2.0.0"`},
	} {
		c, err := firmware.Build{Code: "demo", Version: "1.0.0", Arduino: test.arduino}.Contents()
		if err != nil {
			t.Fatal(err)
		}
		c.Versions = []byte(`{"git_commit":"unknown","idf_version":"v5.4.2","firmware_version":"` + test.papers + `"}`)
		var zip bytes.Buffer
		if err := bundle.Pack(&zip, "demo", c); err != nil {
			t.Fatal(err)
		}
		b, err := bundle.Read(bytes.NewReader(zip.Bytes()), int64(zip.Len()), bundle.Expected{Code: "demo", Version: test.handed}, bundle.DefaultLimits)
		if test.refuse != "" {
			if err == nil || !strings.Contains(err.Error(), test.refuse) {
				t.Errorf("%s: %v, want %q", test.name, err, test.refuse)
			}
			continue
		}
		if err != nil || b.Version != test.version {
			t.Errorf("%s: %v, %v", test.name, b, err)
			continue
		}
		if warned := strings.Join(b.Warnings, "; "); test.arduino && strings.Contains(warned, "says version") {
			t.Errorf("%s: what every sketch does is warned of: %s", test.name, warned)
		}
	}
}
