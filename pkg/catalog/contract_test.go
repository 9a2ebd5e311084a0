package catalog

import (
	"testing"

	"github.com/slipway-gateway/slipway/pkg/dumps"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/contract"
)

// laid is the catalog with what a suite lays into it.
type laid struct{ *Catalog }

func openLaid(t *testing.T) laid {
	c := open(t, t.TempDir())
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	return laid{c}
}

// LayDump records one as the dump directories do.
func (l laid) LayDump(t *testing.T, d fleet.Dump) {
	must(t, l.RecordDumps(t.Context(), []fleet.Dump{d}))
}

// LayBuild records one as the depot does.
func (l laid) LayBuild(t *testing.T, b fleet.Build) {
	_, _, err := l.RecordBuild(t.Context(), b, true)
	must(t, err)
}

// index is the catalog as the dump directories see it; settle waits for what was to be recorded later.
type index struct {
	*Catalog
	later chan struct{}
	asked *int
}

func (x index) RecordDumpLater(d fleet.Dump) {
	*x.asked++
	x.Catalog.RecordDumpLater(d, func(error) { x.later <- struct{}{} })
}

func (x index) settle() {
	for range *x.asked {
		<-x.later
	}
}

func TestTheCatalogKeepsWhatTokensAndSecretsArePromised(t *testing.T) {
	contract.Secrets(t, func(t *testing.T) contract.SecretStore { return openLaid(t) })
}

func TestTheCatalogKeepsWhatTriageIsPromised(t *testing.T) {
	contract.Crashes(t, func(t *testing.T) contract.CrashStore { return openLaid(t) })
}

func TestTheCatalogKeepsWhatTheDumpDirectoriesArePromised(t *testing.T) {
	contract.Index(t, func(t *testing.T) (dumps.Index, func()) {
		x := index{open(t, t.TempDir()), make(chan struct{}, 8), new(int)}
		return x, x.settle
	})
}
