//go:build manual

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/config"
)

// Built with the tag "manual" the program writes what a package needs to be told about it and ends: `manual DIR` makes
// slipway.8 of the command tree, slipway.yaml.5 of the settings table, and SCHEMA, the catalog's schema for the script
// that refuses a downgrade. It is no command of the product, whose binary then holds no renderer of manuals.
func init() {
	if len(os.Args) != 3 || os.Args[1] != "manual" {
		return
	}
	if err := writeManual(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "slipway manual:", err)
		os.Exit(exitFailed)
	}
	os.Exit(exitDone)
}

func writeManual(dir string) error {
	var commands, settings bytes.Buffer
	commandPage(&commands)
	settingsPage(&settings)
	for name, text := range map[string][]byte{
		"slipway.8":      md2man.Render(commands.Bytes()),
		"slipway.yaml.5": md2man.Render(settings.Bytes()),
		"SCHEMA":         []byte(strconv.Itoa(catalog.Schema) + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// commandPage is slipway(8) in markdown.
func commandPage(w io.Writer) {
	root, _ := newRoot()
	root.InitDefaultCompletionCmd()
	fmt.Fprintf(w, "%% SLIPWAY 8 %s\n\n# NAME\n\nslipway - %s\n\n", releaseDay(), lowerFirst(root.Short))
	fmt.Fprint(w, "# SYNOPSIS\n\n**slipway** *COMMAND* [*ARGUMENT*...] [*FLAG*...]\n\n")
	fmt.Fprintf(w, "# DESCRIPTION\n\n%s\n\n", plain(root.Long))
	fmt.Fprint(w, "# FLAGS OF EVERY COMMAND\n\n")
	flags(w, root.PersistentFlags())
	fmt.Fprint(w, "# COMMANDS\n\n")
	for _, sub := range root.Commands() {
		command(w, sub)
	}
	fmt.Fprint(w, "# FILES\n\n")
	for _, f := range [][2]string{
		{"/etc/slipway/slipway.yaml", "settings, see **slipway.yaml**(5)"},
		{"/var/lib/slipway/drop/", "where members of the group slipway-drop put firmware bundles"},
		{"/var/lib/slipway/keys/ca.crt", "the CA certificate that devices carry"},
		{defaultSocket, "the command line's way to the gateway, for root and the group slipway"},
		{defaultSocket + ".catalog", "a copy of the catalog, at most 64 MiB, after a start on a disk that takes nothing"},
	} {
		fmt.Fprintf(w, "*%s*\n: %s\n\n", f[0], plain(f[1]))
	}
	fmt.Fprint(w, "# A DISK THAT TAKES NOTHING\n\n"+plain("On a disk that is full, out of inodes or read-only the gateway starts and runs: tokens, "+
		"configuration, firmware and the page are served from what can be read, and changes are answered with 507 until the disk takes them. "+
		"'slipway status' says why. Where no copy of the catalog can be made it serves keys, and images by their version, and ends in order once the disk takes something.")+"\n\n")
	fmt.Fprint(w, "# SEE ALSO\n\n**slipway.yaml**(5), **systemctl**(1), **journalctl**(1)\n")
}

// command is the paragraph of a command, then those below it.
func command(w io.Writer, cmd *cobra.Command) {
	if !cmd.IsAvailableCommand() {
		return
	}
	if !cmd.HasAvailableSubCommands() || cmd.Flags().Lookup("format") != nil { // a group prints nothing
		text := cmd.Long
		if text == "" || cmd.Parent().Name() == "completion" { // cobra's words there are a page, a shell
			text = cmd.Short + "."
		}
		fmt.Fprintf(w, "## %s\n\n%s\n\n", plain(strings.TrimSuffix(cmd.UseLine(), " [flags]")), plain(text))
		flags(w, cmd.NonInheritedFlags())
	}
	for _, sub := range cmd.Commands() {
		command(w, sub)
	}
}

func flags(w io.Writer, set *pflag.FlagSet) {
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		if value != "" {
			value = " *" + plain(value) + "*"
		}
		fmt.Fprintf(w, "**--%s**%s\n: %s\n\n", f.Name, value, plain(usage))
	})
}

// settingsPage is slipway.yaml(5) in markdown.
func settingsPage(w io.Writer) {
	fmt.Fprintf(w, "%% SLIPWAY.YAML 5 %s\n\n# NAME\n\nslipway.yaml - settings of the Slipway gateway\n\n", releaseDay())
	fmt.Fprint(w, "# DESCRIPTION\n\nThe file is YAML; a dot in a name below is a level of it. An absent setting has its default. "+
		"Environment variables are stronger (SLIPWAY\\_LISTEN\\_\\_HTTP is listen.http), and **slipway serve --set** *KEY*=*VALUE* is stronger still. "+
		"**slipway config check** checks the file, **slipway config show** shows every value and where it came from.\n\n"+
		"Sizes take B, KiB, MiB and GiB; times take s, m, h and d. A change takes effect when the service is restarted, "+
		"which refuses no connection.\n\n# SETTINGS\n\n")
	for _, s := range config.Settings {
		standard := "empty"
		if s.Default != "" {
			standard = "**" + plain(s.Default) + "**"
		}
		fmt.Fprintf(w, "**%s**\n: %s Default: %s.\n\n", plain(s.Key), plain(s.Meaning), standard)
	}
	fmt.Fprint(w, "# FILES\n\n*/etc/slipway/slipway.yaml*\n\n# SEE ALSO\n\n**slipway**(8)\n")
}

// releaseDay is the day of the commit: two builds of it make the same pages.
func releaseDay() string {
	if at := builtAt(); !at.IsZero() {
		return at.UTC().Format("2006-01-02")
	}
	return ""
}

// plain is text that means nothing to markdown.
var plain = strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "`", "\\`", "<", `\<`, "[", `\[`, "]", `\]`, "#", `\#`).Replace

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
