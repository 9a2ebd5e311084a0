package espcore

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// Options are what Decode cannot read in the dump.
type Options struct {
	// ELFSHA256 is the SHA-256 of the whole ELF file, in lower-case hex.
	ELFSHA256 string
	// Model is the code of the device's model, for the fingerprint.
	Model string
	// ROM names code of the chip's mask ROM; nil where nobody can.
	ROM func(pc uint32) (string, bool)
}

// Decode says what the dump means, given the ELF of its program. Without one (ix is nil) it says what can be known
// without names. A wrong ELF is used too, and the report says that it is wrong.
func Decode(d *Dump, ix *symbol.Index, opts Options) *Report {
	n := decoder{
		dump: d,
		opts: opts,
		report: &Report{
			Chip: d.Chip, ChipRevision: d.Revision, Container: d.Container, Integrity: d.Integrity,
			ELFSHA256: d.ELFHash, Panic: d.Panic, InISR: d.InISR, Starved: starved(d.Panic),
			Damaged:  d.damaged(),
			Warnings: slices.Clone(d.Warnings), Registers: Registers{}, Tasks: []Task{},
		},
	}
	if n.report.Warnings == nil {
		n.report.Warnings = []string{}
	}
	n.match(ix)
	n.walker = walker{dump: d, program: &n.program, left: maxSteps}
	for i := range d.tasks {
		n.report.Tasks = append(n.report.Tasks, n.task(&d.tasks[i], i == 0 && d.crashed))
	}
	if n.walker.left <= 0 {
		n.warn("the stacks are too tangled: not everything was searched")
	}
	n.explain()
	if n.report.ELFMatch == Mismatch || n.report.ELFMatch == Missing {
		n.report.RawPCs = n.rawPCs()
	}
	n.report.Chain = n.report.chain()
	n.report.Fingerprint = n.report.FingerprintFor(opts.Model)
	return n.report
}

type decoder struct {
	dump      *Dump
	opts      Options
	report    *Report
	program   program
	layout    layout
	framework framework
	walker    walker
}

func (n *decoder) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if len(n.report.Warnings) < maxWarnings && !slices.Contains(n.report.Warnings, text) {
		n.report.Warnings = append(n.report.Warnings, text)
	}
}

// match grades the ELF, and leaves one of another architecture alone.
func (n *decoder) match(ix *symbol.Index) {
	n.program = program{ix: ix, machine: n.dump.Machine, rom: n.opts.ROM}
	if n.program.machine == 0 && ix != nil {
		n.program.machine = ix.Machine()
	}
	n.report.Architecture = n.program.machine.String()
	switch hash := n.dump.ELFHash; {
	case ix == nil:
		n.report.ELFMatch = Missing
	case ix.Machine() != n.program.machine:
		n.report.ELFMatch = Mismatch
		n.program.ix = nil
		n.warn("the ELF is of %s, the dump of %s: the ELF was not used", ix.Machine(), n.program.machine)
	case hash == "":
		n.report.ELFMatch = Unknown
	case strings.HasPrefix(strings.ToLower(n.opts.ELFSHA256), hash):
		n.report.ELFMatch = Exact
	default:
		n.report.ELFMatch = Mismatch
		n.program.foreign = true
		n.warn("the ELF is not the one of this dump: the dump says %s, the ELF is %s; names and lines may be wrong",
			hash, n.opts.ELFSHA256)
	}
	if n.program.ix != nil {
		n.layout = findLayout(n.program.ix)
		n.framework = findFramework(n.program.ix)
		n.checkLayout()
		n.report.App = describeApp(n.program.ix)
		for _, missing := range n.program.ix.Missing() {
			n.warn("%s", missing)
		}
	}
}

// describeApp reads the app descriptor (esp_app_desc_t) in the ELF: version[32] @0x10, project[32] @0x30, time[16]
// @0x50, date[16] @0x60, idf_ver[32] @0x70.
func describeApp(ix *symbol.Index) *App {
	const (
		magic                             = "\x32\x54\xcd\xab"
		size, version, project, idf, text = 0x90, 0x10, 0x30, 0x70, 32
	)
	s, ok := ix.Lookup("esp_app_desc")
	b := make([]byte, size)
	if !ok || !ix.Text(s.Addr, b) || !bytes.HasPrefix(b, []byte(magic)) {
		return nil
	}
	return &App{
		Project: cstring(b[project : project+text]), Version: cstring(b[version : version+text]),
		IDFVersion: cstring(b[idf : idf+text]),
	}
}

// rawPCs are the innermost addresses of the crashed task as they are known without any ELF, so that they do not depend
// on which wrong one was given.
func (n *decoder) rawPCs() []Hex {
	const most = 3
	if !n.dump.crashed {
		return nil
	}
	bare := program{machine: n.program.machine}
	w := walker{dump: n.dump, program: &bare, left: maxSteps, warn: func(string, ...any) {}}
	var out []Hex
	for _, s := range w.walk(&n.dump.tasks[0]).steps {
		if s.known && len(out) < most {
			out = append(out, Hex(s.pc))
		}
	}
	return out
}
