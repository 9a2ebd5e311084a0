package deviceapi

import (
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/contract"
)

func TestTheStoresInMemoryKeepThePromisesOfDumpsAndDepot(t *testing.T) {
	contract.Dumps(t, func(t *testing.T) contract.DumpWriter { return open(t, nil).memory })
	contract.Images(t, func(t *testing.T) (contract.ImageStore, fleet.Version) { return open(t, nil).memory, "1.1" })
}
