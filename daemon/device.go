package main

import (
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// deviceCommand is `slipway device`: the ESP32s, their configuration and their secrets.
func deviceCommand() *cobra.Command {
	return group("device", "Devices: list, add, import, change and remove them, hand out tokens and secrets",
		deviceListCommand(), deviceAddCommand(), deviceImportCommand(), deviceShowCommand(), deviceSetCommand(), deviceRmCommand(),
		deviceTokenCommand(), deviceSecretCommand(), deviceAdoptCommand(), devicePathSecretCommand(), deviceNudgeCommand())
}

func deviceListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the devices, how they are heard and what they run",
		Long: "List the devices: how they are heard, what they run and what they are offered.\n" +
			"A device is live, late or silent by its own rhythm; never was not heard yet; of boots_only, which ask only when they\n" +
			"boot, silence cannot be seen.",
		Args: cobra.NoArgs,
	}
	flags := addListFlags(cmd, "heard")
	model := cmd.Flags().String("model", "", "only those of this model")
	state := cmd.Flags().String("state", "", "only those that are live, late, silent, never or boots_only")
	version := cmd.Flags().String("version", "", "only those that run this version")
	line := cmd.Flags().String("line", "", "only those on this line: a name, or a network such as 10.1.2.0/24")
	label := cmd.Flags().String("label", "", "only those with this label")
	crashed := cmd.Flags().String("crash", "", "only those that crashed in this group: a fingerprint")
	search := cmd.Flags().String("search", "", "only those with this text in their key, name or an alias")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *state != "" {
			if _, err := fleet.ParseDeviceState(*state); err != nil {
				return &usageError{err}
			}
		}
		answer, err := flags.get(cmd, path("devices"), "devices", map[string]string{
			"model": *model, "state": *state, "version": *version, "line": *line, "label": *label, "crash": *crashed, "q": *search,
		})
		if err != nil {
			return err
		}
		return show(cmd, flags.format, answer, devicesText)
	}
	return cmd
}

func devicesText(w io.Writer, v api.Devices) {
	c := newColumns(w, "DEVICE", "MODEL", "STATE", "RUNS", "OFFERED", "HEARD", "NAME", "LINE")
	for _, d := range v.Devices {
		state := string(d.Sighting.State)
		if d.Revoked {
			state = access(d.Device)
		}
		c.row(string(d.Key), string(d.Model), state, d.Sighting.Runs, offered(d), localTime(d.Sighting.HeardAt), d.Name, d.Place)
	}
	c.flush()
}

func offered(d api.Device) string {
	if d.Offered == nil {
		return ""
	}
	return string(*d.Offered)
}

func access(d fleet.Device) string {
	if d.Revoked {
		return "revoked"
	}
	return "granted"
}

func deviceAddCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add --model CODE",
		Short: "Add a device and print its client id and, once, its client secret",
		Args:  cobra.NoArgs,
	}
	format := addFormat(cmd)
	model := cmd.Flags().String("model", "", "its model")
	key := cmd.Flags().String("key", "", "its key, 8 of a-z and 0-9 (default: a random one)")
	name := cmd.Flags().String("name", "", "its display name")
	line := cmd.Flags().String("line", "", "where it stands (default: the network that it comes from)")
	aliases := cmd.Flags().StringArray("alias", nil, "a name that it calls itself by in a protocol with ids of its own, such as hawkBit's; may be repeated")
	secretOnStdin := cmd.Flags().Bool("secret-stdin", false, "read its client secret, 16 to 256 bytes, from standard input instead of making one")
	required(cmd, "model")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		device := api.NewDevice{Model: *model, Key: *key, Name: *name, Line: *line, Aliases: *aliases}
		if _, err := fleet.ParseModelCode(*model); err != nil {
			return &usageError{err}
		}
		if *key != "" {
			if _, err := fleet.ParseDeviceKey(*key); err != nil {
				return &usageError{err}
			}
		}
		if *secretOnStdin {
			secret, err := readSecret(cmd.InOrStdin())
			if err != nil {
				return err
			}
			device.Secret = secret
		}
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("devices"), device)
		if err != nil {
			return err
		}
		warn(cmd, answer)
		return show(cmd, format, answer, credentialsText)
	}
	return cmd
}

// readSecret reads one line: a secret in the arguments would be seen by every user of the machine.
func readSecret(in io.Reader) (string, error) {
	const most = 1024 // bytes; the gateway takes 256
	b, err := io.ReadAll(io.LimitReader(in, most))
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(b), "\r\n")
	if secret == "" || strings.ContainsAny(secret, "\r\n") {
		return "", usagef("want the client secret, one line, on standard input")
	}
	return secret, nil
}

func credentialsText(w io.Writer, c api.Credentials) {
	fields(w, "device_key", string(c.Key), "client_id", c.ID, "client_secret", c.Secret)
}

func deviceShowCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "show KEY", Short: "Show a device", Args: cobra.ExactArgs(1)}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answer, err := connect(cmd).get(cmd.Context(), path("devices", args[0]))
		if err != nil {
			return err
		}
		return show(cmd, format, answer, deviceText)
	}
	return cmd
}

func deviceRmCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "rm KEY", Short: "Remove a device", Args: cobra.ExactArgs(1)}
	format := addFormat(cmd)
	yes := addYes(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := sure(cmd, *yes, "Remove device %s? It is refused from then on, with its tokens, until somebody adds it again.", args[0]); err != nil {
			return err
		}
		if _, err := connect(cmd).send(cmd.Context(), http.MethodDelete, path("devices", args[0]), nil); err != nil {
			return err
		}
		return say(cmd, format, map[string]string{"removed": args[0]}, "removed device %s", args[0])
	}
	return cmd
}

func deviceTokenCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "token KEY", Short: "Make an access token for a device, to try what it gets", Args: cobra.ExactArgs(1)}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("devices", args[0], "token"), nil)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, t api.DeviceToken) {
			fields(w, "access_token", t.AccessToken, "expires_at", localTime(t.ExpiresAt))
		})
	}
	return cmd
}

func deviceSecretCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret KEY",
		Short: "Replace a device's client secret and print the new one, once; asks first",
		Long: "Replace a device's client secret and print the new one, once. The old one is refused from now on: use it for\n" +
			"a device that is flashed again. Devices rotate their secrets by themselves, without this.\n" +
			"It asks first; scripts pass --yes.",
		Args: cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	yes := addYes(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := mayAsk(cmd, *yes); err != nil {
			return err
		}
		c := connect(cmd)
		if !*yes {
			if _, err := c.get(cmd.Context(), path("devices", args[0])); err != nil {
				return err
			}
			question := "Replace the client secret of device " + args[0] + "? The one that it has is refused from then on."
			if err := ask(cmd.InOrStdin(), cmd.ErrOrStderr(), question); err != nil {
				return err
			}
		}
		answer, err := c.send(cmd.Context(), http.MethodPost, path("devices", args[0], "secret"), nil)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, credentialsText)
	}
	return cmd
}
