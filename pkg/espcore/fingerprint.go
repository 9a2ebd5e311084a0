package espcore

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
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
		out = append(out, f.Function+"@"+base(f.File))
	}
	out = slices.Compact(out)
	return out[:min(len(out), most)]
}

// damaged reports whether a dump that should say of which program it is cannot, because it is broken. A bin payload
// never says it.
func (d *Dump) damaged() bool {
	return d.Integrity == IntegrityBad && d.ELFHash == "" && strings.HasPrefix(d.Container, "ELF")
}

// telling are the frames in the app's own code of the task that crashed, or where there are none those that are no noise,
// innermost first.
func (r *Report) telling() []Frame {
	frames := r.certain()
	for _, wanted := range []func(*Frame) bool{(*Frame).inApp, func(f *Frame) bool { return !f.noise() }} {
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

// certain are the crashed task's frames without those that were only concluded. Frames that were found by scanning stay
// in where nothing else is there, that is behind the last one that could be walked to: they were verified down to the
// root, and without them the same crash would look different on Xtensa, which can walk through ROM, and on RISC-V.
func (r *Report) certain() []Frame {
	t := r.crashed()
	if t == nil {
		return nil
	}
	out := slices.DeleteFunc(slices.Clone(t.Frames), func(f Frame) bool { return f.How == HowInferred })
	if len(out) == 0 {
		return t.Frames
	}
	return out
}

// base is the last part of a path from either sort of system.
func base(path string) string {
	return path[strings.LastIndexAny(path, `/\`)+1:]
}

// foreign matches a directory of a path under which the code is not the app's.
var foreign = regexp.MustCompile(`^(esp-idf(-v?\d.*)?|framework-.*|arduino-esp32|toolchain.*|crosstool.*|newlib)$`)

// inApp reports whether a frame is in the app's own code: it has a file that is none of the frameworks' or the
// toolchain's.
func (f *Frame) inApp() bool {
	if f.File == "" {
		return false
	}
	parts := strings.FieldsFunc(f.File, func(c rune) bool { return c == '/' || c == '\\' })
	return !slices.ContainsFunc(parts[:max(0, len(parts)-1)], foreign.MatchString)
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
