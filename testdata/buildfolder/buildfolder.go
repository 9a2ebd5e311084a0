// Package buildfolder is build folders as the build systems lay them out, made by hand from their documents, each in a txtar
// archive with its source: for tests that hand in what lies there.
package buildfolder

import (
	"bytes"
	"embed"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/txtar"

	"github.com/slipway-gateway/slipway/testdata/crash"
)

//go:embed *.txtar
var archives embed.FS

// Layout is one build system's folder.
type Layout struct {
	Name     string
	Folder   string // below the project's, that is handed in
	Env      string // which of several builds is the right one
	Version  string // that an Arduino build is given
	Git      bool   // git says the version
	Arduino  bool   // the image has the descriptor of the Arduino core
	Settings string // a line of the sdkconfig that is to be found
	files    []txtar.File
}

// Layouts are all, by name.
func Layouts() ([]Layout, error) {
	entries, err := archives.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var all []Layout
	for _, e := range entries {
		text, err := archives.ReadFile(e.Name())
		if err != nil {
			return nil, err
		}
		a := txtar.Parse(text)
		l := Layout{Name: strings.TrimSuffix(e.Name(), ".txtar"), Folder: ".", files: a.Files}
		for line := range strings.Lines(string(a.Comment)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch key {
			case "folder":
				l.Folder = value
			case "env":
				l.Env = value
			case "version":
				l.Version = value
			case "settings":
				l.Settings = value
			case "git":
				l.Git = true
			case "arduino":
				l.Arduino = true
			}
		}
		all = append(all, l)
	}
	return all, nil
}

// Lay lays the folder of a build, and other builds that are not meant beside it: the project's below folder, the user's and the
// temporary files below home and temporary.
func (l Layout) Lay(folder, home, temporary, version string, b, other crash.Build) error {
	bootloader := append([]byte{0xE9, 3, 2, 0x20}, bytes.Repeat([]byte{0x5A}, 508)...)
	contents := map[string][]byte{
		"{{image}}": b.Image, "{{elf}}": b.ELF, "{{other image}}": other.Image, "{{other elf}}": other.ELF,
		"{{bootloader}}": bootloader, "{{factory}}": append(bootloader, b.Image...),
	}
	text := strings.NewReplacer("{{folder}}", folder, "{{version}}", version)
	for _, f := range l.files {
		data, ok := contents[strings.TrimSpace(string(f.Data))]
		if !ok {
			data = []byte(text.Replace(string(f.Data)))
		}
		path := filepath.Join(folder, f.Name)
		if name, ok := strings.CutPrefix(f.Name, "HOME/"); ok {
			path = filepath.Join(home, name)
		} else if name, ok := strings.CutPrefix(f.Name, "TMP/"); ok {
			path = filepath.Join(temporary, name)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
