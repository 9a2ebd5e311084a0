package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/slipway-gateway/slipway/pkg/config"
	"github.com/slipway-gateway/slipway/pkg/gateway"
	"github.com/slipway-gateway/slipway/pkg/systemd"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long:  "Run the gateway until SIGTERM or SIGINT; it then stops within 20 s.",
		Args:  cobra.NoArgs,
	}
	flags := addSettingsFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.load(cmd)
		if err != nil {
			return err
		}
		signal.Ignore(syscall.SIGPIPE) // whoever reads the log may end before the gateway does
		return serve(cmd.Context(), cfg, newLogger(cfg.LogFormat, cfg.LogDebug, cmd.ErrOrStderr()))
	}
	return cmd
}

// serve runs the gateway until ctx ends.
func serve(ctx context.Context, cfg config.Config, logger *slog.Logger) error {
	g, err := gateway.New(cfg, gateway.Binary{Version: version, Commit: commit, Built: builtAt()}, logger)
	if err != nil {
		return err
	}
	return errors.Join(g.Run(ctx), g.Close())
}

// newLogger writes to the journal with fields of our own when systemd runs us, text for people, else JSON.
func newLogger(format string, debug bool, errOut io.Writer) *slog.Logger {
	level := slog.LevelInfo
	if debug {
		level = slog.LevelDebug
	}
	switch {
	case format == "journal", format == "auto" && systemd.UnderJournal():
		return slog.New(systemd.NewHandler(level))
	case format == "text", format == "auto" && term.IsTerminal(int(os.Stderr.Fd())):
		return slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(slog.NewJSONHandler(errOut, &slog.HandlerOptions{Level: level, ReplaceAttr: timeInUTC}))
}

func timeInUTC(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindTime {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}
