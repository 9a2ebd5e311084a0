package buildfolder

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// place is a folder that holds a build.
type place struct {
	folder    string
	name      string
	sketch    string // of the cache of arduino-cli: where the sketch is
	preferred bool   // it is what was named, or ESP-IDF's usual one
}

// places are the builds that a folder leads to, the preferred one first.
func places(dir string) []place {
	var all []place
	add := func(folder, name string, preferred bool) {
		if !holds(folder) || slices.ContainsFunc(all, func(p place) bool { return p.folder == folder }) {
			return
		}
		p := place{folder: folder, name: name, preferred: preferred}
		if options := readOptions(folder); options.Sketch != "" {
			p.sketch = options.Sketch
			if board := options.board(); board != "" {
				p.name = board
			}
		}
		all = append(all, p)
	}
	own, err := filepath.Abs(dir)
	if err != nil {
		own = dir
	}
	add(dir, filepath.Base(own), isKnown(dir))
	if build := filepath.Join(dir, "build"); isIDF(build) {
		add(build, "build", true)
	}
	for _, pattern := range []string{
		"*", "build/*", ".pio/build/*", ".pioenvs/*", ".esphome/build/*/.pioenvs/*", "build/*/.pioenvs/*", "*/.pioenvs/*",
	} {
		for _, folder := range matches(dir, pattern) {
			add(folder, filepath.Base(folder), false)
		}
	}
	if len(matches(dir, "*.ino")) > 0 {
		for _, folder := range cached() {
			if sketch := readOptions(folder).Sketch; sketch != "" && sameFolder(sketch, dir) {
				add(folder, filepath.Base(folder), false)
			}
		}
	}
	return all
}

// root is the folder of the project that a build is of.
func (p place) root() string {
	up := func(n int) string {
		return filepath.Join(append([]string{p.folder}, slices.Repeat([]string{".."}, n)...)...)
	}
	parent := filepath.Base(up(1))
	switch {
	case p.sketch != "":
		return p.sketch
	case parent == ".pioenvs":
		return up(2)
	case parent == "build" && filepath.Base(up(2)) == ".pio":
		return up(3)
	case parent == "build" && len(matches(up(2), "*.ino")) > 0:
		return up(2)
	}
	return up(1)
}

// holds reports that an application lies in a folder.
func holds(folder string) bool { return isKnown(folder) || len(pairs(folder)) > 0 }

// isKnown reports that a folder is where one of the build systems lays an application, if nobody gives it another name.
func isKnown(folder string) bool {
	return isIDF(folder) || isFile(filepath.Join(folder, "firmware.bin")) || len(matches(folder, "*.ino.bin")) > 0
}

func isIDF(folder string) bool {
	return isFile(filepath.Join(folder, aboutName)) || isFile(filepath.Join(folder, flasherName))
}

// cached are the folders in which the Arduino IDE and arduino-cli build, and from which they export only when asked to.
func cached() []string {
	home, _ := os.UserHomeDir()
	var all []string
	for _, at := range []struct{ dir, pattern string }{
		{os.TempDir(), "arduino/sketches/*"},                        // both, until arduino-cli 1.0
		{os.TempDir(), "arduino_build_*"},                           // the IDE 1
		{home, ".cache/arduino/sketches/*"},                         // arduino-cli 1.0 and the IDE 2.3 on Linux,
		{home, "Library/Caches/arduino/sketches/*"},                 // macOS,
		{os.Getenv("LOCALAPPDATA"), "arduino/sketches/*"},           // and Windows
		{os.Getenv("XDG_CACHE_HOME"), "arduino/sketches/*"},         //
		{os.Getenv("ARDUINO_BUILD_CACHE_PATH"), "sketches/*"},       // where its settings say so
		{os.Getenv("ARDUINO_DIRECTORIES_BUILDCACHE"), "sketches/*"}, //
	} {
		if at.dir != "" {
			all = append(all, matches(at.dir, at.pattern)...)
		}
	}
	return all
}

// matches are the paths below a folder that a pattern matches. The folder's own name is no pattern.
func matches(dir, pattern string) []string {
	found, err := filepath.Glob(filepath.Join(escape(dir), pattern))
	if err != nil {
		return nil
	}
	return found
}

// escape keeps a folder's name from being a pattern.
func escape(dir string) string {
	if os.PathSeparator == '\\' { // where patterns have no escape
		return dir
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func sameFolder(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// first is the first of the files that is there, else "".
func first(candidates ...string) string {
	for _, c := range candidates {
		if c != "" && isFile(c) {
			return c
		}
	}
	return ""
}
