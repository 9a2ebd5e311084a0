package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// firmwareCommand is `slipway firmware`: the builds of a model, and which one its devices are offered.
func firmwareCommand() *cobra.Command {
	return group("firmware", "Firmware: list, show, add, publish, note and remove builds, look into a file",
		firmwareListCommand(), firmwareShowCommand(), firmwareAddCommand(), firmwarePublishCommand(), firmwareNoteCommand(), firmwareRmCommand(), inspectCommand())
}

func firmwareListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the builds and which one is offered",
		Long: "List the builds of all models or of one, and which one devices are offered (*). A version without a build was\n" +
			"uploaded as a plain image, without its ELF: no core dump of it can be read.",
		Args: cobra.NoArgs,
	}
	flags := addListFlags(cmd, "accepted")
	model := cmd.Flags().String("model", "", "only those of this model")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		address := path("builds")
		if *model != "" {
			address = path("device-models", *model, "builds")
		}
		answer, err := flags.get(cmd, address, "builds", nil)
		if err != nil {
			return err
		}
		return show(cmd, flags.format, answer, func(w io.Writer, v buildList) { v.text(w, *model, flags.whole()) })
	}
	return cmd
}

// buildList is the builds of one model with its version, or of all with theirs.
type buildList struct {
	Builds   []fleet.Build                     `json:"builds"`
	Version  fleet.Version                     `json:"firmware_version,omitempty"`
	Versions map[fleet.ModelCode]fleet.Version `json:"firmware_versions,omitempty"`
}

// text prints the builds, and where they are all there the versions that have none.
func (l buildList) text(w io.Writer, model string, all bool) {
	if model != "" && l.Version != "" {
		l.Versions = map[fleet.ModelCode]fleet.Version{fleet.ModelCode(model): l.Version}
	}
	c := newColumns(w, "MODEL", "VERSION", "OFFERED", "CHIP", "PROJECT", "ACCEPTED", "ORIGIN")
	for _, b := range l.Builds {
		offered := ""
		if l.Versions[b.Model] == b.Version {
			offered = "*"
			delete(l.Versions, b.Model)
		}
		c.row(string(b.Model), string(b.Version), offered, b.Chip, b.Project, localTime(b.AcceptedAt), string(b.Origin))
	}
	if all {
		for _, code := range slices.Sorted(maps.Keys(l.Versions)) {
			c.row(string(code), string(l.Versions[code]), "*", "", "", "", "plain image, no symbols")
		}
	}
	c.flush()
}

func acceptedText(w io.Writer, a api.Accepted) {
	switch {
	case !a.Changed:
		fmt.Fprintf(w, "%s %s is here already, nothing changed\n", a.Code, visible(string(a.Version)))
	case a.Published:
		fmt.Fprintf(w, "%s %s accepted, devices are offered it now\n", a.Code, visible(string(a.Version)))
	default:
		fmt.Fprintf(w, "%s %s accepted; devices are offered it after 'slipway firmware publish %s %s'\n", a.Code, a.Version, a.Code, a.Version)
	}
}

func firmwarePublishCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "publish MODEL VERSION",
		Short: "Offer a build, which may be an older one, to all of the model's devices at once",
		Long: "Offer a build, which may be an older one, to all of the model's devices at once. 'slipway rollout start' offers it in\n" +
			"waves. While a rollout of the model is not finished, nothing is published: --halt-first halts it and then\n" +
			"publishes.",
		Args: cobra.ExactArgs(2),
	}
	format := addFormat(cmd)
	var in api.Publish
	cmd.Flags().BoolVar(&in.HaltFirst, "halt-first", false, "halt the rollout that stands before it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("device-models", args[0], "builds", args[1], "publish"), in)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, m fleet.Model) {
			fmt.Fprintf(w, "all devices of %s are offered %s now\n", m.Code, m.FirmwareVersion)
		})
	}
	return cmd
}

func firmwareShowCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "show MODEL VERSION", Short: "Show a build: where it came from, its sizes and hashes, and what people say of it", Args: cobra.ExactArgs(2)}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answer, err := connect(cmd).get(cmd.Context(), path("device-models", args[0], "builds", args[1]))
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, b fleet.Build) {
			fields(w, "model_code", string(b.Model), "firmware_version", string(b.Version), "chip", b.Chip, "project", b.Project, "idf_version", b.IDFVersion,
				"git_commit", b.GitCommit, "accepted_at", localTime(b.AcceptedAt), "origin", string(b.Origin), "bundle_size", fmt.Sprint(b.BundleSize),
				"bundle_sha256", b.BundleSHA256, "image_size", fmt.Sprint(b.ImageSize), "image_sha256", b.ImageSHA256, "elf_size", fmt.Sprint(b.ELFSize),
				"elf_sha256", b.ELFSHA256, "note", b.Note)
			for _, one := range b.Warnings {
				fields(w, "warning", one)
			}
		})
	}
	return cmd
}

func firmwareNoteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "note MODEL VERSION TEXT",
		Short: `Keep a note with a build, such as what is new in it; "" removes it`,
		Args:  cobra.ExactArgs(3),
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPut, path("device-models", args[0], "builds", args[1], "note"), api.BuildNote{Note: args[2]})
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, b fleet.Build) {
			fields(w, "model_code", string(b.Model), "firmware_version", string(b.Version), "note", b.Note)
		})
	}
	return cmd
}

func firmwareRmCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rm MODEL VERSION",
		Short: "Remove a build that is not offered to devices",
		Args:  cobra.ExactArgs(2),
	}
	format := addFormat(cmd)
	yes := addYes(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := sure(cmd, *yes, "Remove %s of %s? Core dumps of it that come later wait for its bundle.", args[1], args[0]); err != nil {
			return err
		}
		if _, err := connect(cmd).send(cmd.Context(), http.MethodDelete, path("device-models", args[0], "builds", args[1]), nil); err != nil {
			return err
		}
		return say(cmd, format, map[string]string{"removed": args[1], "model_code": args[0]}, "removed %s of %s", args[1], args[0])
	}
	return cmd
}
