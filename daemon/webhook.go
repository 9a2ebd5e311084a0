package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// webhookCommand is `slipway webhook`: who is sent the events elsewhere.
func webhookCommand() *cobra.Command {
	return group("webhook", "Receivers that events are sent to: list, add, change, try and remove them",
		webhookListCommand(), webhookAddCommand(), webhookSetCommand(), webhookSecretCommand(), webhookTestCommand(), webhookRemoveCommand())
}

func webhookListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the webhooks, with how far each has come and what it failed with last",
		Long: "List the webhooks, with how far each has come and what it failed with last. WAITING are the events behind the last\n" +
			"one that was acknowledged; those that the webhook does not take are passed over in their turn.",
		Args: cobra.NoArgs,
	}
	flags := addListFlags(cmd, "changed")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		answer, err := flags.get(cmd, path("webhooks"), "webhooks", nil)
		if err != nil {
			return err
		}
		return show(cmd, flags.format, answer, func(w io.Writer, v api.Webhooks) {
			c := newColumns(w, "ID", "NAME", "STATE", "KINDS", "WAITING", "DELIVERED", "HOST", "LAST FAILURE")
			for _, one := range v.Webhooks {
				c.row(one.ID, one.Name, webhookWord(one), kindsText(one.Kinds), strconv.FormatUint(one.Waiting, 10), localTime(one.Delivery.DeliveredAt), hostOf(one.URL), webhookFailure(one))
			}
			c.flush()
		})
	}
	return cmd
}

// webhookWord is a webhook's state in a word.
func webhookWord(s fleet.WebhookState) string {
	switch {
	case !s.DisabledAt.IsZero():
		return "disabled"
	case !s.Active:
		return "off"
	case s.Delivery.Failures > 0:
		return "failing"
	}
	return "ok"
}

// webhookFailure says why one is disabled, with what helps, and what it failed with last.
func webhookFailure(s fleet.WebhookState) string {
	var all []string
	if !s.DisabledAt.IsZero() {
		all = append(all, localTime(s.DisabledAt)+" "+s.Disabled+"; "+s.Enabling())
	}
	if !s.Delivery.FailedAt.IsZero() {
		all = append(all, localTime(s.Delivery.FailedAt)+" "+s.Delivery.Failure)
	}
	return strings.Join(all, "; ")
}

func kindsText(kinds []string) string {
	if len(kinds) == 0 {
		return "all"
	}
	return strings.Join(kinds, ",")
}

// hostOf leaves out what is often a secret.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

func webhookAddCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "add URL", Short: "Send events to an address from now on, and print the secret that signs them, once",
		Long: "Send events to an address from now on, and print the secret that signs them, once. Each event is a POST of the JSON\n" +
			"that GET /api/events has, with the headers webhook-id, webhook-timestamp and webhook-signature of Standard Webhooks.\n" +
			"The README has the lines that verify it. An address on this machine needs webhooks.loopback in the settings.\n\n" +
			"A --kind is one that 'slipway events' prints, such as device.adopted, or only its noun, device, for all that begin so;\n" +
			"shells complete them. Without one all events are sent.",
		Example: "  slipway webhook add https://tickets.plant.example/hooks/slipway --name tickets --kind crash --kind rollout.halted\n" +
			"  slipway webhook add https://10.1.2.3:8443/in --ca plant-ca.crt",
		Args: cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	name := cmd.Flags().String("name", "", "what it is called")
	kinds := cmd.Flags().StringArray("kind", nil, "send events of this `KIND` only, or of all kinds of a noun; may be repeated")
	ca := cmd.Flags().String("ca", "", "check the receiver's certificate against this PEM `FILE` in place of the system's roots")
	secretFile := cmd.Flags().String("secret-file", "", "sign with the secret in this `FILE`, whsec_…, in place of a new one")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in := api.NewWebhook{Name: *name, URL: args[0], Kinds: *kinds}
		for file, to := range map[string]*string{*ca: &in.CA, *secretFile: &in.Secret} {
			if file == "" {
				continue
			}
			text, err := readSmall(file)
			if err != nil {
				return err
			}
			*to = text
		}
		in.Secret = strings.TrimSpace(in.Secret)
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("webhooks"), in)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, v api.CreatedWebhook) {
			fields(w, "id", v.ID, "name", v.Name, "url", v.URL, "kinds", kindsText(v.Kinds), "secret", v.Secret)
			fmt.Fprintf(w, "try it: slipway webhook test %s\n", v.ID)
		})
	}
	return cmd
}

