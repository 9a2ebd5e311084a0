//go:build component

package main

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// riscv are the compilers for a device's processor, by the name that the README gives them.
var riscv = map[string][]string{
	"clang": {"clang", "--target=riscv32-unknown-elf", "-march=rv32imc"},
	"gcc":   {"riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32"},
}

// idfVersions are those whose headers differ in something that the component sees, and the last one.
var idfVersions = []int{501, 503, 505, 600}

// TestTheComponentCompilesForRISCV, the example too, without a warning, and takes as much flash and RAM as its README says.
func TestTheComponentCompilesForRISCV(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(clientDir, "esp-idf", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range riscv {
		var flash, ram uint64
		for _, idf := range idfVersions {
			flash, ram = compileForRISCV(t, name, idf, "slipway.c")
			compileForRISCV(t, name, idf, "examples/press/main/main.c")
		}
		t.Logf("figure: component for ESP-IDF, %s, rv32imc, -Os: %d bytes of flash, %d of RAM", name, flash, ram)
		row := regexp.MustCompile(`\| ` + name + `, rv32imc, -Os \| ([\d,]+) \| ([\d,]+) \|`).FindSubmatch(readme)
		if row == nil {
			t.Fatalf("the README says nothing of %s", name)
		}
		for i, got := range []uint64{flash, ram} {
			said, err := strconv.ParseUint(regexp.MustCompile(`,`).ReplaceAllString(string(row[i+1]), ""), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if got > said+said/20 || got < said-said/20 {
				t.Errorf("%s: the README says %d bytes, and it is %d", name, said, got)
			}
		}
	}
}

// compileForRISCV compiles a source against the stubs of one version of ESP-IDF, and counts what it takes in a device.
func compileForRISCV(t *testing.T, name string, idf int, source string) (flash, ram uint64) {
	t.Helper()
	object := filepath.Join(t.TempDir(), "object.o")
	cc := riscv[name]
	args := slices.Concat(cc[1:], []string{"-std=c11", "-ffreestanding", "-Wall", "-Wextra", "-Werror", "-Os", fmt.Sprintf("-DSTUB_IDF=%d", idf)})
	for _, include := range []string{"libc", "stub", "esp-idf"} {
		args = append(args, "-I"+filepath.Join(clientDir, include))
	}
	args = append(args, "-c", filepath.Join(clientDir, "esp-idf", source), "-o", object)
	if out, err := exec.Command(compiler(t, cc[0]), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s, ESP-IDF %d: %v\n%s", name, idf, err, out)
	}
	f, err := elf.Open(object)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for _, s := range f.Sections {
		switch {
		case s.Flags&elf.SHF_ALLOC == 0:
		case s.Type == elf.SHT_NOBITS:
			ram += s.Size
		case s.Flags&elf.SHF_WRITE != 0: // it is copied into RAM at the start
			ram += s.Size
			flash += s.Size
		default:
			flash += s.Size
		}
	}
	return flash, ram
}
