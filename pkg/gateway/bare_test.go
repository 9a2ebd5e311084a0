package gateway

import (
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/config"
	"github.com/slipway-gateway/slipway/pkg/systemd"
)

// Which keys there were only the catalog knows, and it is not read: what is lost of them is not made anew.
func TestAGatewayWithoutACatalogMakesNoKeysAndNoCA(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	cfg := config.Config{StateDir: t.TempDir(), TokenAlgorithm: auth.EdDSA, TokenLifetime: time.Hour}
	if err := os.MkdirAll(cfg.KeysDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	for keys, make := range map[string]func() error{
		"none": func() error { return nil },
		"a signing key only": func() error {
			_, err := auth.OpenKeys(cfg.KeysDir(), cfg.TokenAlgorithm, cfg.TokenLifetime, time.Now)
			return err
		},
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadDir(cfg.KeysDir())
		if err != nil {
			t.Fatal(err)
		}
		g := &Gateway{cfg: cfg, logger: logger, watchdog: systemd.NewWatchdog(logger)}
		if err := g.openBare(catalog.ErrNoStandIn); !errors.Is(err, os.ErrNotExist) || g.bare != nil {
			t.Errorf("%s: it serves: %v", keys, err)
		}
		after, err := os.ReadDir(cfg.KeysDir())
		if err != nil || len(after) != len(before) {
			t.Errorf("%s: before %v, after %v, %v", keys, before, after, err)
		}
	}
}
