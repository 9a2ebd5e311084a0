package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/config"
)

// configCommand is `slipway config`: the settings as a gateway started now would have them.
func configCommand() *cobra.Command {
	return group("config", "Settings: check them, show where each came from", configCheckCommand(), configShowCommand())
}

// settingsFlags say where settings come from, besides the environment.
type settingsFlags struct {
	file string
	sets []string
}

func addSettingsFlags(cmd *cobra.Command) *settingsFlags {
	f := &settingsFlags{}
	cmd.Flags().StringVar(&f.file, "config", "", "settings `FILE` (default "+config.DefaultFile+", which may be absent)")
	cmd.Flags().StringArrayVar(&f.sets, "set", nil, "`KEY=VALUE`, overrides the file and the environment; may be repeated")
	return f
}

// load reads the settings. The command line's own --socket counts as the setting of that name.
func (f *settingsFlags) load(cmd *cobra.Command) (config.Config, error) {
	sets := f.sets
	if cmd.Flag(urlFlag).Changed {
		return config.Config{}, usagef("no gateway is asked: --url is for commands that ask one")
	}
	if socket := cmd.Flag(socketFlag); socket.Changed {
		sets = append(sets[:len(sets):len(sets)], "socket="+socket.Value.String())
	}
	return config.Load(config.Options{File: f.file, Environ: os.Environ(), Sets: sets})
}

func configCheckCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "check", Short: "Check the settings without starting anything", Args: cobra.NoArgs}
	format := addFormat(cmd)
	flags := addSettingsFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.load(cmd)
		if err != nil {
			return err
		}
		for _, w := range cfg.Warnings {
			fmt.Fprintf(cmd.ErrOrStderr(), "slipway: warning: %s\n", w)
		}
		return say(cmd, format, map[string]any{"valid": true, "warnings": append([]string{}, cfg.Warnings...)}, "the settings are right")
	}
	return cmd
}

func configShowCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "show", Short: "Show every setting and where its value came from; secrets are hidden", Args: cobra.NoArgs}
	format := addFormat(cmd)
	flags := addSettingsFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.load(cmd)
		if err != nil {
			return err
		}
		answer, err := json.Marshal(map[string]any{"settings": cfg.Values()})
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, v struct{ Settings []config.Value }) {
			c := newColumns(w, "KEY", "VALUE", "FROM")
			for _, s := range v.Settings {
				c.row(s.Key, s.Value, s.Source)
			}
			c.flush()
		})
	}
	return cmd
}
