package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// errNotWanted is a question that was not answered with yes.
var errNotWanted = errors.New("nothing was changed")

// addYes adds --yes, which commands that cannot be taken back have.
func addYes(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("yes", false, "do not ask, for scripts")
}

// sure asks before what cannot be undone; a script says --yes.
func sure(cmd *cobra.Command, yes bool, question string, args ...any) error {
	if err := mayAsk(cmd, yes); err != nil || yes {
		return err
	}
	return ask(cmd.InOrStdin(), cmd.ErrOrStderr(), fmt.Sprintf(question, args...))
}

// mayAsk reports that somebody is there to be asked; a script has to say --yes.
func mayAsk(cmd *cobra.Command, yes bool) error {
	in, ok := cmd.InOrStdin().(*os.File)
	if yes || ok && term.IsTerminal(int(in.Fd())) {
		return nil
	}
	return usagef("%s cannot be undone and asks first, and nobody can answer here: add --yes", strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" "))
}

// ask asks a question; only y and yes are a yes.
func ask(in io.Reader, out io.Writer, question string) error {
	fmt.Fprintf(out, "%s [y/N] ", question)
	line, err := bufio.NewReader(io.LimitReader(in, 1024)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errNotWanted
}
