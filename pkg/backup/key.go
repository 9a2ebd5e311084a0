package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"github.com/slipway-gateway/slipway/pkg/durable"
)

// A Key is what daily copies are encrypted to: whoever has it written down opens a copy that lies elsewhere.
type Key struct {
	Recipient string `json:"recipient"` // age1…, public
	Secret    string `json:"key"`       // AGE-SECRET-KEY-1…
}

// ReadKey reads the key in a keys' folder.
func ReadKey(keysDir string) (Key, error) {
	text, err := os.ReadFile(filepath.Join(keysDir, KeyName))
	if err != nil {
		return Key{}, err
	}
	ids, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", filepath.Join(keysDir, KeyName), err)
	}
	id, ok := ids[0].(*age.X25519Identity)
	if len(ids) != 1 || !ok {
		return Key{}, fmt.Errorf("%s: want one line AGE-SECRET-KEY-1…", filepath.Join(keysDir, KeyName))
	}
	return Key{Recipient: id.Recipient().String(), Secret: id.String()}, nil
}

// ensureKey reads the key, or makes it the first time: not where there are copies, which open with the lost one only.
func ensureKey(keysDir, copies string, now time.Time) (*age.X25519Identity, error) {
	key, err := ReadKey(keysDir)
	if err == nil {
		return age.ParseX25519Identity(key.Secret)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if newest, err := Newest(copies, now); err != nil || newest != "" {
		return nil, errors.Join(err, fmt.Errorf("%s is lost, and %s opens with no other key: put it back from where it was kept, or move the copies away",
			filepath.Join(keysDir, KeyName), newest))
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	text := fmt.Appendf(nil, "# created: %s\n# public key: %s\n%s\n", now.UTC().Format(time.RFC3339), id.Recipient(), id)
	return id, durable.WriteFile(filepath.Join(keysDir, KeyName), text, 0o600)
}
