package main

import (
	"net/http"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
)

func deviceNudgeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "nudge KEY",
		Short: "Ask a device by the plant's MQTT broker to restart and fetch what it is offered",
		Long: "Ask a device by the plant's MQTT broker (mqtt.url) to restart and fetch what it is offered: firmware that polls\n" +
			"nothing asks only when it boots. Whether the device has heard it shows when it asks. mqtt.nudges_per_minute paces\n" +
			"them.",
		Args: cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	config := cmd.Flags().Bool("config", false, "for its configuration instead of its firmware")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		wanted := api.Nudge{For: "firmware"}
		if *config {
			wanted.For = "config"
		}
		if _, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("devices", args[0], "nudge"), wanted); err != nil {
			return err
		}
		return say(cmd, format, map[string]string{"device_key": args[0], "for": wanted.For}, "nudged device %s for its %s", args[0], wanted.For)
	}
	return cmd
}
