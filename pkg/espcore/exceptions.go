package espcore

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// toldByException reads what a C++ exception that nobody caught was: __cxa_throw(object, type_info, destructor). The
// layouts are those of the Itanium C++ ABI and of libstdc++: a type_info is {vtable, name}, and with one base class
// {vtable, name, base}; runtime_error and logic_error are {vtable, char *what}.
func (n *decoder) toldByException(t *Task) string {
	f := t.frameOf("__cxa_throw")
	if f == nil {
		if t.frameOf("std::terminate") == nil && t.frameOf("__cxxabiv1::__terminate") == nil {
			return ""
		}
		return "std::terminate() was called"
	}
	args := f.given()
	if len(args) < 2 {
		return "a C++ exception was not caught"
	}
	names := n.typeNames(args[1])
	if len(names) == 0 {
		return "a C++ exception was not caught"
	}
	reason := "a C++ exception was not caught: " + typeName(names[0])
	if what := n.what(args[0], names); what != "" {
		reason += ": " + what
	}
	return reason
}

// mostBases bounds the base classes of an exception that are looked at.
const mostBases = 8

// typeNames are the mangled names of a type and of its base classes, as far as there is one each.
func (n *decoder) typeNames(value string) []string {
	var out []string
	info, ok := pointer(value)
	for ok && len(out) < mostBases {
		at, known := n.word(info + 4)
		if !known {
			break
		}
		name, known := n.characters(at, -1)
		name = strings.TrimPrefix(name, "*") // of a type that is known in its own file only
		if !known || name == "" || strings.ContainsAny(name, " \n\t") {
			break
		}
		out = append(out, name)
		if name == "St9exception" {
			break
		}
		info, ok = n.word(info + 8)
	}
	if len(out) == 0 { // the constant may be missing, but its symbol is not
		if _, name, ok := strings.Cut(value, "<typeinfo for "); ok {
			return []string{strings.TrimSuffix(name, ">")}
		}
		if text, ok := quoted(value); ok {
			return []string{text}
		}
	}
	return out
}

func typeName(mangled string) string {
	const prefix = "typeinfo name for "
	if name, ok := strings.CutPrefix(symbol.Demangle("_ZTS"+mangled), prefix); ok {
		return name
	}
	return mangled
}

// what is the text of an exception, or its value where it is a text or a number.
func (n *decoder) what(value string, names []string) string {
	object, ok := pointer(value)
	if !ok {
		return ""
	}
	first, ok := n.word(object)
	switch {
	case !ok:
		text, _ := quoted(value)
		return text
	case names[0] == "i":
		return strconv.Itoa(int(int32(first)))
	case names[0] == "j":
		return strconv.FormatUint(uint64(first), 10)
	case names[0] == "PKc" || names[0] == "Pc" || strings.Contains(names[0], "basic_string"):
		return n.quote(first)
	case slices.ContainsFunc(names, func(s string) bool { return strings.HasPrefix(s, "St") }): // of the standard library's
		if at, ok := n.word(object + 4); ok {
			return n.quote(at)
		}
	}
	return ""
}

func (n *decoder) quote(addr uint32) string {
	text, _ := n.characters(addr, -1)
	return text
}

// rustPanics are parts of the names of the functions through which a Rust panic goes.
var rustPanics = []string{"rust_begin_unwind", "core::panicking::", "std::panicking::", "rust_panic", "core::result::unwrap_failed", "core::option::"}

// toldByRust says where a Rust panic was and what its message is.
func (n *decoder) toldByRust(t *Task) string {
	last := -1
	var where, message string
	for i := range t.Frames {
		f := &t.Frames[i]
		if !slices.ContainsFunc(rustPanics, func(part string) bool { return strings.Contains(f.Function, part) }) {
			continue
		}
		last = i
		if where == "" {
			where, message = n.panicInfo(f)
		}
		if message == "" {
			message = f.panicText()
		}
	}
	if last < 0 {
		return ""
	}
	for i := last + 1; where == "" && i < len(t.Frames); i++ { // who called is where it was
		if f := &t.Frames[i]; f.File != "" && !rustLibrary(f.source()) {
			where = fmt.Sprintf("%s:%d", f.File, f.Line)
		}
	}
	reason := "a Rust panic"
	if where != "" {
		reason += " at " + where
	}
	if message != "" {
		reason += ": " + message
	}
	return reason
}

// panicText is the text that core::panicking::panic and its like were given, where it can be told from the arguments.
func (f *Frame) panicText() string {
	if args := f.given(); len(args) > 0 {
		text, _ := quoted(args[0])
		return text
	}
	return ""
}

func rustLibrary(file string) bool {
	file = comparable(file)
	return strings.Contains(file, "/library/core/") || strings.Contains(file, "/library/std/") || strings.Contains(file, "/library/alloc/")
}

// panicInfo reads core::panic::PanicInfo {message: &fmt::Arguments, location: &Location}. Rust promises nothing of where
// its structures keep what: the DWARF says it.
func (n *decoder) panicInfo(f *Frame) (where, message string) {
	args := f.given()
	if len(args) == 0 || n.program.ix == nil {
		return "", ""
	}
	info, ok := pointer(args[0])
	layout, known := n.program.ix.Offsets("PanicInfo", "message", "location")
	if !ok || !known {
		return "", ""
	}
	if at, ok := n.word(info + layout["location"]); ok {
		where = n.location(at)
	}
	if where == "" { // it was no PanicInfo
		return "", ""
	}
	if at, ok := n.word(info + layout["message"]); ok {
		message = n.message(at)
	}
	return where, message
}

// location reads core::panic::Location.
func (n *decoder) location(at uint32) string {
	for _, member := range []string{"file", "filename"} { // as old and new versions call it
		layout, ok := n.program.ix.Offsets("Location", member, "line", "col")
		if !ok {
			continue
		}
		file, ok1 := n.str(at + layout[member])
		line, ok2 := n.word(at + layout["line"])
		if ok1 && ok2 {
			return fmt.Sprintf("%s:%d", strings.TrimSuffix(file, "\x00"), line)
		}
	}
	return ""
}

// message reads core::fmt::Arguments {pieces: &[&str], args: &[…]}: the texts around the values, which are not shown.
func (n *decoder) message(at uint32) string {
	const most = 16 // pieces; a message with more says enough with these
	layout, ok := n.program.ix.Offsets("Arguments", "pieces", "args")
	if !ok {
		return ""
	}
	pieces, ok1 := n.word(at + layout["pieces"])
	count, ok2 := n.word(at + layout["pieces"] + 4)
	values, ok3 := n.word(at + layout["args"] + 4)
	if !ok1 || !ok2 || !ok3 {
		return ""
	}
	var out strings.Builder
	for i := range min(count, most) {
		text, ok := n.str(pieces + 8*i)
		if length, known := n.word(pieces + 8*i + 4); !ok && (!known || length != 0) {
			return out.String()
		}
		out.WriteString(text)
		if i < values {
			out.WriteString("{}")
		}
	}
	return out.String()
}

// str reads a &str: {pointer, length}.
func (n *decoder) str(at uint32) (string, bool) {
	text, ok1 := n.word(at)
	length, ok2 := n.word(at + 4)
	if !ok1 || !ok2 || length == 0 || length > mostTold {
		return "", false
	}
	return n.characters(text, int(length))
}
