package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/pkg/espimage"
)

// inspectCommand is `slipway firmware inspect`: what an image or a bundle says of itself. It reads files and needs no
// daemon.
func inspectCommand() *cobra.Command {
	format := textOrJSON("text")
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show what a firmware image or bundle contains",
		Long: "Show what a firmware image (.bin) or a bundle (.zip) contains (chip, segments, versions, hashes), and whether its\n" +
			"checksums are right. The text has the form of esptool image-info.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := inspect(args[0], bundle.Expected{})
			if err != nil {
				return err
			}
			if format == "json" {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				return out.Encode(f)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), f.text())
			return err
		},
	}
	cmd.Flags().Var(&format, "format", "text or json")
	return cmd
}

// textOrJSON is a --format flag; a value that is neither is an error of use.
type textOrJSON string

func (f *textOrJSON) String() string { return string(*f) }
func (f *textOrJSON) Type() string   { return "text|json" }

func (f *textOrJSON) Set(v string) error {
	if v != "text" && v != "json" {
		return errors.New("want text or json")
	}
	*f = textOrJSON(v)
	return nil
}

// inspected is a firmware file: always an image, in a bundle or alone.
type inspected struct {
	Kind string `json:"kind"` // "image" or "bundle"
	*espimage.Image
	Bundle *inspectedBundle `json:"bundle,omitempty"`
}

type inspectedBundle struct {
	Code        string          `json:"model_code"`
	Version     string          `json:"firmware_version"` // that the build is known by
	Size        int64           `json:"size"`
	Files       []inspectedFile `json:"files"`
	ImageSHA256 string          `json:"image_sha256"`
	ELFSHA256   string          `json:"elf_sha256"`
	GitCommit   string          `json:"git_commit"`
	IDFVersion  string          `json:"idf_version"`
	Warnings    []string        `json:"warnings"`
}

type inspectedFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	Packed int64  `json:"packed_size"`
}

