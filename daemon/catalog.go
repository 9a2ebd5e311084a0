package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/gateway"
)

func catalogCommand() *cobra.Command {
	return group("catalog", "The catalog: the records of models, devices, builds and dumps", catalogRebuildCommand(), catalogNewCommand())
}

func catalogRebuildCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Record again the bundles and dumps on disk",
		Long: "Record again the bundles and dumps on disk: their records are made anew, and all others (models, devices, policy)\n" +
			"stay as they are. What was thinned out or removed stays counted: the counters of versions and groups are not made\n" +
			"anew. It says since when they count.",
		Args: cobra.NoArgs,
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("catalog", "rebuild"), nil)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, s api.Status) {
			statusText(w, s)
			fmt.Fprintf(w, "\ncounted since %s: crashes, device-hours and refused uploads from before are not known by version\n", localTime(s.CountedSince))
		})
	}
	return cmd
}

func catalogNewCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "new --without-backup",
		Short: "Give up a lost or damaged catalog and its devices, and begin a new one",
		Long: "Give up a lost or damaged catalog and begin a new one, where there is no backup to restore. The next start records in\n" +
			"it the bundles and dumps that lie on disk, and makes their models. Everything else is lost: every device has to be\n" +
			"added again and gets a new secret. The CA and the signing keys stay. What is left of the old catalog is moved aside,\n" +
			"and the newest daily backup is kept until somebody removes it.\n\n" +
			"Stop the gateway first (systemctl stop slipway.socket slipway.service), and give the settings that serve has.",
		Args: cobra.NoArgs,
	}
	format := addFormat(cmd)
	settings := addSettingsFlags(cmd)
	sure := cmd.Flags().Bool("without-backup", false, "there is no backup to restore: give up all devices")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !*sure {
			return usagef("a new catalog knows no device: restore a backup (slipway backup restore FILE --replace), or say --without-backup")
		}
		cfg, err := settings.load(cmd)
		if err != nil {
			return err
		}
		logger := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
		aside, err := gateway.NewCatalog(cfg, logger, time.Now())
		if err != nil {
			return err
		}
		answer, err := json.Marshal(newCatalog{cfg.CatalogDir, append([]string{}, aside...)})
		if err != nil {
			return err
		}
		return show(cmd, format, answer, newCatalogText)
	}
	return cmd
}

// newCatalog is what `slipway catalog new` has done.
type newCatalog struct {
	Dir   string   `json:"catalog_dir"`
	Aside []string `json:"aside"` // where what was there before is now
}

func newCatalogText(w io.Writer, n newCatalog) {
	for _, aside := range n.Aside {
		fields(w, "moved aside", aside)
	}
	fmt.Fprintf(w, "the catalog in %s is new. it counts anew: crashes of dumps that are gone, device-hours and refused uploads are not known\nnext: systemctl start slipway.socket slipway.service, and add the devices again\n", visible(n.Dir))
}
