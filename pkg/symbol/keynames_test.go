package symbol

import (
	"bytes"
	"debug/elf"
	"os"
	"slices"
	"testing"
)

func TestFunctionsAreQualifiedTheSameWhicheverCompilerItWas(t *testing.T) {
	want := []string{
		"main",
		"motor::(anonymous namespace)::hidden",
		"motor::Local::go",
		"motor::Local::go()::In::call",
		"motor::Pump::each<{lambda}>",
		"motor::Pump::run",
		"motor::Pump::run::{lambda#1}",
		"motor::Pump::run::{lambda#2}",
		"motor::Pump::run::{lambda#2}::{lambda#1}",
		"motor::Pump::run::{lambda#3}",
		"motor::Pump::run::{lambda#4}",
		"motor::{lambda#1}",
		"panic_abort",
	}
	for _, build := range []string{"gcc-Og", "gcc-O2", "clang-Og", "clang-O2"} {
		var got []string
		for _, f := range everyFrame(built(t, "lambdas-"+build)) {
			got = append(got, f.Qualified)
			if f.DeclFile != "/src/pump/lambdas.cpp" {
				t.Errorf("%s: %s is declared in %q", build, f.Qualified, f.DeclFile)
			}
		}
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("%s: %q", build, got)
		}
	}
}

func TestALambdaIsNumberedByWhereItIsWritten(t *testing.T) {
	lambda := func(line int) *node {
		return tree(tagClass, at(attrDeclLine, formData1, line), tree(tagSubprogram, named("operator()"), at(attrDeclaration, formData1, 1)))
	}
	second, first := lambda(20), lambda(10)
	w := &dwarfWriter{version: 4, root: code(tagCompileUnit, 0x1000, 0x100, at(attrLanguage, formData1, 0x21),
		code(tagSubprogram, 0x1000, 0x10, named("run"), tree(tagLexicalBlock, second), first),
		code(tagSubprogram, 0x1010, 0x10, ref(attrSpecification, second.children[0])),
		code(tagSubprogram, 0x1020, 0x10, ref(attrSpecification, first.children[0])))}
	x := openBytes(t, w.elf().bytes())
	for pc, want := range map[uint32]string{0x1010: "run::{lambda#2}", 0x1020: "run::{lambda#1}"} {
		if f := x.Frames(pc); len(f) != 1 || f[0].Qualified != want || f[0].Function != "operator()" {
			t.Errorf("%#x: %+v", pc, f)
		}
	}
}

func TestALambdaAmongTemplateArgumentsIsOneWord(t *testing.T) {
	for name, want := range map[string]string{
		"each<motor::Pump::run(int)::<lambda(int)> >":               "each<{lambda}>",
		"each<(lambda at /src/lambdas.cpp:5:12)>":                   "each<{lambda}>",
		"pair<int, run(void (*)(int))::<lambda(void (*)(int))>, 3>": "pair<int, {lambda}, 3>",
		"each<(lambda at /src/broken":                               "each<{lambda}",
		"each<std::vector<std::pair<int, int> > >":                  "each<std::vector<std::pair<int, int>>>",
	} {
		if got := withoutLambdas(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestOriginSaysWhereAFunctionWasCompiled(t *testing.T) {
	x := built(t, "lambdas-gcc-Og")
	want := Origin{Unit: "/src/pump/lambdas.cpp", Directory: "/src/pump", DeclFile: "/src/pump/lambdas.cpp"}
	if o, ok := x.Origin("panic_abort"); !ok || o != want {
		t.Errorf("%+v", o)
	}
	if o, ok := x.Origin("nobody"); ok {
		t.Errorf("%+v", o)
	}
}

func TestWhatEnclosesAFunctionIsLookedForOnce(t *testing.T) {
	raw, err := os.ReadFile("../../testdata/crash/crash.elf")
	if err != nil {
		t.Fatal(err)
	}
	x, err := Open(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	file, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	first, again := 0, 0
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) != elf.STT_FUNC {
			continue
		}
		pc := uint32(s.Value)
		named := x.Frames(pc)
		first += maxEffort - x.effort
		if once := x.Frames(pc); !slices.Equal(named, once) {
			t.Errorf("%s: %+v, then %+v", s.Name, named, once)
		}
		again += maxEffort - x.effort
	}
	// What is left is asked for each time: the function at an address, the calls inlined there.
	if first == 0 || again*10 > first*9 {
		t.Errorf("%d steps for all functions, %d for all once more", first, again)
	}
	t.Logf("%d steps for all functions, %d for all once more", first, again)
}
