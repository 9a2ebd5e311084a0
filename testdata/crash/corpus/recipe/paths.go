package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway-gateway/slipway/testdata/crash/corpus"
)

// toolchain is where Espressif's compiler for RISC-V was built: its libraries are the same for everybody.
const toolchain = "/builds/idf/crosstool-NG/.build/HOST-x86_64-linux-gnu/riscv32-esp-elf/src"

// paths is how a source is named to the compiler so that the ELF has the paths of another machine.
type paths struct {
	folder string // where the compiler runs
	name   string
	maps   []string
}

func (m *builder) paths(source string) paths {
	p := paths{folder: m.out, name: filepath.Join(m.source, source)}
	add := func(from, to string) { p.maps = append(p.maps, "-ffile-prefix-map="+from+"="+to) }
	idf, app := m.source+"/idf", m.source+"/app"
	switch m.Paths {
	case corpus.Own:
		home := m.Home[:strings.Index(m.Home[1:], "/")+1] + "/" + strings.Split(m.Home, "/")[2]
		add(m.out, home+"/press/build")
		add(app, home+"/press")
		add(idf, m.Home)
	case corpus.Container:
		add(m.out, "/project/build")
		add(app, "/project")
		add(idf, "/opt/esp/idf")
	case corpus.Reproducible:
		add(m.out, "/IDF_BUILD")
		add(app, "/IDF_PROJECT")
		add(idf, "/IDF")
		for _, folder := range []string{idf + "/components", app + "/components"} {
			entries, _ := os.ReadDir(folder) // a folder without entries has no components
			for _, e := range entries {
				add(filepath.Join(folder, e.Name()), "/COMPONENT_"+strings.ToUpper(e.Name())+"_DIR")
			}
		}
		add(app+"/main", "/COMPONENT_MAIN_DIR")
	case corpus.PlatformIO: // its compiler runs in the project, and is given the project's files by relative paths
		project := "/home/maria/Documents/PlatformIO/Projects/press"
		add(app+"/main", "src")
		add(app+"/components", "lib")
		add(idf, "/home/maria/.platformio/packages/framework-espidf")
		add(m.out, project)
	}
	add(m.source+"/toolchain", toolchain)
	return p
}
