package fleet

import (
	"strings"
	"testing"
)

// FuzzNames: what parses is safe as a file name, and takes itself apart as it was put together.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"iotdevice-pump-a1b2c3d4", "v1.0-56-g30082bf-dirty", "../x", "coredump_20260102T030405_000006Z", "1.0.0-rc.1+b"} {
		f.Add(s, "1.0.0")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if model, key, err := ParseClientID(a); err == nil && ClientID(model, key) != a {
			t.Errorf("client id %q is %q and %q", a, model, key)
		}
		if n, err := ParseDumpName(a); err == nil {
			if at, err := n.Time(); err != nil || NewDumpName(at) != n {
				t.Errorf("dump name %q is %v, %v", a, at, err)
			}
		}
		if alias, err := ParseAlias(a); err == nil && (string(alias) != a || strings.ContainsAny(a, " /\x00\n")) {
			t.Errorf("alias %q", a)
		}
		x, errX := ParseVersion(a)
		y, errY := ParseVersion(b)
		if errX != nil || errY != nil {
			return
		}
		if strings.ContainsAny(a, "/\\\x00") || strings.HasPrefix(a, ".") {
			t.Errorf("version %q leaves its directory", a)
		}
		sign, decided := CompareVersions(x, y)
		back, decidedBack := CompareVersions(y, x)
		if sign != -back || decided != decidedBack {
			t.Errorf("%q and %q: %d, %v one way, %d, %v the other", a, b, sign, decided, back, decidedBack)
		}
	})
}
