package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
)

func devicePathSecretCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "path-secret KEY",
		Short: "Make what a device shows in its paths and print it, once; or revoke it",
		Long: "Make a secret that a device shows in the path of its requests, and print it, once. It is for clients that can send\n" +
			"neither a token nor HTTP Basic, such as AutoConnect: http://GATEWAY/d/SECRET stands before every path of the device\n" +
			"API. What writes paths into logs, such as a proxy on the way, then writes the secret; the gateway does not. The one\n" +
			"that the device has is replaced. It ends with --revoke, and when the device is revoked or removed.",
		Args: cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	revoke := cmd.Flags().Bool("revoke", false, "end it, and make none")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		where := path("devices", args[0], "path-secret")
		if *revoke {
			_, err := connect(cmd).send(cmd.Context(), http.MethodDelete, where, nil)
			return err
		}
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPost, where, nil)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, v api.PathSecret) {
			fmt.Fprintf(w, "device_key:  %s\npath:        %s\n", v.Key, v.Path)
		})
	}
	return cmd
}
