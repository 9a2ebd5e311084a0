package espcore

import (
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
