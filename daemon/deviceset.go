package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// deviceChange is what `slipway device set` was asked to change.
type deviceChange struct {
	config       string
	modelDefault bool
	model, name  string
	revoked      bool
	provisioning provisioningFlag
}

func deviceSetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set KEY",
		Short: "Change a device: its configuration, model, name or access",
		Args:  cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	change := deviceChange{provisioning: provisioningFlag{}}
	cmd.Flags().StringVar(&change.config, "config", "", "file with its configuration, a JSON object; - is standard input")
	cmd.Flags().BoolVar(&change.modelDefault, "default-config", false, "go back to its model's default configuration")
	cmd.Flags().StringVar(&change.model, "model", "", "move it to this model; its client id changes as well")
	cmd.Flags().StringVar(&change.name, "name", "", "its display name")
	cmd.Flags().BoolVar(&change.revoked, "revoked", false, "refuse it and its tokens from now on; --revoked=false admits it again")
	cmd.Flags().Var(change.provisioning, "provisioning", "KEY=VALUE that provisioning hands out (KEY= removes it); may be repeated")
	cmd.MarkFlagsMutuallyExclusive("config", "default-config")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := change.carryOut(cmd, args[0]); err != nil {
			return err
		}
		answer, err := connect(cmd).get(cmd.Context(), path("devices", args[0]))
		if err != nil {
			return err
		}
		return show(cmd, format, answer, deviceText)
	}
	return cmd
}

// carryOut changes the configuration first: it is what is refused most, and then nothing else has changed.
func (d *deviceChange) carryOut(cmd *cobra.Command, key string) error {
	members, err := d.members(cmd)
	if err != nil {
		return err
	}
	if len(members) == 0 && d.config == "" && !d.modelDefault {
		return usagef("nothing to change: name at least one flag")
	}
	c, config := connect(cmd), path("devices", key, "config")
	var answer json.RawMessage
	switch {
	case d.config != "":
		var raw []byte
		if raw, err = readJSONFile(cmd, d.config); err == nil {
			answer, err = c.send(cmd.Context(), http.MethodPut, config, json.RawMessage(raw))
		}
	case d.modelDefault:
		_, err = c.send(cmd.Context(), http.MethodDelete, config, nil)
	}
	if err != nil {
		return err
	}
	warn(cmd, answer)
	if len(members) > 0 {
		_, err = c.send(cmd.Context(), http.MethodPatch, path("devices", key), members)
	}
	return err
}

func (d *deviceChange) members(cmd *cobra.Command) (map[string]any, error) {
	m := map[string]any{}
	if cmd.Flag("model").Changed {
		code, err := fleet.ParseModelCode(d.model)
		if err != nil {
			return nil, &usageError{err}
		}
		m["model_code"] = code
	}
	if cmd.Flag("name").Changed {
		m["name"] = d.name
	}
	if cmd.Flag("revoked").Changed {
		m["revoked"] = d.revoked
	}
	if len(d.provisioning) > 0 {
		m["provisioning"] = d.provisioning
	}
	return m, nil
}

// warn prints an answer's warnings to standard error: what was done is done, and its JSON stays JSON.
func warn(cmd *cobra.Command, answer json.RawMessage) {
	var v struct {
		Warnings []string `json:"warnings"`
	}
	if json.Unmarshal(answer, &v) != nil { // an answer without warnings
		return
	}
	for _, w := range v.Warnings {
		fmt.Fprintf(cmd.ErrOrStderr(), "slipway: warning: %s\n", visible(w))
	}
}

// required makes flags that a command cannot do without.
func required(cmd *cobra.Command, flags ...string) {
	for _, name := range flags {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(errors.Join(errors.New("a command requires a flag that it does not have"), err))
		}
	}
}
