package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-gateway/slipway/testdata/crash/corpus"
	"github.com/slipway-gateway/slipway/testdata/crash/taking"
)

const (
	firmware = "firmware"
	cross    = "riscv64-unknown-elf-"
)

// arch is the ESP32-C3's; clang 14 has the control registers in its base and does not know their name.
func (m *builder) arch() string {
	if m.Compiler == "clang" {
		return "rv32imc"
	}
	return gccArch
}

const gccArch = "rv32imc_zicsr"

// bugs are the programs that have two: what differs is who calls.
var bugs = map[string]int{
	"assert_recipe": 2, "error_check": 2, "null_callback": 2, "list_uaf": 2, "deadlock": 2, "throw_range": 2,
	"lambda_scan": 2, "ring": 2, "double_free": 2, "null_object": 2, "heap_corrupt": 2, "null_queue": 2, "rom_copy": 2,
}

// builder builds the programs in a folder of its own, which no path in an ELF names.
type builder struct {
	corpus.Build
	source string // the folder firmware
	out    string
}

func makeBuild(b corpus.Build) ([]corpus.Dump, error) {
	source, err := filepath.Abs(firmware)
	if err != nil {
		return nil, err
	}
	out, err := os.MkdirTemp("", "corpus")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(out)
	m := builder{Build: b, source: source, out: out}
	shared, err := m.sources("idf", "toolchain", "app/components")
	if err != nil {
		return nil, err
	}
	programs, err := m.sources("app/main")
	if err != nil {
		return nil, err
	}
	if err := m.compileAll(append(shared, programs...)); err != nil {
		return nil, err
	}
	rom, err := m.rom()
	if err != nil {
		return nil, err
	}
	var dumps []corpus.Dump
	for _, p := range programs {
		elf, err := m.link(p, shared)
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(filepath.Base(p), filepath.Ext(p))
		for bug := range max(1, bugs[name]) {
			dumps = append(dumps, corpus.Dump{Build: b, Program: name, Bug: string(rune('a' + bug)), ELF: elf})
		}
	}
	return dumps, m.run(dumps, rom)
}

// sources are the files below folders of firmware, relative to it.
func (m *builder) sources(folders ...string) ([]string, error) {
	var out []string
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(m.source, folder), func(path string, d os.DirEntry, err error) error {
			if ext := filepath.Ext(path); err == nil && (ext == ".c" || ext == ".cpp" || ext == ".cc" || ext == ".S") {
				rel, _ := filepath.Rel(m.source, path) // both are absolute
				out = append(out, rel)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	sort.Strings(out)
	return out, nil
}

func (m *builder) object(source string) string {
	return filepath.Join(m.out, strings.ReplaceAll(source, "/", "_")+".o")
}

func (m *builder) compileAll(sources []string) error {
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, s := range sources {
		group.Go(func() error { return m.compile(s) })
	}
	return group.Wait()
}

func (m *builder) compile(source string) error {
	paths := m.paths(source)
	cxx := strings.HasSuffix(source, ".cpp") || strings.HasSuffix(source, ".cc")
	tool := cross + "gcc"
	var args []string
	switch {
	case m.Compiler == "clang":
		tool = "clang"
		args = append(args, "--target=riscv32-unknown-elf", "-mno-relax") // its linker cannot relax
	case cxx:
		tool = cross + "g++"
	}
	args = append(args, "-march="+m.arch(), "-mabi=ilp32", m.Level, "-Wall", "-Wextra", "-Werror",
		"-ffreestanding", "-fno-common", "-ffunction-sections", "-fdata-sections", "-fno-asynchronous-unwind-tables",
		"-msmall-data-limit=0", "-fstack-protector-strong")
	if m.Compiler == "gcc" {
		args = append(args, "-fno-tree-loop-distribute-patterns")
	}
	if !strings.HasSuffix(source, ".S") { // clang's assembler would name the folders of this machine
		args = append(args, "-g", "-gdwarf-5")
	}
	if cxx {
		args = append(args, "-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics")
	}
	args = append(args, paths.maps...)
	args = append(args, "-I"+filepath.Join(m.source, "idf/components/include"), "-I"+filepath.Join(m.source, "app/components/plant"),
		"-I"+filepath.Join(m.source, "app/components/uplink"), "-c", paths.name, "-o", m.object(source))
	return m.call(paths.folder, tool, args...)
}

func (m *builder) link(program string, shared []string) ([]byte, error) {
	elf := filepath.Join(m.out, filepath.Base(program)+".elf")
	args := []string{"-T", filepath.Join(m.source, "board/app.ld"), "--gc-sections", "-o", elf, m.object(program)}
	for _, s := range shared {
		args = append(args, m.object(s))
	}
	tool, extra := cross+"ld", []string{"-m", "elf32lriscv", "--no-warn-rwx-segments"}
	if m.Compiler == "clang" {
		tool, extra = "ld.lld", nil
	}
	if err := m.call(m.out, tool, append(extra, args...)...); err != nil {
		return nil, err
	}
	return os.ReadFile(elf)
}

func (m *builder) rom() (string, error) {
	object, elf := filepath.Join(m.out, "rom.o"), filepath.Join(m.out, "rom.elf")
	if err := m.call(m.out, cross+"gcc", "-march="+gccArch, "-mabi=ilp32", "-c", filepath.Join(m.source, "board/rom.S"), "-o", object); err != nil {
		return "", err
	}
	return elf, m.call(m.out, cross+"ld", "-m", "elf32lriscv", "-Ttext=0x80800000", "-e", "memcpy", object, "-o", elf)
}

// run takes a dump of each, each with the bug that is its own.
func (m *builder) run(dumps []corpus.Dump, rom string) error {
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i := range dumps {
		group.Go(func() (err error) {
			d := &dumps[i]
			elf := filepath.Join(m.out, d.Program+"-"+d.Bug+".elf")
			if err := os.WriteFile(elf, d.ELF, 0o600); err != nil {
				return err
			}
			options := taking.Options{ROM: rom}
			if bugs[d.Program] > 1 { // the linker has left the variable out elsewhere
				options.Words = map[string]uint32{"chosen_bug": uint32(d.Bug[0] - 'a')}
			}
			if d.Core, err = taking.Run(elf, options); err != nil {
				return fmt.Errorf("%s does not crash: %w", d.Cause(), err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (m *builder) call(folder, tool string, args ...string) error {
	command := exec.Command(tool, args...)
	command.Dir = folder
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	return nil
}
