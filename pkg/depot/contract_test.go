package depot

import (
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/contract"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

func TestTheDepotKeepsWhatTheDeviceDoorIsPromised(t *testing.T) {
	contract.Images(t, func(t *testing.T) (contract.ImageStore, fleet.Version) {
		h := open(t, nil)
		h.model(t, "pump")
		h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"}))
		return h, "1.0.0"
	})
}
