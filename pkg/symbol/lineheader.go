package symbol

import (
	"path"
	"strings"
)

const (
	// maxPath is longer than the paths that compilers meet.
	maxPath = 4096
	// maxPathBytes bounds the paths of one line table, for a few bytes of it may name one long directory again and
	// again. The longest of ESP-IDF's tables have 60 kB; files beyond the bound have no name.
	maxPathBytes = 1 << 20
	maxFiles     = 1 << 16
	maxFormats   = 16 // content descriptions in a DWARF 5 header; the standard knows 5
)

// lineHeader is the part of a line number program before its opcodes: DWARF 5 section 6.2.4, and the same of versions
// 2 to 4.
type lineHeader struct {
	encoding
	unit       *unit
	minLength  uint32
	isStmt     bool
	lineBase   int32
	lineRange  uint32
	opcodeBase uint8
	lengths    []byte // operands of the standard opcodes
	dirs       []string
	files      []string // by the number that the program and DW_AT_call_file use; made absolute where that is possible
	program    []byte
	spent      int // bytes of paths
}

// readLineHeader reads the header at the unit's DW_AT_stmt_list.
func (u *unit) readLineHeader() (lineHeader, bool) {
	x := u.x
	h := lineHeader{unit: u, encoding: u.encoding}
	head := cursor{data: x.line.slice(u.lineOff, min(12, x.line.len()-min(x.line.len(), u.lineOff)))}
	length, dwarf64 := head.initialLength()
	if head.bad {
		return h, false
	}
	c := cursor{data: x.line.slice(u.lineOff+uint64(head.pos), length)}
	version := c.u16()
	h.version, h.dwarf64 = uint8(min(version, 255)), dwarf64
	if version < 2 || version > 5 {
		return h, false
	}
	if version >= 5 {
		h.addrSize = c.u8()
		c.skip(1) // segment selectors
	}
	rest := c.offset(dwarf64)
	if rest > uint64(c.left()) {
		return h, false
	}
	h.program = c.data[c.pos+int(rest):]
	c.data = c.data[:c.pos+int(rest)]
	h.minLength = uint32(c.u8())
	if version >= 4 {
		c.skip(1) // operations of one instruction: Xtensa and RISC-V are no VLIW machines
	}
	h.isStmt = c.u8() != 0
	h.lineBase = int32(int8(c.u8()))
	h.lineRange = uint32(c.u8())
	h.opcodeBase = c.u8()
	h.lengths = c.bytes(uint64(max(h.opcodeBase, 1)) - 1)
	if c.bad || h.lineRange == 0 {
		return h, false
	}
	if version >= 5 {
		h.readTables(&c)
	} else {
		h.readOldTables(&c)
	}
	return h, true
}

// readOldTables reads the directories and files of versions 2 to 4, both numbered from 1. Directory 0 is the unit's.
func (h *lineHeader) readOldTables(c *cursor) {
	h.dirs = append(h.dirs, h.unit.compDir())
	for len(h.dirs) < maxFiles {
		s := c.cstring()
		if len(s) == 0 {
			break
		}
		h.dirs = append(h.dirs, h.join(0, clip(s)))
	}
	h.files = append(h.files, "")
	for len(h.files) < maxFiles {
		s := c.cstring()
		if len(s) == 0 || c.bad {
			return
		}
		dir := c.uleb()
		c.uleb() // time
		c.uleb() // length
		h.files = append(h.files, h.join(dir, clip(s)))
	}
}

// readTables reads those of version 5, numbered from 0. Directory 0 is the unit's.
func (h *lineHeader) readTables(c *cursor) {
	h.dirs = []string{h.unit.compDir()}
	first := true
	h.readEntries(c, func(name string, _ uint64) bool {
		if first {
			first = false
			h.dirs[0] = h.join(0, name)
			return true
		}
		h.dirs = append(h.dirs, h.join(0, name))
		return len(h.dirs) < maxFiles
	})
	h.readEntries(c, func(name string, dir uint64) bool {
		h.files = append(h.files, h.join(dir, name))
		return len(h.files) < maxFiles
	})
}

// readEntries reads one of the two tables, whose header describes the content of each entry.
func (h *lineHeader) readEntries(c *cursor, visit func(name string, dir uint64) bool) {
	const contentPath, contentDirectory = 1, 2
	type format struct{ content, form uint16 }
	formats := make([]format, min(int(c.u8()), maxFormats))
	for i := range formats {
		formats[i] = format{narrow(c.uleb()), narrow(c.uleb())}
	}
	// An entry without content would take no bytes: then the count alone would say how long to work.
	n := c.uleb()
	if c.bad || len(formats) == 0 || n > uint64(c.left()) {
		return
	}
	for range n {
		var name string
		var dir uint64
		at := c.pos
		for _, f := range formats {
			v := h.readValue(c, f.form, 0)
			switch f.content {
			case contentPath:
				name = clip(h.unit.bytes(v))
			case contentDirectory:
				dir = v.num
			}
		}
		if c.bad || c.pos == at || !visit(name, dir) {
			return
		}
	}
}

// join makes a path absolute: names count from a directory, directories from the unit's.
func (h *lineHeader) join(dir uint64, name string) string {
	if name == "" {
		return ""
	}
	from := ""
	if !absolute(name) && dir < uint64(len(h.dirs)) && h.dirs[dir] != "" {
		from = h.dirs[dir]
	}
	if h.spent += len(from) + len(name); h.spent > maxPathBytes {
		return ""
	}
	full := name
	if from != "" {
		full = from + "/" + name
	}
	return cleaned(full)
}

// cleaned takes out what a path says in vain.
func cleaned(full string) string {
	if strings.Contains(full, "/.") || strings.Contains(full, "//") {
		return path.Clean(full)
	}
	return full
}

// absolute knows the paths of Windows builds too.
func absolute(name string) bool {
	return strings.HasPrefix(name, "/") || strings.HasPrefix(name, `\`) || len(name) > 1 && name[1] == ':'
}

func clip(s []byte) string { return string(s[:min(len(s), maxPath)]) }

func (u *unit) compDir() string {
	root, ok := u.entry(u.root)
	if !ok {
		return ""
	}
	v, ok := root.attr(attrCompDir)
	if !ok {
		return ""
	}
	return clip(u.bytes(v))
}
