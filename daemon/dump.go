package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/espcore"
)

// dumpCommand is `slipway dump`: the core dumps that devices have uploaded.
func dumpCommand() *cobra.Command {
	return group("dump", "Core dumps: list, show, fetch, decode again and remove them",
		dumpListCommand(), dumpShowCommand(), dumpGetCommand(), dumpDecodeCommand(), dumpRmCommand())
}

func dumpListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the core dumps, newest first", Args: cobra.NoArgs}
	flags := addListFlags(cmd, "uploaded")
	device := cmd.Flags().String("device", "", "only those of this device")
	model := cmd.Flags().String("model", "", "only those of this model")
	state := cmd.Flags().String("state", "", "only those in this state: waiting, missing (the firmware is not here), reported or failed")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		answer, err := flags.get(cmd, path("coredumps"), "coredumps", map[string]string{"device": *device, "model": *model, "state": *state})
		if err != nil {
			return err
		}
		return show(cmd, flags.format, answer, func(w io.Writer, v api.Dumps) {
			c := newColumns(w, "DEVICE", "NAME", "MODEL", "VERSION", "CHIP", "SIZE", "UPLOADED", "STATE", "WANTS", "REASON")
			for _, d := range v.Dumps {
				c.row(string(d.Device), string(d.Name), string(d.Model), d.FirmwareVersion, d.Chip, bytesText(d.Size),
					localTime(d.UploadedAt), d.State, wanted(d), cmp.Or(d.Reason, d.Why))
			}
			c.flush()
		})
	}
	return cmd
}

// wanted is the ELF that a dump waits for, short: the version is in the row already.
func wanted(d api.Dump) string {
	switch {
	case d.Wants == "":
		return ""
	case d.ELFHash == "":
		return "build " + d.FirmwareVersion
	}
	return "ELF " + d.ELFHash + "… (" + d.FirmwareVersion + ")"
}

func dumpShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show DEVICE NAME | latest",
		Short: "Show a core dump and its crash report",
		Args:  cobra.ExactArgs(2),
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		address, err := dumpOrLatest(cmd, args)
		if err != nil {
			return err
		}
		answer, err := connect(cmd).get(cmd.Context(), address)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, dumpText)
	}
	return cmd
}

// reported is a dump with its report, once it has one.
type reported struct {
	api.Dump
	Report *espcore.Report `json:"report"`
}

func dumpText(w io.Writer, v reported) {
	d := v.Dump
	again := ""
	if d.Again {
		again = "in its turn"
	}
	fields(w, "device_key", string(d.Device), "model_code", string(d.Model), "name", string(d.Name), "chip", d.Chip,
		"firmware_version", d.FirmwareVersion, "uploaded_at", localTime(d.UploadedAt), "size", fmt.Sprintf("%s (%d bytes)", bytesText(d.Size), d.Size), "sha256", d.SHA256,
		"state", d.State, "decoded_again", again, "why", d.Why, "wants", d.Wants, "elf_hash", d.ELFHash, "build", string(d.Build), "grade", d.Grade, "reason", d.Reason, "top_frame", d.TopFrame,
		"fingerprint", d.Fingerprint, "disagreements", strings.Join(d.Disagree, "; "))
	if v.Report != nil {
		fmt.Fprintln(w)
		_ = v.Report.WriteText(w) // into memory
	}
}

// latestDump stands for the name of a device's newest dump.
const latestDump = "latest"

// dumpOrLatest is the address of a dump.
func dumpOrLatest(cmd *cobra.Command, args []string) (string, error) {
	if args[1] != latestDump {
		return dumpPath(args), nil
	}
	answer, err := connect(cmd).get(cmd.Context(), path("coredumps")+"?"+url.Values{"device": {args[0]}, "limit": {"1"}}.Encode())
	if err != nil {
		return "", err
	}
	list, err := as[api.Dumps](answer)
	if err != nil {
		return "", err
	}
	if len(list.Dumps) == 0 {
		return "", &answerError{status: http.StatusNotFound, message: "device " + args[0] + " has no core dump"}
	}
	return dumpPath([]string{args[0], string(list.Dumps[0].Name)}), nil
}

func dumpGetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get DEVICE NAME | latest",
		Short: "Fetch a core dump as it was uploaded",
		Long:  "Fetch a core dump as it was uploaded, into NAME.dmp in this folder unless --output says otherwise.",
		Args:  cobra.ExactArgs(2),
	}
	output := cmd.Flags().StringP("output", "o", "", "file to write; - is standard output")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		address, err := dumpOrLatest(cmd, args)
		if err != nil {
			return err
		}
		resp, err := connect(cmd).do(cmd.Context(), http.MethodGet, address+"/file", nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if *output == standardInput {
			_, err = io.Copy(cmd.OutOrStdout(), resp.Body)
			return err
		}
		name := *output
		if name == "" {
			name = dumpName(filepath.Base(address)) + ".dmp"
		}
		if err := writeNew(name, resp.Body); err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), name)
		return err
	}
	return cmd
}

// writeNew writes a file that must not be there yet, and leaves none behind that is not whole.
func writeNew(name string, r io.Reader) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: remove it, or name another file with --output", name)
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(file, r)
	if err = errors.Join(err, file.Close()); err != nil {
		os.Remove(name)
	}
	return err
}

func dumpDecodeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "decode DEVICE NAME | latest",
		Short: "Have a core dump decoded again",
		Long: "Have a core dump decoded again, whatever became of it before: with the firmware that is here now, and by the rules of this\n" +
			"version. Its crash is counted once, and goes to another group where its report says so. 'slipway dump show' has what comes\n" +
			"of it; a file that is not on the gateway is decoded by 'slipway decode'.",
		Args: cobra.ExactArgs(2),
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		address, err := dumpOrLatest(cmd, args)
		if err != nil {
			return err
		}
		if _, err := connect(cmd).send(cmd.Context(), http.MethodPost, address+"/decode", nil); err != nil {
			return err
		}
		name := filepath.Base(address)
		return say(cmd, format, map[string]string{"decoded_again": name, "device_key": args[0]}, "%s of %s is decoded again", name, args[0])
	}
	return cmd
}

func dumpRmCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "rm DEVICE NAME", Short: "Remove a core dump", Args: cobra.ExactArgs(2)}
	format := addFormat(cmd)
	yes := addYes(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := sure(cmd, *yes, "Remove %s of %s?", dumpName(args[1]), args[0]); err != nil {
			return err
		}
		if _, err := connect(cmd).send(cmd.Context(), http.MethodDelete, dumpPath(args), nil); err != nil {
			return err
		}
		return say(cmd, format, map[string]string{"removed": dumpName(args[1]), "device_key": args[0]}, "removed %s of %s", dumpName(args[1]), args[0])
	}
	return cmd
}

func dumpPath(args []string) string { return path("coredumps", args[0], dumpName(args[1])) }

// dumpName takes what an upload's answer calls the file, too.
func dumpName(s string) string { return strings.TrimSuffix(s, ".dmp") }