func inspect(path string, want bundle.Expected) (inspected, error) {
	file, err := os.Open(path)
	if err != nil {
		return inspected{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return inspected{}, err
	}
	f, err := inspectBytes(file, info.Size(), want)
	if err != nil {
		return inspected{}, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func inspectBytes(r io.ReaderAt, size int64, want bundle.Expected) (inspected, error) {
	start := make([]byte, 4)
	if _, err := r.ReadAt(start, 0); err != nil && !errors.Is(err, io.EOF) {
		return inspected{}, err
	}
	if string(start) != "PK\x03\x04" {
		img, err := espimage.Read(r, size)
		return inspected{Kind: "image", Image: img}, err
	}
	b, err := bundle.Read(r, size, want, bundle.DefaultLimits)
	if err != nil {
		return inspected{}, err
	}
	about := &inspectedBundle{
		Code: b.Code, Version: b.Version, Size: b.Size, ImageSHA256: b.ImageSHA256, ELFSHA256: b.ELFSHA256,
		GitCommit: b.GitCommit, IDFVersion: b.IDFVersion, Warnings: append([]string{}, b.Warnings...),
	}
	for _, f := range b.Files() {
		about.Files = append(about.Files, inspectedFile{f.Name, f.Size, f.Packed})
	}
	return inspected{Kind: "bundle", Image: b.Image, Bundle: about}, nil
}

// text is what esptool image-info prints of the image, with what it does not know before and behind it.
func (f inspected) text() string {
	t := &report{}
	f.bundleText(t)
	img := f.Image
	t.line("Image size: %d bytes", img.Size)
	t.line("Detected image type: %s", img.Type)

	t.title("%s Image Header", img.Chip)
	t.line("Image version: %d", img.Version)
	if img.Entry == 0 {
		t.line("Entry point not set")
	} else {
		t.line("Entry point: %s", img.Entry)
	}
	t.line("Segments: %d", len(img.Segments))
	t.line("Flash size: %s", orUnknown(img.FlashSize))
	t.line("Flash freq: %s", orUnknown(img.FlashFreq))
	t.line("Flash mode: %s", orUnknown(img.FlashMode))

	t.title("%s Extended Image Header", img.Chip)
	disabled := ""
	if img.WPPinOff {
		disabled = " (disabled)"
	}
	t.line("WP pin: %s%s", img.WPPin, disabled)
	t.line("Flash pins drive settings: clk_drv: %s, q_drv: %s, d_drv: %s, cs0_drv: %s, hd_drv: %s, wp_drv: %s",
		img.Drive.Clk, img.Drive.Q, img.Drive.D, img.Drive.CS0, img.Drive.HD, img.Drive.WP)
	t.line("Chip ID: %d (%s)", uint16(img.ChipID), img.Chip)
	t.line("Minimal chip revision: %s, (legacy min_rev = %d)", img.MinRev, img.MinRevOld)
	t.line("Maximal chip revision: %s", img.MaxRev)

	t.title("Segments Information")
	t.line("Segment   Length   Load addr   File offs  Memory types")
	t.line("-------  -------  ----------  ----------  ------------")
	for _, s := range img.Segments {
		t.line("%7d  %s  %s  %s  %s", s.Index, s.Length, s.Address, s.Offset, strings.Join(s.Memories, ", "))
	}

	t.title("%s Image Footer", img.Chip)
	if img.ChecksumValid {
		t.line("Checksum: %s (valid)", img.Checksum)
	} else {
		t.line("Checksum: %s (invalid - calculated %s)", img.Checksum, img.ChecksumCalculated)
	}
	switch {
	case !img.HashAppended:
		t.line("Validation hash: not appended")
	case img.HashValid:
		t.line("Validation hash: %s (valid)", img.Hash)
	default:
		t.line("Validation hash: %s (invalid)", img.Hash)
	}
	f.appText(t)
	f.signatureText(t)
	return t.String()
}

func (f inspected) appText(t *report) {
	app := f.App
	if app == nil {
		return
	}
	t.title("Application Information")
	t.line("Project name: %s", visible(app.Project))
	t.line("App version: %s", visible(app.Version))
	t.line("Compile time: %s", visible(app.CompileTime))
	t.line("ELF file SHA256: %s", app.ELFSHA256)
	t.line("ESP-IDF: %s", visible(app.IDFVersion))
	t.line("Minimal eFuse block revision: %s", app.MinEfuseRev)
	t.line("Maximal eFuse block revision: %s", app.MaxEfuseRev)
	if app.MMUPageSize > 0 {
		t.line("MMU page size: %s", app.MMUPageSize)
	}
	t.line("Secure version: %d", app.SecureVersion)
}

func (f inspected) signatureText(t *report) {
	if f.Signature == nil {
		return
	}
	t.title("Secure Boot Signature")
	t.line("Version: %d", f.Signature.Version)
	for i, k := range f.Signature.Keys {
		t.line("Key %d: %s, image digest %s, block checksum %s", i, k.Scheme, validity(k.DigestValid), validity(k.CRCValid))
	}
}

func (f inspected) bundleText(t *report) {
	b := f.Bundle
	if b == nil {
		return
	}
	t.line("Bundle for model %s: %d bytes", b.Code, b.Size)
	t.line("Firmware version: %s", visible(b.Version))
	for _, file := range b.Files {
		t.line("%10d  %s", file.Size, file.Name)
	}
	t.line("Image SHA256: %s", b.ImageSHA256)
	t.line("ELF SHA256: %s", b.ELFSHA256)
	t.line("Git commit: %s", visible(b.GitCommit))
	for _, w := range b.Warnings {
		t.line("Warning: %s", visible(w))
	}
	t.line("")
}

// report is lines and underlined titles.
type report struct{ strings.Builder }

func (t *report) line(format string, args ...any) {
	t.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

func (t *report) title(format string, args ...any) {
	title := fmt.Sprintf(format, args...)
	t.WriteString("\n" + title + "\n" + strings.Repeat("=", len(title)) + "\n")
}

// visible shows foreign text on a terminal without letting it steer the terminal.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7F && r < 0xA0 {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

func validity(ok bool) string {
	if ok {
		return "valid"
	}
	return "invalid"
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
