package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/slipway-gateway/slipway/pkg/backup"
)

const (
	leastPassphrase = 12      // characters: a backup may be carried away and tried on for years
	mostPassphrase  = 1 << 10 // bytes
)

func addPassphraseFile(cmd *cobra.Command) *string {
	return cmd.Flags().String("passphrase-file", "", "a `FILE` whose first line is the passphrase, - for standard input")
}

// newPassphrase is for a backup that is made.
func newPassphrase(cmd *cobra.Command, file string) (string, error) {
	if file != "" {
		passphrase, err := readPassphrase(cmd, file)
		if err != nil {
			return "", err
		}
		return passphrase, checkPassphrase(passphrase)
	}
	passphrase, err := askHidden(cmd, "passphrase for the backup: ")
	if err != nil {
		return "", err
	}
	if err := checkPassphrase(passphrase); err != nil {
		return "", err
	}
	again, err := askHidden(cmd, "the same again: ")
	if err == nil && again != passphrase {
		err = errors.New("the two passphrases differ: nothing was written")
	}
	return passphrase, err
}

func checkPassphrase(p string) error {
	if len([]rune(p)) < leastPassphrase {
		return fmt.Errorf("the passphrase has fewer than %d characters: take a longer one, such as five words", leastPassphrase)
	}
	return nil
}

// readPassphrase reads the first line of a file.
func readPassphrase(cmd *cobra.Command, file string) (string, error) {
	in, _, err := openInput(cmd, file)
	if err != nil {
		return "", err
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, mostPassphrase))
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", fmt.Errorf("%s has no passphrase in its first line", file)
	}
	return line, nil
}

// askHidden asks on the terminal for a secret, and what is typed is not shown.
func askHidden(cmd *cobra.Command, prompt string) (string, error) {
	fd := int(os.Stdin.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", usagef("there is no terminal to ask for a passphrase: use --passphrase-file, or a key")
	}
	fmt.Fprint(cmd.ErrOrStderr(), prompt)
	type typed struct {
		line []byte
		err  error
	}
	done := make(chan typed, 1)
	go func() {
		line, err := term.ReadPassword(fd)
		done <- typed{line, err}
	}()
	select {
	case t := <-done:
		fmt.Fprintln(cmd.ErrOrStderr())
		return string(t.line), t.err
	case <-cmd.Context().Done(): // interrupted: a terminal that does not echo must not be left behind
		fmt.Fprintln(cmd.ErrOrStderr())
		return "", errors.Join(context.Cause(cmd.Context()), term.Restore(fd, before))
	}
}

// openFlags say what opens a backup.
type openFlags struct{ keyFile, passphraseFile *string }

func addOpenFlags(cmd *cobra.Command) *openFlags {
	return &openFlags{
		keyFile:        cmd.Flags().String("key", "", "a `FILE` with the age key that opens it, - for standard input (default: the key of this gateway's daily backups)"),
		passphraseFile: addPassphraseFile(cmd),
	}
}

// by says what opens a backup, and returns the reader to read it from.
func (f *openFlags) by(cmd *cobra.Command, sealed io.Reader, settings *settingsFlags) (io.Reader, []age.Identity, error) {
	asks, sealed, err := backup.AsksForPassphrase(sealed)
	switch {
	case err != nil:
		return nil, nil, err
	case *f.keyFile != "" && *f.passphraseFile != "":
		return nil, nil, usagef("use --key or --passphrase-file, not both")
	case *f.keyFile != "":
		in, _, err := openInput(cmd, *f.keyFile)
		if err != nil {
			return nil, nil, err
		}
		defer in.Close()
		by, err := backup.ByKeys(in)
		if err != nil {
			err = fmt.Errorf("%s: %w", *f.keyFile, err)
		}
		return sealed, by, err
	case !asks && *f.passphraseFile == "":
		by, err := ownKey(cmd, settings)
		return sealed, by, err
	}
	var passphrase string
	if *f.passphraseFile != "" {
		passphrase, err = readPassphrase(cmd, *f.passphraseFile)
	} else {
		passphrase, err = askHidden(cmd, "passphrase of the backup: ")
	}
	if err != nil {
		return nil, nil, err
	}
	id, err := backup.ByPassphrase(passphrase)
	return sealed, []age.Identity{id}, err
}

// ownKey is the key of the daily backups, where this gateway still has it.
func ownKey(cmd *cobra.Command, settings *settingsFlags) ([]age.Identity, error) {
	cfg, err := settings.load(cmd)
	if err != nil {
		return nil, err
	}
	key, err := backup.ReadKey(cfg.KeysDir())
	if err != nil {
		return nil, usagef("the backup opens with a key, and this gateway's own cannot be read (%v): name it with --key", err)
	}
	return backup.ByKeys(strings.NewReader(key.Secret))
}
