package main

import (
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
)

// clockCommand is `slipway clock`: what the gateway believes of this machine's clock.
func clockCommand() *cobra.Command {
	return group("clock", "The clock: tell the gateway that it is right", clockAcceptCommand())
}

func clockAcceptCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "accept",
		Short: "Note that this machine's clock is right now, whatever was noted before",
		Long: "Note that this machine's clock is right now, whatever was noted before. Look at it first: date -u.\n\n" +
			"The gateway notes the time each minute. It believes a clock that is not before the day on which this slipway was\n" +
			"built and not more than 30 days behind the noted time; with any other it gives out no tokens. A clock that is more\n" +
			"than a day ahead of the noted time is noted only when it has stood for a day of one process. Use this command\n" +
			"where it should not wait: after the machine was off for days, or when a clock that was ahead for more than a day\n" +
			"has been set back. It is refused while the clock is before the day of the build.",
		Args: cobra.NoArgs,
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("clock", "accept"), nil)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, c api.AcceptedClock) {
			fields(w, "noted", localTime(c.Noted))
		})
	}
	return cmd
}
