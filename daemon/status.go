package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
)

// errTrouble has status end with 1, for scripts.
var errTrouble = errors.New("the gateway is in trouble")

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "status", Short: "Show the gateway's state, where to drop firmware, and what is wrong", Args: cobra.NoArgs}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		answer, err := connect(cmd).get(cmd.Context(), path("status"))
		if err != nil {
			return err
		}
		if err := show(cmd, format, answer, statusText); err != nil {
			return err
		}
		if s, err := as[api.Status](answer); err != nil || !s.Healthy {
			return cmp.Or(err, errTrouble)
		}
		return nil
	}
	return cmd
}

func statusText(w io.Writer, s api.Status) {
	health := "healthy"
	if !s.Healthy {
		health = "in trouble"
	}
	fmt.Fprintf(w, "slipway %s is %s, up since %s\n\n", visible(s.Version), health, localTime(s.StartedAt))
	for _, t := range s.Trouble {
		fmt.Fprintf(w, "trouble: %s\n", visible(t))
	}
	for _, t := range s.Warnings {
		fmt.Fprintf(w, "warning: %s\n", visible(t))
	}
	if len(s.Trouble)+len(s.Warnings) > 0 {
		fmt.Fprintln(w)
	}
	fields(w,
		"page", s.BaseURL,
		"listens on", s.Listens,
		"drop firmware into", s.DropFolder,
		"CA certificate", s.CAFile,
		"CA fingerprint", sha256Text(s.CAFingerprint),
		"certificate ends", localTime(s.CertificateTo),
		"models", strconv.Itoa(s.Models),
		"devices", strconv.Itoa(s.Devices),
		"core dumps", fmt.Sprintf("%d (%s)", s.Dumps, bytesText(s.DumpBytes)),
		"not yet reported", s.Unreported(),
		"open crashes", strconv.Itoa(s.OpenCrashes),
		"regrouped", s.Regrouped,
		"firmware", bytesText(s.AssetBytes),
		"free", bytesText(s.FreeBytes),
	)
	if len(s.CI) > 0 {
		fmt.Fprintf(w, "\na CI job pushes with (%sa token: slipway token create --role pipeline --model MODEL_CODE):\n", caStep(s))
		for _, line := range s.CI {
			fmt.Fprintf(w, "  %s\n", visible(line))
		}
	}
	if next := nextStep(s); next != "" {
		fmt.Fprintf(w, "\nnext: %s\n", next)
	}
}

func sha256Text(fingerprint string) string {
	if fingerprint == "" {
		return ""
	}
	return "SHA-256 " + fingerprint
}

// caStep says how a job gets the CA that its line names.
func caStep(s api.Status) string {
	if s.CAFingerprint == "" || !strings.HasPrefix(s.BaseURL, "https:") {
		return ""
	}
	return "ca.crt: from " + s.BaseURL + "/ca.crt, once, its fingerprint compared with the above; "
}

// nextStep tells a newcomer how to go on, until the first firmware is there.
func nextStep(s api.Status) string {
	switch {
	case s.Models == 0:
		return "slipway model add CODE"
	case s.Devices == 0:
		return "slipway device add --model CODE"
	case s.AssetBytes == 0 && s.DropFolder != "":
		return "copy a model's firmware ZIP into " + s.DropFolder
	case s.AssetBytes == 0:
		return "push a model's firmware ZIP from CI"
	}
	return ""
}

func bytesText(n int64) string {
	return humanize.IBytes(uint64(max(n, 0)))
}

// plural prints "1 device added" or "3 devices added".
func plural(w io.Writer, n int, noun, done string) {
	if n != 1 {
		noun += "s"
	}
	fmt.Fprintf(w, "%d %s %s\n", n, noun, done)
}
