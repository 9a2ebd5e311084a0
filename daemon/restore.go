package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/backup"
	"github.com/slipway-gateway/slipway/pkg/certificate"
	"github.com/slipway-gateway/slipway/pkg/config"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/gateway"
)

func backupRestoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make this machine the gateway that was backed up",
		Long: "Make this machine the gateway that was backed up: catalog, keys and settings come from the backup, and devices need\n" +
			"no change, whatever address the machine has: they trust the same CA, and their tokens and secrets stay valid.\n\n" +
			"Stop the gateway first (systemctl stop slipway.socket slipway.service). The whole backup is read and verified\n" +
			"before anything changes. The files of a fresh installation are moved aside. A gateway that has models, devices,\n" +
			"tokens or settings of its own is moved aside only with --replace.\n\n" +
			"Rollouts that were under way are paused and webhooks are disabled, until a person goes on with them: the gateway of\n" +
			"before may still be running.",
		Args: cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	settings := addSettingsFlags(cmd)
	opens := addOpenFlags(cmd)
	replace := cmd.Flags().Bool("replace", false, "replace also a gateway that has data of its own")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in, _, err := openInput(cmd, args[0])
		if err != nil {
			return err
		}
		defer in.Close()
		sealed, by, err := opens.by(cmd, in, settings)
		if err != nil {
			return err
		}
		r := restoring{settings: settings, cmd: cmd, replace: *replace}
		restored, err := (&backup.Restoring{
			At: r.place, Replace: *replace, Now: time.Now,
			Logger: slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		}).Run(cmd.Context(), sealed, by...)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		answer, err := json.Marshal(restoredHere{restored, append([]string{}, r.warnings...)})
		if err != nil {
			return err
		}
		return show(cmd, format, answer, restoredText)
	}
	return cmd
}

// restoring is where a backup goes on this machine.
type restoring struct {
	cmd      *cobra.Command
	settings *settingsFlags
	replace  bool
	warnings []string
}

// place takes the settings with which the restored gateway will run, and refuses a machine that is in use.
func (r *restoring) place(restored []byte) (backup.Place, error) {
	file := cmp.Or(r.settings.file, config.DefaultFile)
	settings := *r.settings
	if restored != nil {
		if err := r.mayReplace(file, restored); err != nil {
			return backup.Place{}, err
		}
		copied, err := os.CreateTemp("", "slipway-*.yaml")
		if err != nil {
			return backup.Place{}, err
		}
		defer os.Remove(copied.Name())
		_, err = copied.Write(restored)
		if err := errors.Join(err, copied.Close()); err != nil {
			return backup.Place{}, err
		}
		settings.file = copied.Name()
	} else {
		file = ""
	}
	cfg, err := settings.load(r.cmd)
	if wrong := (*config.Error)(nil); errors.As(err, &wrong) && wrong.Source == settings.file {
		wrong.Source = "the backup's settings"
	}
	if err != nil {
		return backup.Place{}, err
	}
	if err := gateway.Unanswered(cfg.Socket); err != nil {
		return backup.Place{}, fmt.Errorf("%w (systemctl stop slipway.socket slipway.service)", err)
	}
	r.warnings = slices.Concat(cfg.Warnings, notHere(cfg))
	if err := os.MkdirAll(cfg.StateDir, 0o711); err != nil {
		return backup.Place{}, err
	}
	return backup.Place{
		StateDir: cfg.StateDir, CatalogDir: cfg.CatalogDir, KeysDir: cfg.KeysDir(), SettingsFile: file,
		Reserve: gateway.Reserve, Space: gateway.SpaceOf(cfg.StateDir),
	}, nil
}

// notHere are the settings that were right on the machine which they come from.
func notHere(cfg config.Config) []string {
	var all []string
	for _, path := range []string{cfg.TLSCert, cfg.TLSKey} {
		if _, err := os.Stat(path); path != "" && err != nil {
			all = append(all, fmt.Sprintf("the settings name %s, which is not here: the gateway does not start before it is", path))
		}
	}
	hosts := certificate.Hosts()
	for _, listen := range []config.Addresses{cfg.ListenHTTPS, cfg.ListenHTTP, cfg.ListenDeviceHTTPS, cfg.ListenDeviceHTTP} {
		for _, address := range listen {
			host, _, _ := net.SplitHostPort(address)
			if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() && !ip.IsLoopback() && !slices.Contains(hosts, ip.String()) {
				all = append(all, fmt.Sprintf("the gateway is to listen on %s, and this machine does not have that address: it does not start before one of them changes", address))
			}
		}
	}
	if cfg.ProvisioningBaseURL != "" {
		all = append(all, fmt.Sprintf("provisioning.base_url is %s: that is where devices are sent", cfg.ProvisioningBaseURL))
	}
	return all
}

// mayReplace refuses to replace a settings file in which somebody has set something, unless it is asked for.
func (r *restoring) mayReplace(file string, restored []byte) error {
	old, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) || err == nil && string(old) == string(restored) || r.replace {
		return nil
	}
	if err != nil {
		return err
	}
	cfg, err := config.Load(config.Options{File: file})
	if err != nil {
		return fmt.Errorf("%w; --replace moves it aside", err)
	}
	for _, v := range cfg.Values() {
		if v.Source == file {
			return fleet.Taken("%s sets %s: --replace moves it aside and takes the settings of the backup", file, v.Key)
		}
	}
	return nil
}

type restoredHere struct {
	backup.Restored
	Warnings []string `json:"warnings"`
}

func restoredText(w io.Writer, b restoredHere) {
	contentsText(w, b.Contents)
	fields(w, "CA (SHA-256)", b.CA)
	for _, aside := range b.Aside {
		fields(w, "moved aside", aside)
	}
	for _, warning := range b.Warnings {
		fmt.Fprintf(w, "warning: %s\n", visible(warning))
	}
	fmt.Fprintln(w, "\nrestored. next: systemctl start slipway.socket slipway.service, and drop the firmware bundles again, the current ones last")
}
