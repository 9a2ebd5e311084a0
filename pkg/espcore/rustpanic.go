package espcore

import (
	"fmt"
	"slices"
	"strings"
)

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
			return fmt.Sprintf("%s:%d", file, line)
		}
	}
	return ""
}

// message reads core::fmt::Arguments: the texts around the values, which are not shown. Since Rust 1.93 it is {template,
// args}: with the lowest bit of args set a plain text of args/2 bytes, else see [decoder.template]. Before, it was
// {pieces: &[&str], args: &[…]}.
func (n *decoder) message(at uint32) string {
	if layout, ok := n.program.ix.Offsets("Arguments", "template", "args"); ok {
		text, ok1 := n.word(at + layout["template"])
		args, ok2 := n.word(at + layout["args"])
		switch {
		case !ok1 || !ok2:
			return ""
		case args&1 != 0:
			plain, _ := n.characters(text, int(min(args>>1, mostTold)))
			return plain
		}
		return n.template(text)
	}
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
	return n.pieces(pieces, count, values)
}

// mostPieces bounds the texts of a message: one with more says enough with these.
const mostPieces = 16

// pieces are texts, each but perhaps the last with a value behind it.
func (n *decoder) pieces(at, count, values uint32) string {
	var out strings.Builder
	for i := range min(count, mostPieces) {
		text, ok := n.str(at + 8*i)
		if length, known := n.word(at + 8*i + 4); !ok && (!known || length != 0) {
			break
		}
		out.WriteString(text)
		if i < values {
			out.WriteString("{}")
		}
	}
	return out.String()
}

// template reads the bytes that Rust's compiler makes of a format: a length below 0x80 and so much text; 0x80, a length
// of two bytes and so much text; from 0xC0 on a value, with four bytes of flags, and two each of width, precision and
// index, where its bits 0 to 3 say so; 0 at the end.
func (n *decoder) template(at uint32) string {
	const long, value = 0x80, 0xC0
	var out strings.Builder
	for range 2 * mostPieces {
		b, ok := n.bytes(at, 1)
		at++
		size := uint32(0)
		switch {
		case !ok || b[0] == 0:
			return out.String()
		case b[0] < long:
			size = uint32(b[0])
		case b[0] == long:
			if b, ok = n.bytes(at, 2); !ok {
				return out.String()
			}
			at, size = at+2, uint32(b[0])|uint32(b[1])<<8
		case b[0] >= value:
			for bit, more := range []uint32{4, 2, 2, 2} {
				if b[0]&(1<<bit) != 0 {
					at += more
				}
			}
			out.WriteString("{}")
			continue
		}
		text, ok := n.characters(at, int(size))
		if !ok {
			return out.String()
		}
		out.WriteString(text)
		at += size
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
