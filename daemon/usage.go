package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// plainUsage has every command say in plain English what is wrong with a command line, where cobra speaks to programmers
// ("accepts 1 arg(s), received 0").
func plainUsage(root *cobra.Command) {
	walk(root, func(cmd *cobra.Command) {
		fits := cmd.Args
		if fits == nil { // the root, whose words cobra takes for commands, and says so
			return
		}
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if fits(cmd, args) != nil {
				return wrongArguments(cmd, args)
			}
			if err := twoOfOne(cmd); err != nil {
				return err
			}
			return missingFlags(cmd)
		}
	})
}

// wrongArguments says what a command wants instead of these arguments.
func wrongArguments(cmd *cobra.Command, args []string) error {
	path := cmd.CommandPath()
	_, want, takesSome := strings.Cut(cmd.Use, " ")
	subs := orList(subcommands(cmd))
	switch {
	case subs != "" && takesSome:
		return fmt.Errorf("unknown command %q for %q: want %s, or no command, as in '%s %s'", args[0], path, subs, path, want)
	case subs != "":
		return fmt.Errorf("unknown command %q for %q: want %s", args[0], path, subs)
	case !takesSome || strings.HasPrefix(want, "--"):
		return fmt.Errorf("%s takes flags only, and %q is none", path, args[0])
	}
	given := fmt.Sprintf("%d arguments were", len(args))
	switch len(args) {
	case 0:
		given = "no argument was"
	case 1:
		given = "1 argument was"
	}
	return fmt.Errorf("want '%s %s', and %s given", path, want, given)
}

// missingFlags names those that a command cannot do without.
func missingFlags(cmd *cobra.Command) error {
	var missing []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Annotations[cobra.BashCompOneRequiredFlag] != nil && !f.Changed {
			missing = append(missing, "--"+f.Name)
		}
	})
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%s needs %s", cmd.CommandPath(), strings.Join(missing, " and "))
}

// exclusive are the flags, by the first of them, of which a command takes one at a time.
const exclusive = "slipway_exclusive"

// oneOf has a command take one of these flags at a time; the others are not completed once one is typed.
func oneOf(cmd *cobra.Command, flags ...string) {
	cmd.MarkFlagsMutuallyExclusive(flags...)
	first := cmd.Flags().Lookup(flags[0])
	if first.Annotations == nil {
		first.Annotations = map[string][]string{}
	}
	first.Annotations[exclusive] = flags
}

// twoOfOne refuses flags that exclude one another.
func twoOfOne(cmd *cobra.Command) (err error) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		var given []string
		for _, name := range f.Annotations[exclusive] {
			if cmd.Flags().Changed(name) {
				given = append(given, "--"+name)
			}
		}
		if len(given) > 1 {
			err = fmt.Errorf("give %s, not more than one of them", orList(given))
		}
	})
	return err
}

// subcommands are the names of the commands below one.
func subcommands(cmd *cobra.Command) (names []string) {
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return names
}
