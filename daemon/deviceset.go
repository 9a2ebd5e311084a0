package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// deviceChange is what `slipway device set` was asked to change.
type deviceChange struct {
	config       string
	modelDefault bool
	model, name  string
	line, pin    string
	labels       []string
	aliases      []string
	unpin        bool
	revoked      bool
	provisioning provisioningFlag
}

func deviceSetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set KEY",
		Short: "Change a device: its configuration, model, name, place, pinned build or access",
		Args:  cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	change := deviceChange{provisioning: provisioningFlag{}}
	cmd.Flags().StringVar(&change.config, "config", "", "file with its configuration, a JSON object; - is standard input")
	cmd.Flags().BoolVar(&change.modelDefault, "default-config", false, "go back to its model's default configuration")
	cmd.Flags().StringVar(&change.model, "model", "", "move it to this model; its client id changes as well")
	cmd.Flags().StringVar(&change.name, "name", "", "its display name")
	cmd.Flags().StringVar(&change.line, "line", "", "where it stands, 1 to 32 of a-z, 0-9, _, . and -; --line= goes back to its network")
	cmd.Flags().StringArrayVar(&change.labels, "label", nil, "a label in place of those that it has; may be repeated, --label= removes all")
	cmd.Flags().StringArrayVar(&change.aliases, "alias", nil, "a name that it calls itself by in a protocol with ids of its own, such as hawkBit's, in place of those that it has; may be repeated, --alias= removes all")
	cmd.Flags().StringVar(&change.pin, "pin", "", "offer it this build of its model, whatever the others are offered")
	cmd.Flags().BoolVar(&change.unpin, "unpin", false, "offer it what its model is offered again")
	cmd.Flags().BoolVar(&change.revoked, "revoked", false, "refuse it and its tokens from now on; --revoked=false admits it again")
	cmd.Flags().Var(change.provisioning, "provisioning", "KEY=VALUE that provisioning hands out (KEY= removes it); may be repeated")
	oneOf(cmd, "config", "default-config")
	oneOf(cmd, "pin", "unpin")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		members, err := change.members(cmd)
		if err != nil {
			return err
		}
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPatch, path("devices", args[0]), members)
		if err != nil {
			return err
		}
		warn(cmd, answer)
		return show(cmd, format, answer, deviceText)
	}
	return cmd
}

// members is one request: what is refused changes nothing.
func (d *deviceChange) members(cmd *cobra.Command) (in api.DeviceChange, err error) {
	if cmd.Flag("model").Changed {
		if _, err := fleet.ParseModelCode(d.model); err != nil {
			return in, &usageError{err}
		}
		in.Model = &d.model
	}
	if cmd.Flag("name").Changed {
		in.Name = &d.name
	}
	if cmd.Flag("revoked").Changed {
		in.Revoked = &d.revoked
	}
	d.place(cmd, &in)
	if len(d.provisioning) > 0 {
		in.Provisioning = d.provisioning
	}
	switch {
	case d.config != "":
		if in.Config, err = readJSONFile(cmd, d.config); string(in.Config) == "null" {
			err = usagef("%s: a configuration is a JSON object; --default-config goes back to the model's", d.config)
		}
	case d.modelDefault:
		in.Config = json.RawMessage("null")
	}
	if err == nil && in.Model == nil && in.Name == nil && in.Revoked == nil && in.Provisioning == nil && in.Config == nil &&
		in.Line == nil && in.Labels == nil && in.Aliases == nil && in.Pin == nil {
		err = usagef("nothing to change: name at least one flag")
	}
	return in, err
}

// place is where the device stands, what it calls itself, and what it is pinned to.
func (d *deviceChange) place(cmd *cobra.Command, in *api.DeviceChange) {
	if cmd.Flag("line").Changed {
		in.Line = &d.line
	}
	if cmd.Flag("label").Changed {
		labels := slices.DeleteFunc(d.labels, func(label string) bool { return label == "" })
		in.Labels = &labels
	}
	if cmd.Flag("alias").Changed {
		aliases := slices.DeleteFunc(d.aliases, func(alias string) bool { return alias == "" })
		in.Aliases = &aliases
	}
	if d.pin != "" || d.unpin {
		in.Pin = &d.pin
	}
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
