package main

import (
	"context"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/operator"
)

// status is what `slipway status` and the page tell.
func (g *gateway) status() (operator.Status, error) {
	s := operator.Status{
		Version: version, StartedAt: g.started.UTC(), Trouble: g.trouble(), Listens: g.doors.addresses(), BaseURL: g.baseURL(),
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
	s.FreeBytes, _, err = spaceOf(g.cfg.StateDir)()
	return s, err
}

// fromTrustedPeer reports that a request came through the command line's socket from somebody who may do everything.
func fromTrustedPeer(ctx context.Context) bool {
	trusted, _ := ctx.Value(trustedKey{}).(bool)
	return trusted
}
