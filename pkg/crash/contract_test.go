package crash_test

import (
	"testing"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/contract"
)

func TestThePlantInMemoryKeepsTheCatalogsPromises(t *testing.T) {
	contract.Crashes(t, func(*testing.T) contract.CrashStore { return crash.NewPlant() })
}

func TestThePlantInMemoryKeepsThePromisesOfTheDumpDirectories(t *testing.T) {
	contract.Reports(t, func(t *testing.T) (contract.ReportStore, fleet.Dump) {
		p, d := crash.NewPlant(), fleet.Dump{Device: "aaaaaaaa", Model: "pump"}
		p.LayDump(t, d)
		return p, d
	})
}
