package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/page"
)

func TestTheBillNamesTheLibrariesOfThePageBesideTheModules(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sbom.json")
	if err := os.WriteFile(file, []byte(`{"bomFormat":"CycloneDX","components":[{"name":"a module"}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{file}); err != nil {
		t.Fatal(err)
	}
	bill, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	wants := []string{`"name": "a module"`, `"bomFormat": "CycloneDX"`}
	for _, l := range page.Libraries {
		wants = append(wants, "pkg:npm/"+l.Name+"@"+l.Version, l.Files[0].SHA256, `"id": "`+l.Licence+`"`)
	}
	for _, want := range wants {
		if !strings.Contains(string(bill), want) {
			t.Errorf("without %s:\n%s", want, bill)
		}
	}
	for _, bad := range []string{"", "{}", `{"components":1}`} {
		if _, err := extend([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a bill", bad)
		}
	}
}
