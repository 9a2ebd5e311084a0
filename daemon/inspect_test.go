package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// realBuilds are the builds of ../shared/fixtures.
var realBuilds = []string{"esp32", "esp32_bin", "esp32c3", "esp32c6"}

func realBuild(t *testing.T, name, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "shared", "fixtures", "coredumps", name, file))
	if os.IsNotExist(err) {
		t.Skip("../shared/fixtures is not there: the real ESP-IDF builds are not tested")
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// realBundle packs a real build.
func realBundle(t *testing.T, name, code string) []byte {
	t.Helper()
	var zip bytes.Buffer
	if err := bundle.Pack(&zip, code, bundle.Contents{
		Image: realBuild(t, name, "app.bin"), ELF: realBuild(t, name, "app.elf"), Map: []byte("Memory Configuration\n"),
		Settings: []byte("CONFIG_IDF_TARGET=\"" + strings.TrimSuffix(name, "_bin") + "\"\n"),
		Versions: []byte(`{"git_commit":"30082bf","idf_version":"v5.3","firmware_version":"v1.0"}`),
	}); err != nil {
		t.Fatal(err)
	}
	return zip.Bytes()
}

func runInspect(t *testing.T, content []byte, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "firmware")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := inspectCommand()
	cmd.SetOut(&out)
	cmd.SetArgs(append([]string{path}, args...))
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestInspectPrintsWhatEsptoolPrints(t *testing.T) {
	t.Parallel()
	for _, name := range realBuilds {
		t.Run(name, func(t *testing.T) {
			_, want, _ := strings.Cut(string(realBuild(t, name, "image_info.txt")), "\n") // without esptool's version
			want = regexp.MustCompile(`(?m) +$`).ReplaceAllString(want, "")
			if got := runInspect(t, realBuild(t, name, "app.bin")); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			_, inBundle, _ := strings.Cut(runInspect(t, realBundle(t, name, "demo")), "\n\n")
			if inBundle != want {
				t.Errorf("of a bundle: got\n%s\nwant\n%s", inBundle, want)
			}
		})
	}
}

// TestInspectSaysInJSONWhatEsptoolSays looks up every line of esptool's text in the JSON.
func TestInspectSaysInJSONWhatEsptoolSays(t *testing.T) {
	t.Parallel()
	for _, name := range realBuilds {
		for kind, content := range map[string]func(*testing.T) []byte{
			"image":  func(t *testing.T) []byte { return realBuild(t, name, "app.bin") },
			"bundle": func(t *testing.T) []byte { return realBundle(t, name, "demo") },
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				var got map[string]any
				if err := json.Unmarshal([]byte(runInspect(t, content(t), "--format", "json")), &got); err != nil {
					t.Fatal(err)
				}
				if got["kind"] != kind {
					t.Errorf("kind %q, want %q", got["kind"], kind)
				}
				compareWithEsptool(t, got, string(realBuild(t, name, "image_info.txt")))
			})
		}
	}
}

