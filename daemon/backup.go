package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/backup"
)

// backupCommand is `slipway backup`: what a gateway cannot find again when its disk dies.
func backupCommand() *cobra.Command {
	return group("backup", "Backups of what cannot be found again: catalog, keys and settings",
		backupCreateCommand(), backupNowCommand(), backupCheckCommand(), backupRestoreCommand(), backupKeyCommand())
}

func backupCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create FILE",
		Short: "Write an encrypted backup of the running gateway",
		Long: "Write an encrypted backup of the running gateway and read it back. It holds the catalog (models, devices with the\n" +
			"hashes of their secrets, groups of crashes), the keys (the CA that devices carry, the keys that tokens are signed\n" +
			"with) and the settings file. It does not hold bundles and dumps, which are files under the state folder, nor a\n" +
			"certificate that tls.cert names.\n\n" +
			"Without --recipient or --passphrase-file slipway asks for a passphrase. age opens the file as well: age -d FILE | tar x.",
		Args: cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	recipients := cmd.Flags().StringArray("recipient", nil, "encrypt to this age `KEY`, age1…; may be repeated")
	passphraseFile := addPassphraseFile(cmd)
	force := cmd.Flags().Bool("force", false, "replace FILE")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := socketClient(cmd, "a backup is written on the gateway itself, through its socket, and not over %s: slipway backup now makes the daily one there")
		if err != nil {
			return err
		}
		file := args[0]
		if _, err := os.Lstat(file); err == nil && !*force {
			return fmt.Errorf("%s exists already: name another file, or replace it with --force", file)
		}
		to, by, err := encryptTo(cmd, *recipients, *passphraseFile)
		if err != nil {
			return err
		}
		resp, err := c.do(cmd.Context(), http.MethodGet, path("backup"), nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		size, found, err := backup.WriteFile(file, func(w io.Writer) error {
			_, err := io.Copy(w, resp.Body)
			return err
		}, to, by)
		if err != nil {
			return fmt.Errorf("no backup was made: %w", err)
		}
		return showBackup(cmd, format, backupFile{File: file, Size: size, Contents: found})
	}
	return cmd
}

func backupNowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "now",
		Short: "Make the daily backup now",
		Long: "Make the daily backup now: under backup/ in the gateway's state folder, encrypted to the key that `backup key` prints,\n" +
			"and read back. It takes the place of today's; the six days before stay. Unlike `backup create` it needs no socket: an\n" +
			"admin's token is enough, as nothing leaves the gateway.",
		Example: "  slipway backup now && rsync gateway:/var/lib/slipway/backup/ /srv/slipway/",
		Args:    cobra.NoArgs,
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("backups"), nil)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, b api.MadeBackup) {
			fields(w, "backup", b.File, "size", bytesText(b.Bytes), "records", strconv.Itoa(b.Records))
			fmt.Fprintln(w, "read to its end, and every hash in it compared")
		})
	}
	return cmd
}

// encryptTo says who shall open a backup, and what opens it here, nil for nobody.
func encryptTo(cmd *cobra.Command, recipients []string, passphraseFile string) ([]age.Recipient, age.Identity, error) {
	if len(recipients) == 0 {
		passphrase, err := newPassphrase(cmd, passphraseFile)
		if err != nil {
			return nil, nil, err
		}
		to, err := backup.ForPassphrase(passphrase)
		if err != nil {
			return nil, nil, err
		}
		by, err := backup.ByPassphrase(passphrase)
		return []age.Recipient{to}, by, err
	}
	if passphraseFile != "" {
		return nil, nil, usagef("--recipient and --passphrase-file: a backup is encrypted to keys or with a passphrase, not both")
	}
	var to []age.Recipient
	for _, s := range recipients {
		r, err := backup.ParseRecipient(s)
		if err != nil {
			return nil, nil, &usageError{fmt.Errorf("--recipient: %w", err)}
		}
		to = append(to, r)
	}
	return to, nil, nil
}

// backupFile is what create and check print.
type backupFile struct {
	File string `json:"file"`
	Size int64  `json:"size"` // bytes
	backup.Contents
}

func showBackup(cmd *cobra.Command, format *textOrJSON, b backupFile) error {
	answer, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return show(cmd, format, answer, func(w io.Writer, b backupFile) {
		fields(w, "backup", b.File, "size", bytesText(b.Size))
		contentsText(w, b.Contents)
		fmt.Fprintln(w, "read to its end, and every hash in it compared")
	})
}

func contentsText(w io.Writer, c backup.Contents) {
	settings := "none"
	if c.Settings {
		settings = "the settings file"
	}
	fields(w, "made", localTime(c.MadeAt), "on", c.Host, "by", "slipway "+c.Slipway, "models", strconv.Itoa(c.Models),
		"devices", strconv.Itoa(c.Devices), "records", strconv.Itoa(c.Records), "keys", strconv.Itoa(c.Keys), "settings", settings)
}

func backupCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Open a backup, read it to its end and say what is in it",
		Long:  "Open a backup, read it to its end and say what is in it. Nothing is changed, and the gateway does not have to run.",
		Args:  cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	settings := addSettingsFlags(cmd)
	opens := addOpenFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in, size, err := openInput(cmd, args[0])
		if err != nil {
			return err
		}
		defer in.Close()
		sealed, by, err := opens.by(cmd, in, settings)
		if err != nil {
			return err
		}
		found, err := backup.Check(sealed, by...)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return showBackup(cmd, format, backupFile{File: filepath.Base(args[0]), Size: max(size, 0), Contents: found})
	}
	return cmd
}

func backupKeyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Print the key that opens the daily backups",
		Long: "Print the key that opens the daily backups under backup/ in the state folder. Keep it where the gateway is not: the\n" +
			"copies can then be stored anywhere, and can be opened when the gateway's disk is lost.",
		Args: cobra.NoArgs,
	}
	format := addFormat(cmd)
	settings := addSettingsFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := settings.load(cmd)
		if err != nil {
			return err
		}
		key, err := backup.ReadKey(cfg.KeysDir())
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("there is no key in %s yet: the first daily backup makes it, and catalog.backup is %s",
				cfg.KeysDir(), map[bool]string{true: "daily", false: "off"}[cfg.CatalogBackup])
		case errors.Is(err, fs.ErrPermission):
			return fmt.Errorf("no permission to read %s: become root", filepath.Join(cfg.KeysDir(), backup.KeyName))
		case err != nil:
			return err
		}
		answer, err := json.Marshal(key)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, k backup.Key) {
			fmt.Fprintf(w, "# opens the daily backups of this gateway; keep it elsewhere\n# public key: %s\n%s\n", k.Recipient, k.Secret)
		})
	}
	return cmd
}
