package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// modelCommand is `slipway model`: hardware types and the firmware that they are offered.
func modelCommand() *cobra.Command {
	return group("model", "Hardware types: list, add, change and remove them",
		modelListCommand(), modelAddCommand(), modelShowCommand(), modelVersionsCommand(), modelSetCommand(), modelRmCommand())
}

func modelListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the models", Args: cobra.NoArgs}
	flags := addListFlags(cmd, "changed")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		answer, err := flags.get(cmd, path("device-models"), "models", nil)
		if err != nil {
			return err
		}
		return show(cmd, flags.format, answer, func(w io.Writer, v api.Models) {
			c := newColumns(w, "MODEL", "FIRMWARE", "CHIP", "PROJECT", "NAME")
			for _, m := range v.Models {
				c.row(string(m.Code), string(m.FirmwareVersion), m.Chip, m.Project, m.Name)
			}
			c.flush()
			for _, m := range v.Models {
				noSymbols(w, m.NoSymbols)
			}
		})
	}
	return cmd
}

func modelAddCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add CODE",
		Short: "Add a model",
		Long:  "Add a model. Its first build fixes its chip and project.",
		Args:  cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	change := addModelFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		code, err := fleet.ParseModelCode(args[0])
		if err != nil {
			return &usageError{err}
		}
		model, err := change.members(cmd)
		if err != nil {
			return err
		}
		model["code"] = code
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("device-models"), model)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, modelText)
	}
	return cmd
}

func modelShowCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "show CODE", Short: "Show a model", Args: cobra.ExactArgs(1)}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answer, err := connect(cmd).get(cmd.Context(), path("device-models", args[0]))
		if err != nil {
			return err
		}
		return show(cmd, format, answer, modelText)
	}
	return cmd
}

func modelSetCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "set CODE", Short: "Change a model", Args: cobra.ExactArgs(1)}
	format := addFormat(cmd)
	change := addModelFlags(cmd)
	cmd.Flags().String("chip", "", "accept only images for this chip (empty: that of the next build)")
	cmd.Flags().String("project", "", "accept only images of this project (empty: that of the next build)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		model, err := change.members(cmd)
		if err != nil {
			return err
		}
		for _, name := range []string{"chip", "project"} {
			if f := cmd.Flag(name); f.Changed {
				model[name] = f.Value.String()
			}
		}
		if len(model) == 0 {
			return usagef("nothing to change: name at least one flag")
		}
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPatch, path("device-models", args[0]), model)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, modelText)
	}
	return cmd
}

func modelRmCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "rm CODE", Short: "Remove a model that has no devices and no builds", Args: cobra.ExactArgs(1)}
	format := addFormat(cmd)
	yes := addYes(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := sure(cmd, *yes, "Remove model %s, with its configuration and its plan of rollouts?", args[0]); err != nil {
			return err
		}
		if _, err := connect(cmd).send(cmd.Context(), http.MethodDelete, path("device-models", args[0]), nil); err != nil {
			return err
		}
		return say(cmd, format, map[string]string{"removed": args[0]}, "removed model %s", args[0])
	}
	return cmd
}

// modelFlags are what a model is made of and may be changed to.
type modelFlags struct {
	name, config string
	provisioning provisioningFlag
}

func addModelFlags(cmd *cobra.Command) *modelFlags {
	f := &modelFlags{provisioning: provisioningFlag{}}
	cmd.Flags().StringVar(&f.name, "name", "", "its display name")
	cmd.Flags().StringVar(&f.config, "config", "", "file with the devices' default configuration, JSON; - is standard input")
	cmd.Flags().Var(f.provisioning, "provisioning", "KEY=VALUE that provisioning hands out (KEY= removes it); may be repeated")
	return f
}

// members are the JSON members that the flags name.
func (f *modelFlags) members(cmd *cobra.Command) (map[string]any, error) {
	m := map[string]any{}
	if cmd.Flag("name").Changed {
		m["name"] = f.name
	}
	if f.config != "" {
		config, err := readJSONFile(cmd, f.config)
		if err != nil {
			return nil, err
		}
		m["config"] = json.RawMessage(config)
	}
	if len(f.provisioning) > 0 {
		m["provisioning"] = f.provisioning
	}
	return m, nil
}

// noSymbols is the line below a list that says of which version no dump can be read.
func noSymbols(w io.Writer, text string) {
	if text != "" {
		fmt.Fprintf(w, "warning: %s\n", visible(text))
	}
}

func modelText(w io.Writer, m api.Model) {
	pairs := []string{
		"code", string(m.Code), "name", m.Name, "firmware_version", string(m.FirmwareVersion), "no_symbols", m.NoSymbols, "chip", m.Chip, "project", m.Project,
		"config", string(m.Config),
	}
	pairs = append(pairs, provisioningText(m.Provisioning)...)
	fields(w, append(pairs, "created_at", localTime(m.CreatedAt), "updated_at", localTime(m.UpdatedAt))...)
}

// provisioningText names the values without showing them: a Wi-Fi password is among them.
func provisioningText(values map[string]string) []string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		pairs = append(pairs, "provisioning "+key, "(set)")
	}
	return pairs
}
