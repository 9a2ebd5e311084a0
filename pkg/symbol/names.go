package symbol

import (
	"strings"

	"github.com/ianlancetaylor/demangle"
)

// maxMangled bounds what is demangled: the output of a hostile name can be far longer than the name.
const maxMangled = 1024

// maxDemangled is the bound of the result, as a power of two.
const maxDemangled = 12

// Demangle turns a C++ linkage name into what GDB prints for its function: without parameters and return type. A name
// that is none, or too long to be worth the work, comes back as it is.
func Demangle(name string) string {
	return demangled(name, demangle.NoParams, demangle.NoEnclosingParams, demangle.NoClones)
}

func demangled(name string, options ...demangle.Option) string {
	if len(name) > maxMangled || !strings.HasPrefix(name, "_Z") {
		return name
	}
	plain, err := demangle.ToString(name, append(options, demangle.MaxLength(maxDemangled))...)
	if err != nil || len(plain) >= 1<<maxDemangled {
		return name
	}
	return plain
}

// functionName is the name of a function or an inlined call as GDB prints it in a backtrace.
func (d die) functionName() string {
	var name string
	var named die
	linkage := ""
	d.origins(func(o die) bool {
		if linkage == "" {
			if v, ok := o.either(attrLinkageName, attrMIPSLinkageName); ok {
				linkage = o.unit.string(v)
			}
		}
		if name == "" {
			name, named = o.name(), o
		} else if o.name() == name {
			named = o // the declaration inside its class or namespace
		}
		return linkage != "" && name != ""
	})
	if strings.HasPrefix(linkage, "_Z") && (named.unit == nil || !named.unit.isRust()) { // its older names look like C++
		if plain := Demangle(linkage); plain != linkage {
			return plain
		}
	}
	if named.unit != nil && (named.unit.isCPlusPlus() || named.unit.isRust()) {
		return named.qualified(name)
	}
	if name == "" {
		return linkage
	}
	return name
}

// isCPlusPlus knows DW_LANG_C_plus_plus and its editions 03, 11, 14, 17, 20.
func (u *unit) isCPlusPlus() bool {
	switch u.language {
	case 0x0004, 0x0019, 0x001a, 0x0021, 0x002a, 0x002b:
		return true
	}
	return false
}

// isRust knows DW_LANG_Rust.
func (u *unit) isRust() bool { return u.language == 0x001c }

// maxScopes bounds the namespaces and classes in a name.
const maxScopes = 32

// qualified puts the names of the enclosing namespaces and classes before a name.
func (d die) qualified(name string) string {
	outer := d.enclosing()
	for i := len(outer) - 1; i >= 0; i-- {
		o := outer[i]
		switch o.tag() {
		case tagNamespace, tagClass, tagStructure, tagUnion:
			own := o.name()
			if own == "" && o.tag() == tagNamespace {
				own = "(anonymous namespace)"
			}
			if own != "" && len(own)+len(name) < maxPath {
				name = own + "::" + name
			}
		case tagSubprogram:
			return name
		}
	}
	return name
}

// enclosing gives the entries around d below the root, outermost first. It steps over what lies before d.
func (d die) enclosing() []die {
	root, ok := d.unit.entry(d.unit.root)
	if !ok {
		return nil
	}
	var path, found []die
	root.walk(func(e die, depth int) step {
		if e.off >= d.off || !d.unit.x.tire(1) {
			if e.off == d.off {
				found = path[:depth-1]
			}
			return stop
		}
		if depth > maxScopes {
			return pass
		}
		path = append(path[:depth-1], e)
		if next, ok := e.sibling(); ok && e.unit.off+uint64(next) <= d.off {
			return pass
		}
		return enter
	})
	return found
}
