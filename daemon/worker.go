package main

import (
	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/decoding"
)

// workerCommand is the process that decodes. The gateway starts it; nobody else has a use for it.
func workerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "worker",
		Short:  "Decode dumps for the gateway",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return decoding.Work(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}
