package symbol

import (
	"bytes"
	"fmt"
	"strings"
)

// elsewhere is what an ELF says of other files that have a part of its debug information.
type elsewhere struct {
	link, altLink string   // .gnu_debuglink, and .gnu_debugaltlink as dwz writes it
	unreadable    []string // sections that are compressed in a way that cannot be undone
}

// note keeps the name of another file: it begins the section and ends with a NUL.
func (e *elsewhere) note(name string, s *section) {
	const most = 256
	read := func() string {
		b, _, _ := bytes.Cut(s.slice(0, min(s.len(), most)), []byte{0})
		return string(b)
	}
	switch name {
	case ".gnu_debuglink":
		e.link = read()
	case ".gnu_debugaltlink":
		e.altLink = read()
	}
}

// Missing says, in sentences for people, what this ELF does not have of what a report needs. Empty where it has it all.
func (x *Index) Missing() []string {
	var all []string
	switch {
	case len(x.units) == 0 && x.link != "":
		all = append(all, fmt.Sprintf("the ELF has no debug information, it is in %q: no files, lines and arguments without that file", x.link))
	case len(x.units) == 0:
		all = append(all, "the ELF has no debug information (it was stripped, or built without -g): no files, lines and arguments")
	}
	if len(x.executable.areas) > 0 && !x.hasCode {
		all = append(all, "the ELF has no code (objcopy --only-keep-debug leaves none): return addresses were not checked against calls")
	}
	if x.altLink != "" {
		all = append(all, fmt.Sprintf("the ELF has a part of its debug information in %q (dwz): some names are missing without that file", x.altLink))
	}
	if len(x.unreadable) > 0 {
		all = append(all, fmt.Sprintf("the ELF has sections that cannot be unpacked: %s", strings.Join(x.unreadable, ", ")))
	}
	var first string
	more := -1
	for _, u := range x.units {
		if u.dwo != "" {
			if more++; more == 0 {
				first = u.dwo
			}
		}
	}
	switch {
	case more == 0:
		all = append(all, fmt.Sprintf("the ELF has a part of its debug information in %q (split DWARF): lines only, without arguments and inlined functions", first))
	case more > 0:
		all = append(all, fmt.Sprintf("the ELF has a part of its debug information in %q and %d more .dwo files (split DWARF): lines only, without arguments and inlined functions", first, more))
	}
	return all
}

// HasCode reports whether the file has the bytes of the code and not only its addresses.
func (x *Index) HasCode() bool { return x.hasCode }
