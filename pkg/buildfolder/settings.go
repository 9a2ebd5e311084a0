package buildfolder

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
)

// settings finds the build's sdkconfig: where ESP-IDF says, where PlatformIO has one for each environment, beside the sources,
// in the build folder, and for a sketch in the installed core.
func settings(b Build, about description, dir string) string {
	below := strings.TrimPrefix(strings.TrimPrefix(about.ConfigFile, about.ProjectPath), "/")
	var named []string
	if about.ConfigFile != "" {
		named = []string{about.ConfigFile, filepath.Join(dir, below), filepath.Join(b.Root, below)}
	}
	found := first(append(named, filepath.Join(b.Root, "sdkconfig."+b.Name), filepath.Join(b.Folder, "sdkconfig"),
		filepath.Join(dir, "sdkconfig"), filepath.Join(b.Root, "sdkconfig"))...)
	if found != "" || !b.App.FromArduino() || b.Target == "" {
		return found
	}
	return ofCore(b.Target)
}

// ofCore is the sdkconfig with which the installed Arduino core was built, "" where none is installed, or several that differ.
func ofCore(target string) string {
	home, _ := os.UserHomeDir()
	platformio := os.Getenv("PLATFORMIO_CORE_DIR")
	if platformio == "" {
		platformio = filepath.Join(home, ".platformio")
	}
	var found []string
	for _, at := range []struct{ dir, pattern string }{
		{home, ".arduino15/packages/esp32"}, {home, "Library/Arduino15/packages/esp32"}, {os.Getenv("LOCALAPPDATA"), "Arduino15/packages/esp32"},
	} {
		for _, inside := range []string{
			"tools/esp32-arduino-libs/*/" + target + "/sdkconfig", // 3.0 on
			"tools/" + target + "-libs/*/sdkconfig",               // 3.3 on
			"hardware/esp32/*/tools/sdk/" + target + "/sdkconfig", // 2
		} {
			if at.dir != "" {
				found = append(found, matches(at.dir, at.pattern+"/"+inside)...)
			}
		}
	}
	for _, inside := range []string{"", "tools/sdk/", "tools/esp32-arduino-libs/"} {
		found = append(found, matches(platformio, "packages/framework-arduinoespressif32*/"+inside+target+"/sdkconfig")...)
	}
	return only(found)
}

// only is one of several files that are all the same.
func only(files []string) string {
	var text []byte
	for i, f := range files {
		b, err := os.ReadFile(f)
		if err != nil || i > 0 && !bytes.Equal(b, text) {
			return ""
		}
		text = b
	}
	if len(files) == 0 {
		return ""
	}
	return files[0]
}
