package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
)

func deviceImportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Add many devices, with their present secrets or with new ones",
		Long: "Add the devices of a CSV file with the columns model_code,device_key[,client_secret][,name][,line][,alias],\n" +
			"separated by commas, semicolons or tabs (several aliases of a device by spaces); a first line may name them in any\n" +
			"order. Or of the JSON or CSV that hawkBit (targets with controllerId and securityToken) or ThingsBoard (devices with\n" +
			"their access tokens) exports: what a device calls itself there becomes an alias, its key is drawn, and --model names\n" +
			"its model where its type does not. All new ones are added or none; --dry-run says what would be done and which rows are\n" +
			"wrong, --skip-wrong takes the others. A secret has 16 to 256 bytes, and under 20 there is a warning. A device without\n" +
			"one gets one, which is printed once, or written to the file that --secrets names. Devices that are there keep their\n" +
			"secrets; a second run changes only what is new. - is standard input.",
		Args: cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	model := cmd.Flags().String("model", "", "the model of devices for which the file names none")
	dryRun := cmd.Flags().Bool("dry-run", false, "say what would be done, and do nothing")
	skipWrong := cmd.Flags().Bool("skip-wrong", false, "take the others where rows are wrong")
	secrets := cmd.Flags().String("secrets", "", "new file for the secrets that are made, readable only by you; it must not exist yet")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		file, size, err := openInput(cmd, args[0])
		if err != nil {
			return err
		}
		defer file.Close()
		var kept *os.File
		if *secrets != "" && !*dryRun { // before the gateway is asked: what it answers is told once
			if kept, err = newSecretsFile(*secrets); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closeSecrets(kept)) }()
		}
		answer, err := connect(cmd).json(cmd.Context(), http.MethodPost, path("devices", "import")+importQuery(*model, *dryRun, *skipWrong), &upload{"text/csv", file, size})
		if err != nil {
			return err
		}
		warn(cmd, answer)
		if kept != nil {
			if answer, err = keepSecrets(cmd.ErrOrStderr(), kept, answer); err != nil {
				return err
			}
		}
		return show(cmd, format, answer, importedText)
	}
	return cmd
}

func importQuery(model string, dryRun, skipWrong bool) string {
	query := url.Values{"dry_run": {strconv.FormatBool(dryRun)}, "skip_wrong": {strconv.FormatBool(skipWrong)}}
	if model != "" {
		query.Set("model", model)
	}
	return "?" + query.Encode()
}

func newSecretsFile(name string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists already: remove it, or name another file with --secrets", name)
	}
	return file, err
}

// closeSecrets leaves no file behind in which nothing is.
func closeSecrets(file *os.File) error {
	info, err := file.Stat()
	err = errors.Join(err, file.Close())
	if err == nil && info.Size() == 0 {
		err = os.Remove(file.Name())
	}
	return err
}

// keepSecrets writes the secrets of an answer to a file and takes them out of it. Where that fails the answer is printed as
// it is: nobody can ask for them again.
func keepSecrets(errs io.Writer, file *os.File, answer json.RawMessage) (json.RawMessage, error) {
	var v api.Imported
	if err := json.Unmarshal(answer, &v); err != nil {
		return nil, fmt.Errorf("the gateway's answer is not the expected JSON: %w", err)
	}
	if len(v.Made) == 0 {
		return answer, nil
	}
	w := csv.NewWriter(file)
	_ = w.Write([]string{"model_code", "device_key", "client_secret"}) // Error has it
	for _, c := range v.Made {
		_ = w.Write([]string{string(c.Model), string(c.Key), c.Secret}) // as above
	}
	w.Flush()
	if err := errors.Join(w.Error(), file.Sync()); err != nil {
		fmt.Fprintf(errs, "slipway: the secrets could not be written to %s, and are told here, once: %v\n", file.Name(), err)
		return answer, nil
	}
	v.Made = []api.Credentials{}
	return json.Marshal(v)
}

func importedText(w io.Writer, v api.Imported) {
	done := "added"
	if v.DryRun {
		done = "would be added"
	}
	plural(w, v.Added, "device", fmt.Sprintf("%s, %d changed, %d unchanged", done, v.Changed, v.Unchanged))
	if v.WrongRows > 0 {
		fmt.Fprintf(w, "%d wrong, not taken:\n", v.WrongRows)
		for _, wrong := range v.Wrong {
			fmt.Fprintln(w, "  "+visible(wrong))
		}
	}
	if len(v.Made) == 0 {
		return
	}
	fmt.Fprintln(w, "\nsecrets that were made, shown this once:")
	c := newColumns(w, "DEVICE", "ID", "SECRET")
	for _, one := range v.Made {
		c.row(string(one.Key), one.ID, one.Secret)
	}
	c.flush()
}
