package gateway

import (
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/backup"
	"github.com/slipway-gateway/slipway/pkg/operator"
	"github.com/slipway-gateway/slipway/pkg/page"
)

// pageGateway is what the page asks about the whole: the overview, with what only the page shows.
type pageGateway struct {
	*overview
	metrics *metrics
}

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

// Folders are what takes room on the disk, by kind, in bytes. What cannot be measured is left out: that is trouble of the disk.
func (g pageGateway) Folders() (all []page.Folder) {
	if bytes, err := g.depot.Usage(); err == nil {
		all = append(all, page.Folder{Name: "firmware", Bytes: bytes})
	}
	if bytes, ok := g.dumps.Usage(); ok {
		all = append(all, page.Folder{Name: "core dumps", Bytes: bytes})
	}
	for _, one := range []struct{ name, dir string }{{"catalog", g.cfg.CatalogDir}, {"backups", g.cfg.BackupDir()}} {
		if bytes, err := onDisk(one.dir); err == nil {
			all = append(all, page.Folder{Name: one.name, Bytes: bytes})
		}
	}
	return all
}

// onDisk is what the files of a folder take on the disk, in bytes: the catalog's logs are longer than what is in them.
func onDisk(dir string) (bytes int64, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		info, gone := e.Info()
		if gone != nil {
			continue // meanwhile
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			bytes += stat.Blocks * 512
		}
	}
	return bytes, err
}

// Decoding is what the worker does that reads dumps.
func (g pageGateway) Decoding() page.Decoding {
	d := page.Decoding{Died: int(g.metrics.died.Load())}
	if at := g.metrics.last.Load(); at > 0 {
		d.LastAt = time.UnixMilli(at).UTC()
	}
	return d
}
