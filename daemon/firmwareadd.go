package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/buildfolder"
	"github.com/slipway-gateway/slipway/pkg/bundle"
)

func firmwareAddCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add FILE | FOLDER",
		Short: "Upload a bundle, a plain image, or the build in a folder",
		Long: "Upload a bundle (.zip), a plain image (.bin), or the build in the folder of an ESP-IDF, PlatformIO, Arduino or\n" +
			"ESPHome project: its image and ELF are found and bundled. A bundle names its model; all else needs --model, and so\n" +
			"does -, standard input. Of a plain image no core dump can be read, until its bundle comes, or its ELF (.elf): the\n" +
			"dumps that wait are decoded then.",
		Args: cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	var s submission
	cmd.Flags().StringVar(&s.model, "model", "", "its model (default: the bundle's)")
	cmd.Flags().StringVar(&s.env, "env", "", "which one of a folder's builds: the environment, board or folder")
	cmd.Flags().StringVar(&s.version, "version", "", "name of an Arduino build, whose image has only that of the core (of a folder: what git says)")
	cmd.Flags().BoolVar(&s.replace, "replace", false, "replace a build of the same version; devices may be downloading that one")
	cmd.Flags().BoolVar(&s.store, "store", false, "do not publish it: an older build, for the dumps of it that are here")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		file, size, err := s.open(cmd, args[0])
		if err != nil {
			return err
		}
		file = withProgress(cmd, file, size)
		sent := sync.OnceValue(file.Close)
		defer func() { _ = sent() }()
		answer, err := connect(cmd).json(cmd.Context(), http.MethodPost, s.address(), &upload{"application/octet-stream", file, size})
		_ = sent() // it was read: progress ends its line
		if err != nil {
			return err
		}
		warn(cmd, answer)
		return show(cmd, format, answer, acceptedText)
	}
	return cmd
}

// submission is a firmware on its way to the gateway.
type submission struct {
	model, env, version string
	replace, store      bool
}

func (s *submission) address() string {
	query := url.Values{}
	if s.replace {
		query.Set("replace", "true")
	}
	if s.store {
		query.Set("publish", "false")
	}
	if s.version != "" {
		query.Set("version", s.version)
	}
	return path("pipeline", "models", s.model, "firmware") + "?" + query.Encode()
}

// open opens a file, or the bundle of a folder's build, and finds out its model.
func (s *submission) open(cmd *cobra.Command, name string) (io.ReadCloser, int64, error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return s.ofFolder(cmd.Context(), name)
	}
	if s.env != "" {
		return nil, 0, usagef("--env names a build in a folder, and %s is none", name)
	}
	if s.model == "" {
		var err error
		if s.model, err = modelOfFile(name, s.version); err != nil {
			return nil, 0, err
		}
	}
	return openInput(cmd, name)
}

// ofFolder makes the bundle of the build in a folder. It is a temporary file that is gone once it is closed.
func (s *submission) ofFolder(ctx context.Context, dir string) (io.ReadCloser, int64, error) {
	if s.model == "" {
		return nil, 0, usagef("%s does not name its model: use --model", dir)
	}
	build, err := buildfolder.Find(dir, s.env)
	if err != nil {
		return nil, 0, err
	}
	zip, err := os.CreateTemp("", "slipway-*.zip")
	if err != nil {
		return nil, 0, err
	}
	os.Remove(zip.Name())
	name, err := build.Pack(ctx, zip, s.model, s.version)
	var size int64
	if err == nil {
		size, err = zip.Seek(0, io.SeekEnd)
	}
	if err == nil {
		_, err = zip.Seek(0, io.SeekStart)
	}
	if err != nil {
		zip.Close()
		return nil, 0, fmt.Errorf("bundle %s: %w", build.Folder, err)
	}
	if build.App.FromArduino() {
		s.version = name
	}
	return zip, size, nil
}

func modelOfFile(name, version string) (string, error) {
	if name == standardInput {
		return "", usagef("standard input needs --model")
	}
	if strings.HasSuffix(name, ".elf") {
		return "", usagef("%s is an ELF, which does not name its model: use --model", name)
	}
	f, err := inspect(name, bundle.Expected{Version: version})
	if err != nil {
		return "", err
	}
	if f.Bundle == nil {
		return "", usagef("%s is a plain image, which does not name its model: use --model", name)
	}
	return f.Bundle.Code, nil
}
