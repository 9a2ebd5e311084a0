package bundle

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/espimage"
)

// readVersions reads version.json. Its fields are for people: where they differ from the image, the image is right. Only
// where the image is an Arduino build, and has the version of the core, the version is the one that stands here.
func (b *Bundle) readVersions() error {
	var text []byte
	if _, err := b.digest(b.versions, func(r io.Reader) (err error) {
		text, err = io.ReadAll(r)
		return err
	}); err != nil {
		return err
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // PowerShell writes a byte order mark
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return refuse("%s is not a JSON object: %s", versionsName, err)
	}
	var firmware string
	for _, f := range []struct {
		name  string
		value *string
	}{{"git_commit", &b.GitCommit}, {"idf_version", &b.IDFVersion}, {"firmware_version", &firmware}} {
		raw, ok := fields[f.name]
		if !ok {
			return refuse("%s lacks %s", versionsName, f.name)
		}
		if raw[0] != '"' || json.Unmarshal(raw, f.value) != nil {
			return refuse("%s: %s is not a text", versionsName, f.name)
		}
		*f.value = printable(*f.value)
	}
	var err error
	if b.Version, err = NameBuild(*b.Image.App, b.expected, firmware); err != nil {
		return err
	}
	if !b.Image.App.FromArduino() && !said(firmware, b.Version) {
		b.warn("%s says version %q, the image says %q", versionsName, firmware, b.Version)
	}
	if !said(b.IDFVersion, b.Image.App.IDFVersion) {
		b.warn("%s says ESP-IDF %q, the image says %q", versionsName, b.IDFVersion, printable(b.Image.App.IDFVersion))
	}
	return nil
}

// NameBuild is the version that an image is known by: its descriptor's. The descriptor of an Arduino build is the core's: such a
// build is named by who hands it in, or by its papers. The name of another may be expected, and has to be the descriptor's.
func NameBuild(app espimage.App, expected, papers string) (string, error) {
	if !app.FromArduino() {
		if expected != "" && expected != app.Version {
			return "", refuse("the image says version %q, and not %q: it is known by what it says, so build it with that version", printable(app.Version), printable(expected))
		}
		return app.Version, nil
	}
	if expected != "" {
		return expected, nil
	}
	if named := (espimage.App{Version: papers}); papers == "" || named.FromArduino() {
		return "", refuse("the image is built with the Arduino core, which gives every sketch the version %q: name this build with --version, "+
			"SLIPWAY_VERSION or ?version=, or in version.json's firmware_version", printable(app.Version))
	}
	return papers, nil
}

// said reports that a descriptor's field says a text, as much of it as fits: ESP-IDF cuts long ones off.
func said(text, field string) bool {
	const most = 31 // bytes of a field of 32, the last is zero
	return text == field || len(field) >= most && strings.HasPrefix(text, field)
}

// readSettings looks in sdkconfig for the chip that the build was for.
func (b *Bundle) readSettings() error {
	target := ""
	_, err := b.digest(b.settings, func(r io.Reader) (err error) {
		target, err = setting(r, "CONFIG_IDF_TARGET")
		return err
	})
	if err != nil {
		return err
	}
	if want := b.Image.ChipID.Target(); target != "" && want != "" && target != want {
		b.warn("%s is for %q, the image for %q", settingsName, printable(target), want)
	}
	return nil
}

// madeSettings is the first line of an sdkconfig that nobody had: the upload scripts write it, too.
const madeSettings = "# The build kept no sdkconfig: this is what its image says."

// MadeSettings stands in for an sdkconfig that the build did not keep: all that its image says is the chip.
func MadeSettings(target string) string {
	text := madeSettings + "\n"
	if target != "" {
		text += fmt.Sprintf("CONFIG_IDF_TARGET=%q\n", target)
	}
	return text
}

// Settings are what sdkconfig says about how the firmware behaves after an update.
type Settings struct {
	Rollback bool // the bootloader goes back to the image before when the new one is not confirmed
	Dumps    bool // a panic writes a core dump
	Halts    bool // a panic stops the chip, and does not restart it
	Made     bool // nobody had the build's sdkconfig: none of it is known
}

// Settings reads them.
func (a *Archive) Settings() (s Settings, err error) {
	_, err = a.digest(a.settings, func(r io.Reader) error {
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		s.Made = bytes.HasPrefix(text, []byte(madeSettings))
		for name, to := range map[string]*bool{
			"CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE": &s.Rollback,
			"CONFIG_ESP_COREDUMP_ENABLE":            &s.Dumps, // from ESP-IDF 4.2 on
			"CONFIG_ESP_SYSTEM_PANIC_PRINT_HALT":    &s.Halts,
		} {
			value, err := setting(bytes.NewReader(text), name)
			if err != nil {
				return err
			}
			*to = value == "y"
		}
		return nil
	})
	return s, err
}

// setting finds one in sdkconfig, "" where it is not set. All else in the file is opaque.
func setting(r io.Reader, name string) (value string, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if v, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), name+"="); ok {
			value = strings.Trim(v, `"`)
		}
	}
	if err := lines.Err(); !errors.Is(err, bufio.ErrTooLong) {
		return value, err
	}
	return value, nil
}
