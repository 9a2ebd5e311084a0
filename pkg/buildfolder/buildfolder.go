// Package buildfolder finds the files of one firmware build where its build system has left them, and makes a bundle of them:
// for the command line. The upload scripts (package operator) look in the same places, and a test holds them to that.
//
// It knows these layouts; NAME is what --env calls a build:
//
//	ESP-IDF      any folder with project_description.json or flasher_args.json      the folder's name
//	PlatformIO   PROJECT/.pio/build/NAME/firmware.bin and .elf, for both frameworks
//	Arduino      SKETCH/build/NAME/SKETCH.ino.bin and .elf, NAME is esp32.esp32.BOARD; the cache of arduino-cli and the IDE
//	ESPHome      .esphome/build/NAME/.pioenvs/NAME/firmware.bin and .elf
//
// Sources: the build systems' own documents, and platform.txt of the Arduino core for what it lays where. What a build did not
// keep is made, as far as the bundle's rules allow: a map, an sdkconfig with nothing but the chip, version.json.
package buildfolder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/espimage"
)

// Build is the files of one build. Paths are as good as the folder's that they were found in.
type Build struct {
	Name   string // of the environment, the board or the folder
	Folder string // where image and ELF lie
	Root   string // the project's, where its sources are

	Image, ELF string
	Map        string // "" where none was kept
	Settings   string // its sdkconfig; "" where there is none

	App        espimage.App // of the image
	Target     string       // the image's chip as ESP-IDF spells it, "" for one that is not known
	IDFVersion string
}

// Find finds the build in a folder: the project's, the build's, or one between. env names one of several, "" for the only one.
func Find(dir, env string) (Build, error) {
	found, err := choose(dir, env)
	if err != nil {
		return Build{}, err
	}
	b := Build{Name: found.name, Folder: found.folder, Root: found.root()}
	about := describe(b.Folder)
	if b.Image, b.ELF, err = pick(b.Folder, about); err != nil {
		return Build{}, err
	}
	if err := b.readImage(); err != nil {
		return Build{}, err
	}
	if b.IDFVersion = about.GitRevision; b.IDFVersion == "" {
		b.IDFVersion = b.App.IDFVersion
	}
	stem := strings.TrimSuffix(b.ELF, ".elf")
	b.Map = first(append([]string{stem + ".map", filepath.Join(b.Folder, about.ProjectName+".map"), strings.TrimSuffix(b.Image, ".bin") + ".map"},
		matches(b.Folder, "*.map")...)...)
	b.Settings = settings(b, about, dir)
	return b, nil
}

func (b *Build) readImage() error {
	f, err := os.Open(b.Image)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	head, app, err := espimage.ReadDescriptor(f, info.Size())
	if err != nil {
		return fmt.Errorf("%s: %w", b.Image, err)
	}
	b.App, b.Target = app, head.ChipID.Target()
	return nil
}

// choose is the folder that was named, its build/ of ESP-IDF, or the only one below it; with env the one of that name.
func choose(dir, env string) (place, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return place{}, fmt.Errorf("%s is no folder", dir)
	}
	all := places(dir)
	if env != "" {
		at := slices.IndexFunc(all, func(p place) bool { return p.name == env || p.name == strings.ReplaceAll(env, ":", ".") })
		if at < 0 {
			return place{}, fmt.Errorf("%s has no build %q%s", dir, env, known(all))
		}
		return all[at], nil
	}
	if len(all) > 0 && all[0].preferred {
		return all[0], nil
	}
	switch len(all) {
	case 0:
		return place{}, fmt.Errorf("%s has no build: run idf.py build, pio run, esphome compile or arduino-cli compile --export-binaries first, "+
			"or name the folder in which the .bin and the .elf lie", dir)
	case 1:
		return all[0], nil
	}
	return place{}, fmt.Errorf("%s has several builds%s: name one with --env", dir, known(all))
}

// known names the builds that there are.
func known(all []place) string {
	if len(all) == 0 {
		return ""
	}
	const most = 8
	var names []string
	for _, p := range all[:min(len(all), most)] {
		names = append(names, p.name)
	}
	if len(all) > most {
		names = append(names, "…")
	}
	return " (there are " + strings.Join(names, ", ") + ")"
}

// errNoELF is a build whose ELF was not kept.
var errNoELF = errors.New("without it no core dump of this build can be read: build it again and keep the .elf")

// pick finds image and ELF: those that the description names, or else the only pair of one name. A bootloader, a partition table
// and what is flashed whole (firmware.factory.bin, NAME.ino.merged.bin) have no ELF of their name here.
func pick(folder string, about description) (image, elf string, err error) {
	for _, named := range [][2]string{
		{about.AppBin, about.AppELF},
		{about.App.File, strings.TrimSuffix(about.App.File, ".bin") + ".elf"},
		{"firmware.bin", "firmware.elf"},
	} {
		image, elf = about.find(folder, named[0]), about.find(folder, named[1])
		if image != "" && elf != "" {
			return image, elf, nil
		}
	}
	switch found := pairs(folder); len(found) {
	case 0:
		return "", "", lacks(folder, about)
	case 1:
		return found[0] + ".bin", found[0] + ".elf", nil
	default:
		return "", "", fmt.Errorf("%s has several images with their ELF, such as %s.bin and %s.bin: leave one there",
			folder, filepath.Base(found[0]), filepath.Base(found[1]))
	}
}

// pairs are the paths, without an ending, of which a folder has .bin and .elf.
func pairs(folder string) (stems []string) {
	for _, elf := range matches(folder, "*.elf") {
		stem := strings.TrimSuffix(elf, ".elf")
		if isFile(stem+".bin") && filepath.Base(stem) != "bootloader" {
			stems = append(stems, stem)
		}
	}
	return stems
}

// lacks says which of the two is missing.
func lacks(folder string, about description) error {
	for _, name := range []string{about.AppBin, about.App.File, "firmware.bin"} {
		if image := about.find(folder, name); image != "" {
			return fmt.Errorf("%s has no ELF of %s: %w", folder, filepath.Base(image), errNoELF)
		}
	}
	for _, image := range matches(folder, "*.ino.bin") {
		return fmt.Errorf("%s has no ELF of %s: %w", folder, filepath.Base(image), errNoELF)
	}
	return fmt.Errorf("%s has no image with its ELF: build it first", folder)
}
