package crash

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"sync"
	"unicode"

	"github.com/slipway-gateway/slipway/pkg/espcore"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// A summary stays under 4 KiB: so much is kept of each text that a dump brings along.
const (
	mostText = 512
	mostName = 64
)

// damagedKind is the kind of the one group of a model that takes the dumps which are broken, and with them what said of
// which program they are: where such a dump crashed nobody can tell.
const damagedKind = "damaged"

// Summarize fills in what a report says. Only a report whose symbols are those of the crashed program gets a group: the
// frames of another build would bring together what has nothing in common.
func Summarize(c Crash, b fleet.Build, g Grade, r *espcore.Report) Crash {
	c.Grade, c.Version, c.Chip = g, b.Version, clip(r.Chip, mostName)
	c.Kind, c.Reason, c.Task = clip(string(r.Kind), mostName), clip(r.Reason, mostText), clip(r.CrashedTask(), mostName)
	c.Warnings, c.TopFrame, c.Fingerprint, c.Chain, c.Rules, c.Why = len(r.Warnings), "", "", nil, Rules, ""
	if f := r.Top(); f != nil {
		c.TopFrame = clip(place(f), mostText)
	}
	c.Disagreements = disagreements(c, b)
	switch g {
	case Exact, UnknownHash:
		c.State, c.Fingerprint, c.Chain = Reported, r.FingerprintFor(string(c.Model)), clipChain(r.Chain)
		if r.Damaged {
			c.Kind, c.Chain = damagedKind, nil
			c.Fingerprint = espcore.Fingerprint(string(c.Model), damagedKind, nil)
		}
	default:
		c.State = Missing
		c.Why = "its ELF is not here: hand in the bundle of this build, or the ELF where its image is here (slipway firmware add FILE --model " +
			string(c.Model) + "), and it is decoded"
		if g == Mismatch {
			c.Why = "its own firmware is not here, the frames are those of version " + string(b.Version) + " and may be wrong"
		}
	}
	return c
}

// place is a frame in the words of a log line.
func place(f *espcore.Frame) string {
	if f.File == "" {
		return f.Function
	}
	return fmt.Sprintf("%s %s:%d", f.Function, path.Base(strings.ReplaceAll(f.File, `\`, "/")), f.Line)
}

// disagreements names where the device, the dump and the image tell three different stories.
func disagreements(c Crash, b fleet.Build) []string {
	var all []string
	if b.Version != "" && c.DeclaredVersion != "" && c.DeclaredVersion != string(b.Version) {
		all = append(all, fmt.Sprintf("the device declared version %s, its dump is of %s", c.DeclaredVersion, b.Version))
	}
	if b.Model != "" && b.Model != c.Model {
		all = append(all, fmt.Sprintf("the device is of model %s, its firmware of %s", c.Model, b.Model))
	}
	if c.Chip != "" && b.Chip != "" && !fleet.SameChip(c.Chip, b.Chip) {
		all = append(all, fmt.Sprintf("the dump is of an %s, the firmware for an %s", c.Chip, b.Chip))
	}
	if c.Chip != "" && c.DeclaredChip != "" && !fleet.SameChip(c.Chip, c.DeclaredChip) {
		all = append(all, fmt.Sprintf("the device declared the chip %s, its dump is of an %s", c.DeclaredChip, c.Chip))
	}
	return all
}

// clip keeps foreign text short, on one line and printable.
func clip(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return -1
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// packers are kept for the next report of a burst: a new one takes 800 KB, and more time than it packs.
var packers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// pack is a report as it lies beside its dump.
func pack(r *espcore.Report) ([]byte, error) {
	var b bytes.Buffer
	z := packers.Get().(*gzip.Writer)
	defer packers.Put(z)
	z.Reset(&b)
	if err := json.NewEncoder(z).Encode(r); err != nil {
		return nil, err
	}
	err := z.Close()
	return b.Bytes(), err
}
