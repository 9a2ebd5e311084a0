package buildfolder

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// What the build systems write about a build.
const (
	aboutName   = "project_description.json" // ESP-IDF, also below PlatformIO
	flasherName = "flasher_args.json"        // ESP-IDF
	optionsName = "build.options.json"       // arduino-cli, in its cache

	mostPaper = 8 << 20 // bytes of one of them: a description lists all components
)

// description is what is read of ESP-IDF's two papers.
type description struct {
	ProjectName string `json:"project_name"`
	ProjectPath string `json:"project_path"`
	BuildDir    string `json:"build_dir"`
	ConfigFile  string `json:"config_file"`
	GitRevision string `json:"git_revision"` // of ESP-IDF
	AppBin      string `json:"app_bin"`
	AppELF      string `json:"app_elf"`
	App         struct {
		File string `json:"file"`
	} `json:"app"` // flasher_args.json
}

func describe(folder string) (d description) {
	read(filepath.Join(folder, flasherName), &d)
	read(filepath.Join(folder, aboutName), &d)
	if d.AppBin == "" && d.ProjectName != "" {
		d.AppBin = d.ProjectName + ".bin"
	}
	if d.AppELF == "" && d.ProjectName != "" {
		d.AppELF = d.ProjectName + ".elf"
	}
	return d
}

// find is a file that the description names. A build may have been made elsewhere, as in a container.
func (d description) find(folder, name string) string {
	if name == "" {
		return ""
	}
	name = filepath.FromSlash(name)
	if filepath.IsAbs(name) {
		return first(name, filepath.Join(folder, filepath.Base(name)))
	}
	return first(filepath.Join(folder, name), filepath.Join(d.BuildDir, name), filepath.Join(folder, filepath.Base(name)))
}

// options is what is read of arduino-cli's paper.
type options struct {
	Sketch string `json:"sketchLocation"`
	FQBN   string `json:"fqbn"`
}

func readOptions(folder string) (o options) {
	read(filepath.Join(folder, optionsName), &o)
	return o
}

// board is the name of the folder into which the build would be exported.
func (o options) board() string {
	parts := strings.Split(o.FQBN, ":")
	return strings.Join(parts[:min(len(parts), 3)], ".")
}

// read fills in what a paper says; of one that cannot be read it is nothing.
func read(path string, into any) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostPaper))
	if err == nil {
		_ = json.Unmarshal(text, into)
	}
}
