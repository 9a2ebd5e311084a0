package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/operator"
)

// modelVersionsCommand is `slipway model versions`: since which version it is worse.
func modelVersionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "versions CODE",
		Short: "Show what a model's devices run, and how often each version crashes",
		Long: "Show what a model's devices run, and how often each version crashes: crashes a device-day, with the 90 % interval,\n" +
			"of the last 24 hours and of the last 7 days (of UTC). A device-day is 24 hours in which a device was heard, or between\n" +
			"two contacts of one that was live by its own rhythm or asks at its boots only. --format json has the counts by the hour\n" +
			"for 48 hours, and by the day for 90 days.",
		Args: cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answer, err := connect(cmd).get(cmd.Context(), path("device-models", args[0], "versions"))
		if err != nil {
			return err
		}
		return show(cmd, format, answer, modelVersionsText)
	}
	return cmd
}

func modelVersionsText(w io.Writer, v operator.ModelVersions) {
	c := newColumns(w, "VERSION", "DEVICES", "LIVE", "CRASHES 24 H", "PER DEVICE-DAY", "CRASHES 7 D", "PER DEVICE-DAY", "REFUSED 7 D")
	for _, one := range v.Versions {
		version := one.Version
		if version == "" {
			version = "(not known)"
		}
		c.row(version, fmt.Sprint(one.Devices), fmt.Sprint(one.Live), crashesText(one.Day), rateText(one.Day), crashesText(one.Week), rateText(one.Week),
			fmt.Sprint(one.Week.Refused))
	}
	c.flush()
	fmt.Fprintf(w, "\ncounted since %s\n", localTime(v.Since))
}

func crashesText(r crash.Rate) string {
	if r.Crashes == 0 {
		return "0"
	}
	return fmt.Sprintf("%d on %d", r.Crashes, r.Devices)
}

// rateText is "" where no device was heard.
func rateText(r crash.Rate) string {
	if r.PerDay == nil {
		return ""
	}
	return fmt.Sprintf("%.3g (%.3g to %.3g)", *r.PerDay, *r.Low, *r.High)
}
