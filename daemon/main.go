// Command slipway is the gateway and its command line. This file has the table of commands and what their errors mean
// to a shell; the gateway is pkg/gateway.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/slipway-gateway/slipway/pkg/config"
)

func main() {
	growStack()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// growStack has the stack grow once, while there is next to nothing on it. Each time that it grows later the runtime looks up
// all functions that are on it, in tables that lie all over the program: 0.8 MB of its pages, and a tenth of a decode's time.
//
//go:noinline
func growStack() byte {
	var room [32 << 10]byte
	return room[len(os.Args)]
}

// commands is the table: all that slipway can be asked to do, by the names of the commands.
func commands() []maker {
	return []maker{
		{"serve", serveCommand},
		{"status", statusCommand},
		{"model", modelCommand},
		{"device", deviceCommand},
		{"firmware", firmwareCommand},
		{"rollout", rolloutCommand},
		{"dump", dumpCommand},
		{"drop", dropCommand},
		{"wanted", wantedCommand},
		{"trouble", troubleCommand},
		{"crash", crashCommand},
		{"decode", decodeCommand},
		{"simulate", simulateCommand},
		{"token", tokenCommand},
		{"login", loginCommand},
		{"logout", logoutCommand},
		{"clock", clockCommand},
		{"events", eventsCommand},
		{"webhook", webhookCommand},
		{"audit", auditCommand},
		{"catalog", catalogCommand},
		{"backup", backupCommand},
		{"config", configCommand},
		{"version", versionCommand},
		{"worker", workerCommand},
	}
}

type maker struct {
	name string
	make func() *cobra.Command
}

// The exit codes, which scripts rely on.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2 // a command, a flag or a setting that is wrong
	exitNotFound = 3
	exitNoDaemon = 4
	exitNotEnded = 5 // a rollout, when a wait for it was over
)

// run is one call of the program, from its arguments to its exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root, started := newRoot(args...)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	if !*started { // the command line was refused before a command ran
		err = &usageError{err}
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	errOut = root.ErrOrStderr()
	fmt.Fprintf(errOut, "slipway: %v\n", err)
	if usage := (*usageError)(nil); errors.As(err, &usage) {
		fmt.Fprintf(errOut, "see '%s --help'\n", cmd.CommandPath())
	}
	return exitCode(err)
}

// newRoot makes the command tree; started becomes true once the command line was found right and its command runs. Of a
// line that begins with a command the others are not made: most calls are a script's, or the gateway's of its workers.
func newRoot(line ...string) (root *cobra.Command, started *bool) {
	root = &cobra.Command{
		Use:   "slipway",
		Short: "A gateway for fleets of ESP32 devices",
		Long: "Slipway hands firmware and configuration to ESP32 devices on the local network and takes their core dumps.\n" +
			"All commands but serve, config, version, catalog new, backup restore and those that read files (decode, firmware inspect)\n" +
			"ask the running gateway: the one on this machine through its socket, or one elsewhere with --url and a token.\n\n" +
			"Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 no gateway answers, 5 not ended\n" +
			"(only rollout wait).",
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          needsSubcommand,
	}
	addReachFlags(root)
	plainFlags(root)
	all := commands()
	if i := slices.IndexFunc(all, func(c maker) bool { return len(line) > 0 && c.name == line[0] }); i >= 0 {
		all = all[i : i+1]
	}
	for _, c := range all {
		root.AddCommand(c.make())
	}
	plainUsage(root)
	addExamples(root)
	addCompletion(root)
	started = new(bool)
	noteStart(root, started)
	return root, started
}

// plainFlags leaves out of every help that a switch may be given as --switch=true: it hides what the switch is for.
func plainFlags(root *cobra.Command) {
	const noise = "[=true|false]"
	cobra.AddTemplateFunc("flagUsages", func(set *pflag.FlagSet) string {
		return strings.ReplaceAll(set.FlagUsages(), noise, strings.Repeat(" ", len(noise)))
	})
	template := root.UsageTemplate()
	for _, set := range []string{"LocalFlags", "InheritedFlags"} {
		template = strings.ReplaceAll(template, "{{."+set+".FlagUsages", "{{flagUsages ."+set)
	}
	root.SetUsageTemplate(template)
}

// noteStart wraps every command of the tree: what cobra refuses before is wrong use.
func noteStart(cmd *cobra.Command, started *bool) {
	if runE := cmd.RunE; runE != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*started = true
			return runE(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		noteStart(sub, started)
	}
}

// group is a command that only has others below it.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: needsSubcommand}
	cmd.AddCommand(subs...)
	return cmd
}

func needsSubcommand(cmd *cobra.Command, _ []string) error {
	return usagef("%s needs a command: %s", cmd.CommandPath(), orList(subcommands(cmd)))
}

// usageError is a command line that cannot be carried out as it stands.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// exitCode says what an error means to a shell.
func exitCode(err error) int {
	var usage *usageError
	var setting *config.Error
	var answer *answerError
	var going *notEndedError
	switch {
	case errors.As(err, &usage), errors.As(err, &setting):
		return exitUsage
	case errors.Is(err, errNoDaemon):
		return exitNoDaemon
	case errors.As(err, &going):
		return exitNotEnded
	case errors.As(err, &answer) && answer.notFound(), errors.Is(err, fs.ErrNotExist):
		return exitNotFound
	}
	return exitFailed
}
