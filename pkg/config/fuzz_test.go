package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever the file says: settings that are good, or one line that names the file or the key, and never both.
func FuzzLoad(f *testing.F) {
	text, err := os.ReadFile(commentedFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text), "dumps.max_use=10%")
	f.Add(strings.ReplaceAll(string(text), "#", ""), `provisioning.extra={"a":"b"}`)
	f.Add("provisioning:\n  extra:\n    a.b: c\n    1: d\n", "provisioning.extra.a=b")
	f.Add("auth:\n  issuers:\n  - {issuer: a, jwks_url: 'http://a/', audience: b}\n", "auth.token_paths=[]")
	f.Add("listen.http: off\nlisten: {http: ':1'}\n", "listen.http=[::1]:1,:2")
	f.Add("a: &a [*a]\n", "x")
	path := filepath.Join(f.TempDir(), "slipway.yaml")
	f.Fuzz(func(t *testing.T, yaml, set string) {
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(Options{File: path, Sets: []string{set}})
		var wrong *Error
		switch {
		case err == nil && len(c.Values()) != len(Settings):
			t.Errorf("%d values of %d settings", len(c.Values()), len(Settings))
		case err != nil && (!errors.As(err, &wrong) || len(c.Values()) != 0):
			t.Errorf("%v, with %d values", err, len(c.Values()))
		case err != nil && strings.Contains(wrong.Reason, "\n"):
			t.Errorf("more than one line: %q", err)
		}
	})
}
