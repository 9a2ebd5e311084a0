package main

import (
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// tokenCommand is `slipway token`: the tokens that people and pipelines show to the API and the page.
func tokenCommand() *cobra.Command {
	return group("token", "Tokens of people and pipelines: create, list and revoke them",
		tokenCreateCommand(), tokenListCommand(), tokenRevokeCommand(), tokenRotateKeyCommand())
}

func tokenCreateCommand() *cobra.Command {
	var roles []string
	for _, r := range auth.Roles {
		roles = append(roles, string(r))
	}
	cmd := &cobra.Command{
		Use:   "create --role ROLE",
		Short: "Make a token and print it, once",
		Long: "Make a token and print it, once. A viewer reads, an operator also changes models, devices and firmware, an admin\n" +
			"also makes tokens, and a pipeline only pushes firmware: of the models that --model names, or of all. It replaces no\n" +
			"build that is there; an operator does, or `firmware add --replace`.",
		Args: cobra.NoArgs,
	}
	format := addFormat(cmd)
	role := cmd.Flags().String("role", "", orList(roles))
	name := cmd.Flags().String("name", "", "who uses it")
	models := cmd.Flags().StringArray("model", nil, "for a pipeline: push firmware of this model `CODE` only; may be repeated")
	required(cmd, "role")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if _, err := auth.ParseRole(*role); err != nil {
			return &usageError{err}
		}
		if len(*models) > 0 && *role != string(auth.Pipeline) {
			return usagef("--model is for --role pipeline: the other roles are for every model")
		}
		for _, code := range *models {
			if _, err := fleet.ParseModelCode(code); err != nil {
				return &usageError{err}
			}
		}
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("tokens"), api.NewToken{Role: *role, Name: *name, Models: *models})
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, t api.CreatedToken) {
			fields(w, "token", t.Secret, "role", t.Role, "models", modelList(t.Token), "id", t.ID, "name", t.Name)
		})
	}
	return cmd
}

// modelList names the models that a pipeline's token is for, "" for the other roles.
func modelList(t api.Token) string {
	switch {
	case t.Role != string(auth.Pipeline):
		return ""
	case len(t.Models) == 0:
		return "all"
	}
	var codes []string
	for _, code := range t.Models {
		codes = append(codes, string(code))
	}
	return strings.Join(codes, ", ")
}

func tokenListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the tokens", Args: cobra.NoArgs}
	flags := addListFlags(cmd, "created")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		answer, err := flags.get(cmd, path("tokens"), "tokens", nil)
		if err != nil {
			return err
		}
		return show(cmd, flags.format, answer, func(w io.Writer, v api.Tokens) {
			c := newColumns(w, "ID", "ROLE", "MODELS", "CREATED", "MADE BY", "USED", "NAME")
			for _, t := range v.Tokens {
				c.row(t.ID, t.Role, modelList(t), localTime(t.CreatedAt), t.MadeBy, localTime(t.UsedAt), t.Name)
			}
			c.flush()
		})
	}
	return cmd
}

func tokenRevokeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "revoke ID", Short: "Revoke a token at once", Args: cobra.ExactArgs(1)}
	format := addFormat(cmd)
	yes := addYes(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := sure(cmd, *yes, "Revoke token %s? Who has it is refused from then on.", args[0]); err != nil {
			return err
		}
		if _, err := connect(cmd).send(cmd.Context(), http.MethodDelete, path("tokens", args[0]), nil); err != nil {
			return err
		}
		return say(cmd, format, map[string]string{"revoked": args[0]}, "revoked token %s", args[0])
	}
	return cmd
}

func tokenRotateKeyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate-key",
		Short: "Make a new key for signing devices' tokens",
		Long: "Make a new key for signing devices' tokens. It is published at once and signs an hour later; the old key\n" +
			"stays until the last token that it signed has expired. This happens automatically every half year.",
		Args: cobra.NoArgs,
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if _, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("keys", "rotate"), nil); err != nil {
			return err
		}
		return say(cmd, format, map[string]bool{"rotated": true}, "a new key is published, and will sign an hour from now")
	}
	return cmd
}
