package crash

import (
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// NewPlant is the plant in memory, for the suites that it has in common with the catalog and the dump directories.
func NewPlant() *plant { return newPlant() }

// LayDump lays a dump that nobody has looked at.
func (p *plant) LayDump(_ *testing.T, d fleet.Dump) {
	p.crashes[d.Name()] = Crash{
		Device: d.Device, Model: d.Model, Name: d.Name(), Uploaded: d.UploadedAt, State: Waiting, DeclaredVersion: d.FirmwareVersion,
	}
}

// LayBuild makes a build known.
func (p *plant) LayBuild(_ *testing.T, b fleet.Build) { p.builds = append(p.builds, b) }
