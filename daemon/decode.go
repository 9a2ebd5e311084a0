package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/espcore"
)

// mostDump bounds what is read as a dump: an upload has at most 1 MiB, twice that as text; a file from a laboratory may
// have the whole external memory, up to 32 MiB.
const mostDump = 96 << 20

// decodeCommand is `slipway decode`: what a core dump means. It reads files and needs no daemon.
func decodeCommand() *cobra.Command {
	var roms, chip, model string
	cmd := &cobra.Command{
		Use:   "decode CORE [ELF]",
		Short: "Show what a core dump means",
		Long: "Show what a core dump means: why the device crashed, and what each task was doing, as GDB's backtrace shows it.\n" +
			"CORE is a dump in any form: a partition or a whole flash, a container, a core file, a log, base64, hex,\n" +
			"JSON, gzip or ZIP around it; or the text of a panic without a dump. ELF is the ELF file of the firmware, or the\n" +
			"bundle that contains it. A wrong ELF is used as well, and the report says that it is wrong; without one the report\n" +
			"shows what the dump itself contains.",
		Args: cobra.RangeArgs(1, 2),
	}
	format := addFormat(cmd)
	cmd.Flags().StringVar(&roms, "rom", "", "folder with Espressif's ROM ELF files, to name functions in ROM")
	cmd.Flags().StringVar(&chip, "chip", "", "the chip, such as ESP32-C3, if the dump does not name it; for --rom")
	cmd.Flags().StringVar(&model, "model", "", "code of the device's model, for the fingerprint (default: the bundle's)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dump, err := readDump(args[0])
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		elf := &symbols{}
		if len(args) > 1 {
			if elf, err = openSymbols(args[1]); err != nil {
				return fmt.Errorf("%s: %w", args[1], err)
			}
		}
		if model == "" {
			model = elf.model
		}
		if dump.Chip != "" {
			chip = dump.Chip
		}
		options := espcore.Options{ELFSHA256: elf.sha256, Model: model}
		if roms != "" {
			rom, err := openROM(roms, chip, dump.Revision)
			if err != nil {
				return err
			}
			options.ROM = rom.name
		}
		report := espcore.Decode(dump, elf.index, options)
		if *format == "json" {
			out := json.NewEncoder(cmd.OutOrStdout())
			out.SetIndent("", "  ")
			return out.Encode(report)
		}
		return report.WriteText(cmd.OutOrStdout())
	}
	return cmd
}

func readDump(path string) (*espcore.Dump, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, mostDump+1))
	if err != nil {
		return nil, err
	}
	if len(data) > mostDump {
		return nil, fmt.Errorf("larger than %d bytes, more than any core dump", mostDump)
	}
	return espcore.Read(data)
}
