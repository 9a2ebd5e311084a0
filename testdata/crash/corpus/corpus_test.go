package corpus_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/espcore"
	"github.com/slipway-gateway/slipway/pkg/symbol"
	"github.com/slipway-gateway/slipway/testdata/crash/corpus"
)

// decoded is a dump of the corpus with what Slipway says of it.
type decoded struct {
	corpus.Dump
	report *espcore.Report
}

// all decodes the whole corpus once, build by build in the order of corpus.Builds.
var all = sync.OnceValues(func() ([]decoded, error) {
	parts := make([][]decoded, len(corpus.Builds))
	errs := make([]error, len(corpus.Builds))
	var wait sync.WaitGroup
	for i, b := range corpus.Builds {
		wait.Go(func() { parts[i], errs[i] = decodeBuild(b) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return slices.Concat(parts...), nil
})

type elfInMemory struct {
	*bytes.Reader
	data []byte
}

func (e elfInMemory) Bytes() []byte { return e.data }

func decodeBuild(b corpus.Build) ([]decoded, error) {
	dumps, err := corpus.Read(b)
	if err != nil {
		return nil, err
	}
	var out []decoded
	var ix *symbol.Index
	for i, d := range dumps {
		if i == 0 || dumps[i-1].Program != d.Program {
			if ix, err = symbol.Open(elfInMemory{bytes.NewReader(d.ELF), d.ELF}, int64(len(d.ELF))); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", b.Name, d.Program, err)
			}
		}
		dump, err := espcore.Read(d.Core)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", b.Name, d.Cause(), err)
		}
		sum := sha256.Sum256(d.ELF)
		report := espcore.Decode(dump, ix, espcore.Options{ELFSHA256: hex.EncodeToString(sum[:]), Model: "press"})
		out = append(out, decoded{d, report})
	}
	return out, nil
}

func everything(t *testing.T) []decoded {
	t.Helper()
	dumps, err := all()
	if err != nil {
		t.Fatal(err)
	}
	return dumps
}

// crashedTask is what GDB says of the task that crashed: the first in the dump.
func crashedTask(t *testing.T, d *decoded) corpus.Task {
	t.Helper()
	for _, task := range d.GDB {
		if task.TCB == uint32(d.report.Tasks[0].TCB) {
			return task
		}
	}
	t.Fatalf("%s: %s: GDB knows nothing of the crashed task", d.Build.Name, d.Cause())
	return corpus.Task{}
}

func TestCorpusDumpsAreWholeAndOfTheirELF(t *testing.T) {
	for _, d := range everything(t) {
		r := d.report
		if r.ELFMatch != espcore.Exact || r.Integrity != espcore.IntegrityOK || len(r.Tasks) != len(d.GDB) || !r.Tasks[0].Crashed {
			t.Errorf("%s: %s: %s, %s, %d tasks of %d", d.Build.Name, d.Cause(), r.ELFMatch, r.Integrity, len(r.Tasks), len(d.GDB))
		}
	}
}
