package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

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
		queue := systemd.NewQueue()
		err = serve(cmd.Context(), cfg, newLogger(queue, cfg.LogFormat, cfg.LogDebug, cmd.ErrOrStderr()), queue)
		if !queue.Close(lastLines) {
			cmd.Root().SetErr(io.Discard) // nobody reads: the last word would wait as the log does
		}
		return err
	}
	return cmd
}

// lastLines is how long the end waits for the reader of the log; the 20 s of a stop hold it too.
const lastLines = 2 * time.Second

// serve runs the gateway until ctx ends.
func serve(ctx context.Context, cfg config.Config, logger *slog.Logger, queue *systemd.Queue) error {
	g, err := gateway.New(cfg, gateway.Binary{Version: version, Commit: commit, Built: builtAt()}, logger)
	if err != nil {
		return err
	}
	g.CountDroppedLines(queue.Dropped)
	return errors.Join(g.Run(ctx), g.Close())
}

// newLogger writes to the journal with fields of our own when systemd runs us, text for people, else JSON; always behind
// the queue, so that nobody waits for whoever reads.
func newLogger(queue *systemd.Queue, format string, debug bool, errOut io.Writer) *slog.Logger {
	level := slog.LevelInfo
	if debug {
		level = slog.LevelDebug
	}
	var handler slog.Handler
	switch {
	case format == "journal", format == "auto" && systemd.UnderJournal():
		handler = queue.Journal(level)
	case format == "text", format == "auto" && term.IsTerminal(int(os.Stderr.Fd())):
		handler = slog.NewTextHandler(queue.Writer(errOut), &slog.HandlerOptions{Level: level})
	default:
		handler = slog.NewJSONHandler(queue.Writer(errOut), &slog.HandlerOptions{Level: level, ReplaceAttr: timeInUTC})
	}
	logger := slog.New(handler)
	queue.SayLost(func(lost uint64) { logger.Warn("log lines lost, nobody read the log", "lines", lost) })
	return logger
}

func timeInUTC(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindTime {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}
