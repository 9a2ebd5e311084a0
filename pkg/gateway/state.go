package gateway

import (
	"context"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/certificate"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/operator"
)

// status is what `slipway status` and the page tell.
func (g *Gateway) status() (operator.Status, error) {
	s := operator.Status{
		Version: g.binary.Version, StartedAt: g.started.UTC(), Trouble: g.trouble(), Listens: g.doors.addresses(), BaseURL: g.baseURL(),
		DropFolder: g.cfg.DropDir, CAFile: g.identity.CAFile(), CertificateTo: g.identity.NotAfter(),
	}
	if s.Trouble == nil {
		s.Trouble = []string{}
	}
	s.Healthy = g.ready() && len(s.Trouble) == 0
	models, err := g.store.Models()
	if err != nil {
		return s, err
	}
	s.Models = len(models)
	if s.Devices, err = g.store.CountDevices(""); err != nil {
		return s, err
	}
	for _, state := range crash.States {
		n, err := g.store.CountCrashes(state)
		if err != nil {
			return s, err
		}
		s.Dumps += n
		switch state {
		case crash.Waiting:
			s.Waiting = n
		case crash.Missing:
			s.Missing = n
		case crash.Failed:
			s.Failed = n
		}
	}
	groups, err := g.store.Groups(crash.GroupFilter{State: crash.Open})
	if err != nil {
		return s, err
	}
	s.OpenCrashes = len(groups)
	if s.AssetBytes, err = g.depot.Usage(); err != nil {
		return s, err
	}
	if store, err := g.dumpStore(); err == nil {
		s.DumpBytes = store.Usage()
	}
	s.FreeBytes, _, err = SpaceOf(g.cfg.StateDir)()
	return s, err
}

// fromTrustedPeer reports that a request came through the command line's socket from somebody who may do everything.
func fromTrustedPeer(ctx context.Context) bool {
	trusted, _ := ctx.Value(trustedKey{}).(bool)
	return trusted
}

// trouble is what an operator should know.
func (g *Gateway) trouble() []string {
	var trouble []string
	g.mu.Lock()
	if g.dumps != nil {
		if t := g.dumps.Trouble(); t != "" {
			trouble = append(trouble, t)
		}
	}
	g.mu.Unlock()
	if g.folder != nil {
		trouble = append(trouble, g.folder.Trouble()...)
	}
	if g.backups != nil {
		if t := g.backups.Trouble(); t != "" {
			trouble = append(trouble, t)
		}
	}
	if free, _, err := SpaceOf(g.cfg.StateDir)(); err == nil && free < Reserve {
		trouble = append(trouble, fmt.Sprintf("less than %d MiB is free in %s: nothing new is stored", Reserve>>20, g.cfg.StateDir))
	}
	if earliest := g.earliest(); time.Now().Before(earliest) {
		trouble = append(trouble, "the clock is wrong: it is before "+earliest.UTC().Format(time.RFC3339)+", and no tokens are given out")
	}
	if ends := g.identity.NotAfter(); time.Until(ends) < 7*24*time.Hour {
		trouble = append(trouble, "the certificate ends on "+ends.UTC().Format(time.RFC3339))
	}
	return trouble
}

// baseURL is the address that people and CI are told; devices are told the one by which they came.
func (g *Gateway) baseURL() string {
	if g.cfg.ProvisioningBaseURL != "" {
		return g.cfg.ProvisioningBaseURL
	}
	return g.doors.page(func() string {
		for _, name := range certificate.Hosts() {
			if ip := net.ParseIP(name); ip != nil && !ip.IsLoopback() {
				return name
			}
		}
		return "localhost"
	})
}

// SpaceOf says what is free and what there is on a folder's file system, in bytes.
func SpaceOf(dir string) func() (free, total int64, err error) {
	return func() (int64, int64, error) {
		var stat unix.Statfs_t
		if err := unix.Statfs(dir, &stat); err != nil {
			return 0, 0, fmt.Errorf("free space of %s: %w", dir, err)
		}
		block := int64(stat.Bsize) //nolint:unconvert // 32 bits wide on ARM
		return int64(stat.Bavail) * block, int64(stat.Blocks) * block, nil
	}
}
