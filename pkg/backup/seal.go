package backup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"

	"github.com/slipway-gateway/slipway/pkg/catalog"
)

// Work factors of scrypt, as powers of two: 16 takes 64 MiB, which a gateway of 512 MB has for a second; age's own
// program takes 18, 256 MiB.
const (
	workFactor     = 16
	mostWorkFactor = 18
)

// ForPassphrase is who a backup is encrypted to that a passphrase opens. It can be the only one.
func ForPassphrase(passphrase string) (age.Recipient, error) {
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	r.SetWorkFactor(workFactor)
	return r, nil
}

// ByPassphrase opens what [ForPassphrase] has encrypted.
func ByPassphrase(passphrase string) (age.Identity, error) {
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	id.SetMaxWorkFactor(mostWorkFactor)
	return id, nil
}

// AsksForPassphrase reports that a backup opens with a passphrase and not with a key. What it has looked at comes again
// from the reader that it returns.
func AsksForPassphrase(r io.Reader) (bool, io.Reader, error) {
	const begins = "age-encryption.org/v1\n-> scrypt "
	in := bufio.NewReader(r)
	head, err := in.Peek(len(begins))
	if err != nil && !errors.Is(err, io.EOF) {
		return false, nil, err
	}
	return string(head) == begins, in, nil
}

// Open reads an encrypted backup to its end.
func Open(r io.Reader, to Taker, by ...age.Identity) error {
	plain, err := age.Decrypt(r, by...)
	var noMatch *age.NoIdentityMatchError
	switch {
	case errors.As(err, &noMatch):
		return errors.New("neither this passphrase nor this key opens the backup")
	case err != nil:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	sealed := &unsealed{in: plain}
	err = Read(sealed, to)
	if sealed.err != nil { // before whatever came of it
		return fmt.Errorf("%w: %w", ErrDamaged, sealed.err)
	}
	return err
}

// unsealed remembers that the encryption did not hold: whoever reads through it may call that by another name.
type unsealed struct {
	in  io.Reader
	err error
}

func (u *unsealed) Read(b []byte) (int, error) {
	n, err := u.in.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		u.err = err
	}
	return n, err
}

// Contents is what a backup was found to hold.
type Contents struct {
	Manifest
	Settings bool `json:"settings"`
	Keys     int  `json:"keys"`
	Records  int  `json:"records"` // of the catalog
}

// Check reads an encrypted backup to its end and compares every hash in it.
func Check(r io.Reader, by ...age.Identity) (Contents, error) {
	var c Contents
	err := Open(r, Taker{
		Manifest: func(m Manifest) error { c.Manifest = m; return nil },
		Settings: func(b []byte) error { c.Settings = b != nil; return nil },
		Key:      func(string, []byte) error { c.Keys++; return nil },
		Catalog: func(r io.Reader) (err error) {
			c.Records, err = catalog.CheckBackup(r)
			return err
		},
	}, by...)
	return c, err
}

// ParseRecipient reads an age recipient, age1….
func ParseRecipient(s string) (age.Recipient, error) {
	all, err := age.ParseRecipients(strings.NewReader(s))
	if err != nil || len(all) != 1 {
		return nil, fmt.Errorf("%q is not an age recipient: want one such as age1…", s)
	}
	return all[0], nil
}

// ByKeys opens with age identities, AGE-SECRET-KEY-1…, one in a line, as age-keygen and `slipway backup key` print them.
func ByKeys(lines io.Reader) ([]age.Identity, error) {
	ids, err := age.ParseIdentities(lines)
	if err != nil {
		return nil, errors.New("want lines AGE-SECRET-KEY-1…, as 'slipway backup key' prints them")
	}
	return ids, nil
}
