package gateway

import (
	"os"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/backup"
	"github.com/slipway-gateway/slipway/pkg/operator"
	"github.com/slipway-gateway/slipway/pkg/page"
)

// pageGateway is what the page asks about the whole: the overview, with what only the page shows.
type pageGateway struct{ *overview }

// Status has the CA and the lines for CI with it.
func (g pageGateway) Status() (api.Status, error) {
	s, err := g.overview.Status()
	if err != nil {
		return s, err
	}
	ca, err := g.CA()
	if err != nil {
		return s, err
	}
	s.CAFingerprint = operator.Fingerprint(ca)
	s.CI = operator.CILines(s.BaseURL, ca != nil && strings.HasPrefix(s.BaseURL, "https:"))
	return s, nil
}

// Settings are all, as `slipway config show` prints them.
func (g pageGateway) Settings() []page.Setting {
	values := g.cfg.Values()
	all := make([]page.Setting, len(values))
	for i, v := range values {
		all[i] = page.Setting{Key: v.Key, Value: v.Value, Source: v.Source}
	}
	return all
}

// NewestBackup is the file of the newest copy and when it was written, "" where there is none that can be seen.
func (g pageGateway) NewestBackup() (file string, at time.Time, off bool) {
	file, err := backup.Newest(g.cfg.BackupDir(), time.Now())
	if err != nil || file == "" {
		return "", at, g.backups == nil
	}
	if info, err := os.Stat(file); err == nil {
		at = info.ModTime().UTC()
	}
	return file, at, g.backups == nil
}
