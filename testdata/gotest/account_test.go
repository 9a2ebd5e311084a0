package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// module makes one of a few packages that pass, skip, fail and do not compile.
func module(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module github.com/slipway-gateway/slipway\n"
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func testFile(body string) string {
	return "package a\n\nimport \"testing\"\n\n" + body
}

func runIn(t *testing.T, dir string) (int, string) {
	t.Helper()
	t.Chdir(dir)
	var out strings.Builder
	code, err := run([]string{"go", "./..."}, &out)
	if err != nil {
		t.Fatal(err)
	}
	return code, out.String()
}

func wantIn(t *testing.T, out string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("nothing says %q:\n%s", w, out)
		}
	}
}

func TestWhatWasSkippedIsSaidWithItsReasonAfterThePackages(t *testing.T) {
	code, out := runIn(t, module(t, map[string]string{
		"pkg/one/one_test.go": testFile(`
func TestPasses(t *testing.T) { t.Log("unheard"); t.Log("figure: precision 0.99") }
func TestSkips(t *testing.T) { t.Log("looking"); t.Skip("no fixtures here") }
func TestSkipsToo(t *testing.T) { t.Run("part", func(t *testing.T) { t.Skip("no fixtures here") }) }
`),
		"pkg/two/two_test.go": testFile("func TestNow(t *testing.T) { t.SkipNow() }\n"),
		"pkg/none/none.go":    "package none\n",
	}))
	if code != 0 || strings.Contains(out, "unheard") {
		t.Errorf("it ends with %d:\n%s", code, out)
	}
	wantIn(t, out, "ok  \tgithub.com/slipway-gateway/slipway/pkg/one\t", "[no test files]", "\nprecision 0.99\n",
		"5 tests ended, 3 of them were skipped:\n", "     2 in pkg/one: no fixtures here\n", "     1 in pkg/two: no reason is given\n")
}

func TestAFailureIsPrintedAndEndsAsGoTestDoes(t *testing.T) {
	code, out := runIn(t, module(t, map[string]string{
		"pkg/one/one_test.go":   testFile("func TestFails(t *testing.T) { t.Run(\"part\", func(t *testing.T) { t.Error(\"the reason\") }) }\n"),
		"pkg/two/two_test.go":   testFile("func TestDies(t *testing.T) { panic(\"at once\") }\n"),
		"pkg/none/none_test.go": testFile("func TestIsNotBuilt(t *testing.T) { undefined() }\n"),
	}))
	if code != 1 {
		t.Errorf("it ends with %d:\n%s", code, out)
	}
	wantIn(t, out, "--- FAIL: TestFails/part", "the reason", "FAIL\tgithub.com/slipway-gateway/slipway/pkg/one\t", "panic: at once",
		"FAIL\tgithub.com/slipway-gateway/slipway/pkg/two\t", "undefined: undefined", "FAIL\tgithub.com/slipway-gateway/slipway/pkg/none [build failed]",
		"none was skipped")
}

func TestTheSlowestTestsAreSaid(t *testing.T) {
	var out strings.Builder
	a := newAccount(&out)
	for _, e := range []event{
		{Action: "pass", Package: "x/y", Test: "TestQuick", Elapsed: 1.9}, {Action: "pass", Package: "x/y", Test: "TestSlow", Elapsed: 2.5},
		{Action: "fail", Package: "x/z", Test: "TestSlowest", Elapsed: 30}, {Action: "pass", Package: "x/y", Test: "TestSlow/part", Elapsed: 2.4},
		{Action: "pass", Package: "x/y", Elapsed: 60},
	} {
		a.note(e)
	}
	a.end()
	if want := "  30.0 s: TestSlowest of z\n   2.5 s: TestSlow of y\n4"; !strings.HasPrefix(out.String(), want) {
		t.Errorf("%s", out.String())
	}
}
