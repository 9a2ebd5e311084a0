package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAListPrintsEverythingPageByPageUnlessALimitIsAskedFor(t *testing.T) {
	g := startGateway(t)
	g.cli("model", "add", "pump")
	const n = 2103 // two whole pages and a bit
	var csv strings.Builder
	for i := range n {
		fmt.Fprintf(&csv, "pump,%08d,,<name> %d\n", i, i)
	}
	file := filepath.Join(t.TempDir(), "devices.csv")
	if err := os.WriteFile(file, []byte(csv.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	g.cli("device", "import", file)
	for _, test := range []struct {
		flags []string
		want  int
		more  bool
	}{{nil, n, false}, {[]string{"--limit", "1100"}, 1100, true}, {[]string{"--limit", "1000"}, 1000, true}, {[]string{"--limit", "5000"}, n, false}} {
		var listed struct {
			Devices []struct {
				Key  string `json:"device_key"`
				Name string
			}
			Next *string
		}
		g.cliJSON(&listed, append([]string{"device", "list"}, test.flags...)...)
		if len(listed.Devices) != test.want || (listed.Next != nil) != test.more {
			t.Errorf("%v: %d devices, next %v; want %d", test.flags, len(listed.Devices), listed.Next, test.want)
		}
		for i, d := range listed.Devices {
			if d.Key != fmt.Sprintf("%08d", i) || d.Name != fmt.Sprintf("<name> %d", i) {
				t.Fatalf("%v: row %d is %+v", test.flags, i, d)
			}
		}
	}
	if text := g.cli("device", "list"); strings.Count(text, "\n") != n+1 {
		t.Errorf("%d lines of text", strings.Count(text, "\n"))
	}
}
