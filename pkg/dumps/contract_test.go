package dumps_test

import (
	"testing"

	"github.com/slipway-gateway/slipway/pkg/dumps"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/contract"
)

func TestTheIndexInMemoryKeepsTheCatalogsPromises(t *testing.T) {
	contract.Index(t, func(*testing.T) (dumps.Index, func()) { return dumps.NewShortIndex(), func() {} })
}

func TestTheStoreKeepsWhatTheDeviceDoorIsPromised(t *testing.T) {
	contract.Dumps(t, func(t *testing.T) contract.DumpWriter { return dumps.OpenForContract(t) })
}

func TestTheStoreKeepsWhatTriageIsPromised(t *testing.T) {
	contract.Reports(t, func(t *testing.T) (contract.ReportStore, fleet.Dump) {
		s := dumps.OpenForContract(t)
		return s, dumps.UploadForContract(t, s)
	})
}
