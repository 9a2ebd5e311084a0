// Command probe writes two records through the journal handler; the test builds it with the journal's socket elsewhere.
package main

import (
	"errors"
	"log/slog"

	"github.com/slipway-gateway/slipway/pkg/systemd"
)

func main() {
	log := slog.New(systemd.NewHandler(slog.LevelInfo)).With("model", "pump")
	log.Debug("not worth a line")
	log.Info("dump stored", "device", "a1b2c3d4", "version", "1.0.0", "bytes", 4096, slog.Group("part", "name", "dumps"))
	log.Error("dump lost", "error", errors.New("two\nlines"))
}
