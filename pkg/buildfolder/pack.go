package buildfolder

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/bundle"
)

// Pack writes the build's bundle for the model with the code. version names an Arduino build, whose image has none; "" is what
// git says of its sources, as ESP-IDF does it. It returns the version that the bundle is known by.
func (b Build) Pack(ctx context.Context, w io.Writer, code, version string) (string, error) {
	version, err := b.version(ctx, version)
	if err != nil {
		return "", err
	}
	papers, err := json.Marshal(map[string]string{
		"git_commit": cmp.Or(git(ctx, b.Root, "rev-parse", "HEAD"), "unknown"), "idf_version": b.IDFVersion, "firmware_version": version,
	})
	if err != nil {
		return "", err
	}
	parts := bundle.Parts{Versions: bytes.NewReader(papers)}
	for _, f := range []struct {
		path string
		made string
		to   *io.Reader
	}{
		{b.Image, "", &parts.Image}, {b.ELF, "", &parts.ELF}, {b.Map, "the build kept no map\n", &parts.Map}, {b.Settings, bundle.MadeSettings(b.Target), &parts.Settings},
	} {
		if f.path == "" {
			*f.to = strings.NewReader(f.made)
			continue
		}
		file, err := os.Open(f.path)
		if err != nil {
			return "", err
		}
		defer file.Close()
		*f.to = file
	}
	return version, bundle.PackFrom(w, code, parts)
}

// version is the image's. That of an Arduino build is the one that it is given, or what git says.
func (b Build) version(ctx context.Context, given string) (string, error) {
	if given == "" && b.App.FromArduino() {
		given = git(ctx, b.Root, "describe", "--always", "--tags", "--dirty")
	}
	name, err := bundle.NameBuild(b.App, given, "")
	if err != nil {
		return "", fmt.Errorf("%s: %w", b.Image, err)
	}
	return name, nil
}

// git is what git says of a folder, "" where it says nothing.
func git(ctx context.Context, folder string, args ...string) string {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", folder}, args...)...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
