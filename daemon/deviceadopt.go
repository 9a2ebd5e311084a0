package main

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// deviceAdoptCommand is `slipway device adopt`: strangers become devices, for a time and up to a number.
func deviceAdoptCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "adopt --model CODE",
		Short: "Let strangers who show a shared secret become devices, for a time and up to a number",
		Long: "Let strangers who show a shared secret become devices of a model, until the time is over, as many were adopted as\n" +
			"--at-most says, or 'slipway device adopt close CODE'. It is for boards that are flashed in a row with one firmware: each\n" +
			"calls itself iotdevice-CODE-KEY, with a KEY of its own of 8 of a-z and 0-9 (such as half of its MAC), and shows the secret\n" +
			"where it asks for a token or by HTTP Basic. A client of hawkBit's protocol shows it as its TargetToken, and its controller\n" +
			"id becomes an alias; one that can show a secret only in its path asks below /d/KEYSECRET, the two as one word. A key\n" +
			"that is there already is never taken over, and one that was removed stays removed.\n\n" +
			"The shared secret is the device's own from then on, and who knows it can pass for it: until the device rotates it by\n" +
			"asking for its provisioning, or 'slipway device secret KEY'. 'slipway device adopt list' counts those that still share\n" +
			"it. The secret is made and printed, once; --secret-stdin gives one. Only through the gateway's socket, not with --url.",
		Example: "  slipway device adopt --model pump --for 1h --at-most 20\n" +
			"  slipway device adopt list\n" +
			"  slipway device adopt close pump",
		Args: cobra.NoArgs,
	}
	format := addFormat(cmd)
	in := api.NewAdoption{}
	cmd.Flags().StringVar(&in.Model, "model", "", "their model")
	span := cmd.Flags().Duration("for", time.Hour, "how long, up to 24h")
	cmd.Flags().IntVar(&in.AtMost, "at-most", 20, "how many devices, up to 1000")
	secretOnStdin := cmd.Flags().Bool("secret-stdin", false, "read the shared secret, 16 to 256 bytes, from standard input instead of making one")
	required(cmd, "model")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if _, err := fleet.ParseModelCode(in.Model); err != nil {
			return &usageError{err}
		}
		c, err := adoptingClient(cmd)
		if err != nil {
			return err
		}
		if *secretOnStdin {
			if in.Secret, err = readSecret(cmd.InOrStdin()); err != nil {
				return err
			}
		}
		in.For = fleet.Duration(*span)
		answer, err := c.send(cmd.Context(), http.MethodPost, path("adoptions"), in)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, a api.OpenedAdoption) {
			fields(w, "model_code", string(a.Model), "client_id", "iotdevice-"+string(a.Model)+"-KEY", "shared_secret", a.Secret,
				"until", localTime(a.Until), "at_most", fmt.Sprint(a.AtMost))
		})
	}
	cmd.AddCommand(deviceAdoptListCommand(), deviceAdoptCloseCommand())
	return cmd
}

func adoptingClient(cmd *cobra.Command) (*client, error) {
	return socketClient(cmd, "devices are adopted on the gateway itself, through its socket, and not over %s")
}

func deviceAdoptListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the newest adoption of each model, and how many devices still share its secret",
		Example: "  slipway device adopt list\n" +
			"  slipway device adopt list --format json    with the keys of those that were adopted",
		Args: cobra.NoArgs,
	}
	flags := addListFlags(cmd, "opened")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if _, err := adoptingClient(cmd); err != nil {
			return err
		}
		answer, err := flags.get(cmd, path("adoptions"), "adoptions", nil)
		if err != nil {
			return err
		}
		return show(cmd, flags.format, answer, func(w io.Writer, v api.Adoptions) {
			c := newColumns(w, "MODEL", "STATE", "ADOPTED", "STILL SHARE IT", "OPENED", "UNTIL")
			for _, a := range v.Adoptions {
				c.row(string(a.Model), adoptionState(a), fmt.Sprintf("%d of %d", len(a.Adopted), a.AtMost), fmt.Sprint(a.Shared), localTime(a.OpenedAt), localTime(adoptionEnd(a)))
			}
			c.flush()
		})
	}
	return cmd
}

func adoptionState(a api.Adoption) string {
	if a.Open {
		return "open"
	}
	return "closed"
}

// adoptionEnd is when it took its last device, or will.
func adoptionEnd(a api.Adoption) time.Time {
	if !a.ClosedAt.IsZero() {
		return a.ClosedAt
	}
	return a.Until
}

func deviceAdoptCloseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "close CODE",
		Short:   "Close a model's adoption; who was adopted stays a device",
		Example: "  slipway device adopt close pump",
		Args:    cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := adoptingClient(cmd)
		if err != nil {
			return err
		}
		answer, err := c.send(cmd.Context(), http.MethodDelete, path("adoptions", args[0]), nil)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, a api.Adoption) {
			fmt.Fprintf(w, "closed: %d of %d adopted, %d of them still share the secret\n", len(a.Adopted), a.AtMost, a.Shared)
		})
	}
	return cmd
}
