package espcore

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// Fingerprint names a chain of calls in 16 hex digits, version 2 of the rules: it is the same for the same model, kind of
// crash and chain. There are no addresses, lines, chips or versions in it.
func Fingerprint(model string, kind Kind, chain []string) string {
	return digest("v2", model, string(kind), strings.Join(chain, ","))
}

// FingerprintFor is the fingerprint of the report's chain for a model. Where the symbols are missing or those of another
// build the chain has addresses, which tell something only within one build: then it is the same for the same build, by
// its hash, instead of the same model.
func (r *Report) FingerprintFor(model string) string {
	chain := r.Chain
	if chain == nil { // a report that was kept before there were chains
		chain = r.chain()
	}
	if r.raw() {
		return digest("v1raw", r.ELFSHA256, string(r.Kind), strings.Join(chain, ","))
	}
	return Fingerprint(model, r.Kind, chain)
}

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "|")))
	return hex.EncodeToString(sum[:8])
}

// raw reports whether the functions in the report cannot be trusted.
func (r *Report) raw() bool { return r.ELFMatch == Missing || r.ELFMatch == Mismatch }

// chain has the first frames that tell one crash from another.
func (r *Report) chain() []string {
	const most = 5
	out := []string{}
	if r.raw() {
		for _, pc := range r.RawPCs {
			out = append(out, pc.String())
		}
		return out
	}
	for _, f := range r.telling() {
		out = append(out, f.key())
	}
	out = slices.Compact(out)
	return out[:min(len(out), most)]
}

// damaged reports whether a dump that should say of which program it is cannot, because it is broken. A bin payload
// never says it.
func (d *Dump) damaged() bool {
	return d.Integrity == IntegrityBad && d.ELFHash == "" && strings.HasPrefix(d.Container, "ELF")
}

// telling are the frames of the task that is to blame that tell its crash from others, innermost first: those in the
// application's own code; where there are none, those that are no noise; where there are none of them either, what has
// a name at all.
func (r *Report) telling() []Frame {
	frames := r.certain()
	for _, wanted := range []func(*Frame) bool{
		func(f *Frame) bool { return f.InApp && !f.noise() },
		func(f *Frame) bool { return !f.noise() },
		func(f *Frame) bool { return f.Function != unknownFunction },
	} {
		var out []Frame
		for i := range frames {
			if wanted(&frames[i]) {
				out = append(out, frames[i])
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// certain are the frames of the task to blame without those that were only concluded; one that was concluded from a
// return address behind a call stays: after a jump through a null pointer it is who jumped. Frames that were found by
// scanning stay in where nothing else is there, that is behind the last one that could be walked to: they were verified
// down to the root, and without them the same crash would look different on Xtensa, which can walk through ROM, and on
// RISC-V.
func (r *Report) certain() []Frame {
	t := r.blamed()
	if t == nil {
		return nil
	}
	var out []Frame
	lost := false // the frames inlined into one another come and go together
	for i, f := range t.Frames {
		if i == 0 || !t.Frames[i-1].Inlined {
			lost = f.How == HowInferred && f.PC == nil
		}
		if !lost {
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		return t.Frames
	}
	return out
}

// base is the last part of a path from either sort of system.
func base(path string) string {
	return path[strings.LastIndexAny(path, `/\`)+1:]
}

// source is the file that a frame is filed under: that in which its function is declared, whatever the line table says.
// GCC's -Og gives a header's inline function the lines of the file that includes it.
func (f *Frame) source() string { return cmp.Or(f.DeclFile, f.File) }

// key is the frame's part of a chain.
func (f *Frame) key() string {
	return cmp.Or(f.Qualified, f.Function) + "@" + base(f.source())
}

// noisy are functions that are on every stack after some way of crashing, or at the root of every stack.
var noisy = []string{
	"panic_abort", "esp_system_abort", "abort", "__assert_func", "_esp_error_check_failed*", "__stack_chk_fail",
	"vApplicationStackOverflowHook", "task_wdt_*", "esp_panic_handler*", "panicHandler", "xt_unhandled_*", "_xt_*",
	"_interrupt_handler", "multi_heap_*", "tlsf_*", "__ubsan_*", "vPortTaskWrapper", "main_task", "pthread_task_func",
	unknownFunction,
}

func (f *Frame) noise() bool {
	return f.ROM || slices.ContainsFunc(noisy, func(pattern string) bool {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
			return strings.HasPrefix(f.Function, prefix)
		}
		return f.Function == pattern
	})
}
