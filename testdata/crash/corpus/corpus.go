// Package corpus is the project's own crashes with known causes: small programs (firmware/app/main), each in several
// builds, run in QEMU until they crashed. Of each there are the dump, the ELF and what GDB says of the two.
//
// The programs are written against ESP-IDF's functions, played by firmware/idf, in files where ESP-IDF has them. What a
// build has for its archive is made by recipe/ (`make corpus`); nothing of that is needed to read it.
package corpus

import (
	"archive/tar"
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Build is one way to build all programs.
type Build struct {
	Name     string
	Compiler string // "gcc" or "clang"
	Level    string // of optimisation, as the compilers spell it
	Paths    Paths
	Home     string // of whoever builds; "" where the paths are fixed
}

// Paths is whose source paths a build has.
type Paths string

// The sorts of paths.
const (
	Own          Paths = "own"          // ESP-IDF and the project below somebody's home
	Container    Paths = "container"    // ESP-IDF's container image
	Reproducible Paths = "reproducible" // CONFIG_APP_REPRODUCIBLE_BUILD
	PlatformIO   Paths = "platformio"
)

// Builds are all builds. A third and more have other paths than somebody's own.
var Builds = []Build{
	{"gcc-og", "gcc", "-Og", Own, "/home/dev/esp/esp-idf-v5.4.2"},
	{"gcc-o2", "gcc", "-O2", Own, "/home/anna/esp/master"},
	{"gcc-os", "gcc", "-Os", Own, "/Users/jo/.espressif/v5.5/esp-idf"},
	{"clang-og", "clang", "-Og", Own, "/home/dev/esp/esp-idf"},
	{"clang-o2", "clang", "-O2", Own, "/srv/ci/sdk/idf"},
	{"gcc-os-container", "gcc", "-Os", Container, ""},
	{"clang-os-reproducible", "clang", "-Os", Reproducible, ""},
	{"gcc-o2-platformio", "gcc", "-O2", PlatformIO, ""},
}

// Dump is one crash of one build.
type Dump struct {
	Build   Build
	Program string
	Bug     string // "a" or "b": a program can have two
	ELF     []byte
	Core    []byte // as a device uploads it
	GDB     []Task // what GDB says
}

// Cause names the bug, whatever the build.
func (d *Dump) Cause() string { return d.Program + "/" + d.Bug }

// Task is a task as GDB shows it.
type Task struct {
	TCB    uint32  `json:"tcb"`
	Frames []Frame `json:"frames"`
}

// Frame is a function as GDB shows it. File and Line are empty where GDB prints none.
type Frame struct {
	PC       string `json:"pc,omitempty"` // empty where GDB prints none: at the beginning of a line
	Function string `json:"function"`
	Args     []Arg  `json:"args,omitempty"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
}

// Arg is a parameter; the value is as GDB prints it.
type Arg struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

//go:embed builds
var archives embed.FS

// Read gives all dumps of a build, in the order of their names.
func Read(b Build) ([]Dump, error) {
	packed, err := archives.ReadFile("builds/" + b.Name + ".tar.zst")
	if err != nil {
		return nil, err
	}
	files, err := unpack(packed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name, err)
	}
	var out []Dump
	for _, f := range files {
		name, ok := strings.CutSuffix(f.name, ".core")
		if !ok {
			continue
		}
		program, bug, _ := strings.Cut(name, "-")
		d := Dump{Build: b, Program: program, Bug: bug, Core: f.data}
		if d.ELF = find(files, program+".elf"); d.ELF == nil {
			return nil, fmt.Errorf("%s: no ELF of %s", b.Name, f.name)
		}
		if err := json.Unmarshal(find(files, name+".json"), &d.GDB); err != nil {
			return nil, fmt.Errorf("%s: %s.json: %w", b.Name, name, err)
		}
		out = append(out, d)
	}
	return out, nil
}

type file struct {
	name string
	data []byte
}

func find(files []file, name string) []byte {
	for _, f := range files {
		if f.name == name {
			return f.data
		}
	}
	return nil
}

func unpack(packed []byte) ([]file, error) {
	z, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	var out []file
	for r := tar.NewReader(z); ; {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		out = append(out, file{head.Name, data})
	}
}

// Pack is the opposite of Read: what belongs into builds/. The dumps are of one build, those of one program together.
func Pack(dumps []Dump) ([]byte, error) {
	var files []file
	for i, d := range dumps {
		if i == 0 || dumps[i-1].Program != d.Program {
			files = append(files, file{d.Program + ".elf", d.ELF})
		}
		answers, err := json.MarshalIndent(d.GDB, "", " ")
		if err != nil {
			return nil, err
		}
		files = append(files, file{d.Program + "-" + d.Bug + ".core", d.Core}, file{d.Program + "-" + d.Bug + ".json", append(answers, '\n')})
	}
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(z)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.data)), Format: tar.FormatUSTAR}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