// readSmall reads a file that is sent as a member of a request.
func readSmall(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	const most = 32 << 10
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(text) > most {
		err = fmt.Errorf("%s is larger than %d KiB", file, most>>10)
	}
	return string(text), err
}

func webhookSetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "set ID", Short: "Change a webhook, switch it off, or on again",
		Long: "Change a webhook, switch it off, or on again. One that is switched on goes on with the first event that its receiver\n" +
			"has not acknowledged; --from-now passes over those that wait. One that came with a restored backup is sent what happens\n" +
			"from then on. The events of one that is off wait for it, for as long as events are kept.",
		Example: "  slipway webhook set 1f2e3d4c --active\n  slipway webhook set 1f2e3d4c --active=false",
		Args:    cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	name := cmd.Flags().String("name", "", "what it is called")
	address := cmd.Flags().String("to", "", "the `ADDRESS` that events are sent to")
	kinds := cmd.Flags().StringArray("kind", nil, "send events of this `KIND` only; may be repeated; \"\" for every event")
	ca := cmd.Flags().String("ca", "", "check its certificate against this PEM `FILE`; \"\" for the system's roots")
	active := cmd.Flags().Bool("active", true, "send events, or with --active=false none")
	fromNow := cmd.Flags().Bool("from-now", false, "pass over the events that wait")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		given := cmd.Flags().Changed
		in := api.WebhookChange{FromNow: *fromNow}
		if given("name") {
			in.Name = name
		}
		if given("to") {
			in.URL = address
		}
		if given("kind") {
			only := []string{}
			for _, kind := range *kinds {
				if kind != "" {
					only = append(only, kind)
				}
			}
			in.Kinds = &only
		}
		if given("ca") {
			text := ""
			if *ca != "" {
				var err error
				if text, err = readSmall(*ca); err != nil {
					return err
				}
			}
			in.CA = &text
		}
		if given("active") {
			in.Active = active
		}
		if in == (api.WebhookChange{}) {
			return usagef("nothing to change: say what, such as --active")
		}
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPatch, path("webhooks", args[0]), in)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, v fleet.WebhookState) {
			fields(w, "id", v.ID, "name", v.Name, "url", v.URL, "kinds", kindsText(v.Kinds), "state", webhookWord(v), "waiting", strconv.FormatUint(v.Waiting, 10), "last failure", webhookFailure(v))
		})
	}
	return cmd
}

func webhookSecretCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "secret ID", Short: "Replace a webhook's secret, and print the new one, once",
		Long: "Replace a webhook's secret, and print the new one, once. The next delivery is signed with it and with nothing else:\n" +
			"what a receiver refuses until it knows it, too, comes again.",
		Args: cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("webhooks", args[0], "secret"), nil)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, v api.WebhookSecret) { fields(w, "id", v.ID, "secret", v.Secret) })
	}
	return cmd
}

func webhookTestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "test ID", Short: "Send a webhook a signed test, and say what its receiver answers",
		Long: "Send a webhook a signed test, {\"kind\":\"test\",…}, and say what its receiver answers. It is no event, and moves nothing.\n" +
			"Exit code 1 where it was not delivered.",
		Args: cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("webhooks", args[0], "test"), nil)
		if err != nil {
			return err
		}
		var tried fleet.WebhookTried
		if err := json.Unmarshal(answer, &tried); err != nil {
			return fmt.Errorf("the gateway's answer is not the expected JSON: %w", err)
		}
		err = show(cmd, format, answer, func(w io.Writer, v fleet.WebhookTried) {
			if v.Delivered {
				fmt.Fprintf(w, "delivered: it answered %d after %d ms\n", v.Status, v.Millis)
			}
		})
		if err == nil && tried.Failure != "" {
			err = errors.New("not delivered: " + visible(tried.Failure))
		}
		return err
	}
	return cmd
}

func webhookRemoveCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "rm ID", Short: "Remove a webhook, with its secret and the events that wait for it", Args: cobra.ExactArgs(1)}
	format := addFormat(cmd)
	yes := addYes(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := mayAsk(cmd, *yes); err != nil {
			return err
		}
		if !*yes {
			if err := ask(cmd.InOrStdin(), cmd.ErrOrStderr(), fmt.Sprintf("Remove the webhook %s, with its secret and the events that wait for it?", args[0])); err != nil {
				return err
			}
		}
		if _, err := connect(cmd).send(cmd.Context(), http.MethodDelete, path("webhooks", args[0]), nil); err != nil {
			return err
		}
		return say(cmd, format, map[string]string{"removed": args[0]}, "removed webhook %s", args[0])
	}
	return cmd
}