func compareWithEsptool(t *testing.T, got map[string]any, info string) {
	t.Helper()
	app := got["app"].(map[string]any)
	drive := got["flash_pins_drive"].(map[string]any)
	said := map[string]string{
		"Image size":                   fmt.Sprintf("%v bytes", got["image_size"]),
		"Detected image type":          fmt.Sprint(got["image_type"]),
		"Image version":                fmt.Sprint(got["image_version"]),
		"Entry point":                  fmt.Sprint(got["entry_point"]),
		"Segments":                     fmt.Sprint(got["segment_count"]),
		"Flash size":                   fmt.Sprint(got["flash_size"]),
		"Flash freq":                   fmt.Sprint(got["flash_freq"]),
		"Flash mode":                   fmt.Sprint(got["flash_mode"]),
		"WP pin":                       fmt.Sprintf("%v (disabled)", got["wp_pin"]),
		"Chip ID":                      fmt.Sprintf("%v (%v)", got["chip_id"], got["chip"]),
		"Minimal chip revision":        fmt.Sprintf("%v, (legacy min_rev = %v)", got["min_chip_revision"], got["legacy_min_rev"]),
		"Maximal chip revision":        fmt.Sprint(got["max_chip_revision"]),
		"Checksum":                     fmt.Sprintf("%v (valid)", got["checksum"]),
		"Validation hash":              fmt.Sprintf("%v (valid)", got["validation_hash"]),
		"Project name":                 fmt.Sprint(app["project_name"]),
		"App version":                  fmt.Sprint(app["version"]),
		"Compile time":                 fmt.Sprint(app["compile_time"]),
		"ELF file SHA256":              fmt.Sprint(app["elf_sha256"]),
		"ESP-IDF":                      fmt.Sprint(app["idf_version"]),
		"Minimal eFuse block revision": fmt.Sprint(app["min_efuse_block_revision"]),
		"Maximal eFuse block revision": fmt.Sprint(app["max_efuse_block_revision"]),
		"MMU page size":                fmt.Sprint(app["mmu_page_size"]),
		"Secure version":               fmt.Sprint(app["secure_version"]),
		"Flash pins drive settings": fmt.Sprintf("clk_drv: %v, q_drv: %v, d_drv: %v, cs0_drv: %v, hd_drv: %v, wp_drv: %v",
			drive["clk_drv"], drive["q_drv"], drive["d_drv"], drive["cs0_drv"], drive["hd_drv"], drive["wp_drv"]),
	}
	if got["checksum_valid"] != true || got["validation_hash_valid"] != true {
		t.Errorf("checksum valid %v, hash valid %v", got["checksum_valid"], got["validation_hash_valid"])
	}
	var segments []string
	for _, s := range got["segments"].([]any) {
		s := s.(map[string]any)
		types := make([]string, 0, 3)
		for _, m := range s["memory_types"].([]any) {
			types = append(types, m.(string))
		}
		segments = append(segments, fmt.Sprintf("%7v  %v  %v  %v  %s",
			s["index"], s["length"], s["load_address"], s["file_offset"], strings.Join(types, ", ")))
	}
	row := regexp.MustCompile(`^ +\d+  0x`)
	seen := 0
	for line := range strings.Lines(info) {
		line = strings.TrimRight(line, " \n")
		if row.MatchString(line) {
			if len(segments) == 0 || segments[0] != line {
				t.Fatalf("segments %q, esptool: %q", segments, line)
			}
			segments = segments[1:]
			seen++
			continue
		}
		key, want, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		if have, known := said[key]; !known || have != strings.TrimSpace(want) {
			t.Errorf("%s: %q, esptool: %q", key, have, strings.TrimSpace(want))
		}
		seen++
	}
	if seen < 25 {
		t.Errorf("only %d facts in esptool's text", seen)
	}
}

func TestInspectShowsABundlesFilesAndWarnings(t *testing.T) {
	zip, err := firmware.Bundle("demo", "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	got := runInspect(t, zip)
	for _, want := range []string{
		"Bundle for model demo:", "sdkconfig", "Git commit: 5b2e1d7c0f3a", "Project name: slipway_sample", "App version: 1.0.0",
		"Detected image type: ESP32-C3",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestInspectSaysWhyAFileIsNoFirmware(t *testing.T) {
	for content, want := range map[string]string{
		"":                             "it is empty",
		"#!/bin/sh\n":                  "wrong magic 0x23",
		"PK\x03\x04 and then nothing.": "it is not a ZIP, or only the beginning of one",
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := inspect(path, bundle.Expected{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
}

func TestInspectLetsNoTextSteerTheTerminal(t *testing.T) {
	zip, err := firmware.Build{Code: "demo", Version: "1.0.0", Project: "a\x1b[2Jb"}.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	if got := runInspect(t, zip); strings.Contains(got, "\x1b") || !strings.Contains(got, "Project name: a?[2Jb") {
		t.Errorf("%q", got)
	}
}
