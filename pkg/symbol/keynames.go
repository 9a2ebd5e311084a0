package symbol

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Compilers do not agree on a lambda's name: to GCC it is motor::run(int)::{lambda(int)#1}, numbered among those with
// the same parameters, to Clang motor::run(int)::$_0, numbered through the file. What they agree on is where it is
// written: so here it is motor::run::{lambda#2}, the second of the function's lambdas in the order of the source.

// lambdaName is what stands for a lambda of which nobody knows the place.
const lambdaName = "{lambda}"

// keyName is what tells a function from others, whoever compiled it.
type keyName struct{ qualified, declFile string }

// mostKeyNames bounds what is remembered of one program; the functions of its stacks are some hundred.
const mostKeyNames = 4096

// keyName is remembered: to find what encloses a function its unit is walked from the beginning, and the dumps of a batch have
// the same functions on their stacks. What effort cut short is not.
func (d die) keyName() keyName {
	x := d.unit.x
	if known, ok := x.keyNames[d.off]; ok {
		return known
	}
	found := keyName{d.qualifiedName(), d.declFile()}
	if x.effort < 0 {
		return found
	}
	if x.keyNames == nil || len(x.keyNames) >= mostKeyNames {
		x.keyNames = map[uint64]keyName{}
	}
	x.keyNames[d.off] = found
	return found
}

// qualifiedName is the function's name with all namespaces and classes around it, the same whoever compiled it.
func (d die) qualifiedName() string { return d.qualifiedWithin(maxScopes) }

// qualifiedWithin is qualifiedName for functions in functions, that many deep.
func (d die) qualifiedWithin(depth int) string {
	linkage, named := d.naming()
	if strings.HasPrefix(linkage, "_Z") && (named.unit == nil || !named.unit.isRust()) {
		if plain := Demangle(linkage); plain != linkage && !speaksOfLambdas(plain) {
			return plain
		}
	}
	if named.unit == nil {
		return linkage
	}
	name := withoutLambdas(named.name())
	outer := named.enclosing()
	for i, o := range slices.Backward(outer) {
		switch o.tag() {
		case tagNamespace:
			name = joinScope(cmp.Or(o.name(), "(anonymous namespace)"), name)
		case tagClass, tagStructure, tagUnion, tagEnumeration:
			switch own := o.name(); {
			case o.isLambda():
				name = o.lambdaPlace(outer[:i]) // whatever it calls its only function
			case own != "":
				name = joinScope(withoutLambdas(own), name)
			}
		case tagSubprogram:
			if depth > 0 && o.unit.x.tire(1) {
				name = joinScope(o.qualifiedWithin(depth-1), name)
			}
			return name
		}
	}
	return name
}

func joinScope(outer, name string) string {
	if len(outer)+len(name) > maxPath || outer == "" {
		return name
	}
	return outer + "::" + name
}

// naming finds a function's linkage name and, of the entries that describe it, the one that stands where its name
// belongs: inside its class or namespace.
func (d die) naming() (linkage string, named die) {
	d.origins(func(o die) bool {
		if linkage == "" {
			if v, ok := o.either(attrLinkageName, attrMIPSLinkageName); ok {
				linkage = o.unit.string(v)
			}
		}
		if o.name() != "" {
			named = o
		}
		return false
	})
	return linkage, named
}

// isLambda knows the class of a lambda: it has an operator() and no name but what GCC calls it.
func (d die) isLambda() bool {
	if d.tag() != tagClass && d.tag() != tagStructure {
		return false
	}
	name := d.name()
	if strings.HasPrefix(name, "<lambda") {
		return true
	}
	found := false
	if name == "" {
		d.children(func(c die) bool {
			found = c.tag() == tagSubprogram && c.name() == "operator()"
			return !found && d.unit.x.tire(1)
		})
	}
	return found
}

// position is where something is declared, in the order of the source; what has none comes in the order of the entries.
type position struct{ file, line, column, off uint64 }

func (d die) position() position {
	p := position{off: d.off}
	number := func(name uint16) uint64 {
		v, _ := d.attr(name)
		return v.num
	}
	p.file, p.line, p.column = number(attrDeclFile), number(attrDeclLine), number(attrDeclColumn)
	return p
}

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(p.file, q.file), cmp.Compare(p.line, q.line), cmp.Compare(p.column, q.column), cmp.Compare(p.off, q.off))
}

// maxLambdas bounds the lambdas of one function.
const maxLambdas = 1024

// lambdaPlace numbers a lambda among those of the function, class or namespace around it. A function may be described
// in several entries, and compilers put a lambda into any of them.
func (d die) lambdaPlace(outer []die) string {
	var scope die
	for _, o := range slices.Backward(outer) {
		if o.tag() != tagLexicalBlock {
			scope = o
			break
		}
	}
	if scope.unit == nil {
		root, ok := d.unit.entry(d.unit.root)
		if !ok {
			return lambdaName
		}
		scope = root
	}
	own := d.position()
	before := map[position]bool{}
	scope.origins(func(s die) bool {
		s.walk(func(e die, _ int) step {
			switch {
			case !e.unit.x.tire(1) || len(before) == maxLambdas:
				return stop
			case e.tag() == tagLexicalBlock:
				return enter
			case e.off != d.off && e.isLambda():
				if p := e.position(); p.compare(own) < 0 {
					if p.line != 0 { // described twice, it is still one
						p.off = 0
					}
					before[p] = true
				}
			}
			return pass
		})
		return false
	})
	if own.column != 0 {
		delete(before, position{own.file, own.line, own.column, 0})
	}
	return "{lambda#" + strconv.Itoa(len(before)+1) + "}"
}

// speaksOfLambdas knows a demangled name in which a compiler's own numbering stands.
func speaksOfLambdas(name string) bool {
	return strings.Contains(name, "{lambda(") || strings.Contains(name, "$_") || strings.Contains(name, "'lambda")
}

// withoutLambdas puts the same word for every lambda among a template's arguments: GCC writes run()::<lambda(int)>,
// Clang (lambda at /src/pump.cpp:5:12).
func withoutLambdas(name string) string {
	for _, opening := range []string{"<lambda(", "(lambda at "} {
		var b strings.Builder
		rest := name
		for {
			before, after, ok := strings.Cut(rest, opening)
			if !ok {
				break
			}
			end := closing(after, opening[0])
			if opening[0] == '<' { // GCC names the function too
				before = before[:scopeStart(before)]
			}
			b.WriteString(before + lambdaName)
			rest = after[end:]
		}
		name = b.String() + rest
	}
	return strings.ReplaceAll(name, " >", ">")
}

// closing is the length of what belongs to a lambda whose begin was cut off, its closing bracket included.
func closing(s string, kind byte) int {
	open := 1
	for i := range len(s) {
		switch s[i] {
		case '(':
			open++
		case ')':
			open--
			if open == 0 && kind == '<' && strings.HasPrefix(s[i+1:], ">") {
				return i + 2
			}
			if open == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// scopeStart is where the template argument begins that s ends in.
func scopeStart(s string) int {
	depth := 0
	for i := len(s) - 1; i >= 0; i-- {
		switch s[i] {
		case ')', '>':
			depth++
		case '(':
			depth--
		case '<', ',':
			if s[i] == '<' {
				depth--
			}
			if depth < 0 || s[i] == ',' && depth == 0 {
				for i+1 < len(s) && s[i+1] == ' ' {
					i++
				}
				return i + 1
			}
		}
	}
	return 0
}

// declFile is the file in which a function is declared. It can be another one than that of its lines: GCC's -Og gives
// a header's inline function the lines of the file that includes it.
// A lambda's operator() has none of its own with GCC: there its class says it.
func (d die) declFile() string {
	v, owner, ok := d.inherited(attrDeclFile)
	if !ok {
		_, named := d.naming()
		if named.unit == nil {
			return ""
		}
		for _, o := range slices.Backward(named.enclosing()) {
			if v, ok = o.attr(attrDeclFile); ok {
				owner = o
				break
			}
		}
	}
	if !ok {
		return ""
	}
	return owner.unit.lineTable().file(v.num)
}

// Origin is where the source of a function was when it was compiled.
type Origin struct {
	Unit      string // path of the file that the compiler was given, made absolute where that is possible
	Directory string // in which the compiler ran; "" where unknown
	DeclFile  string // of the function's own declaration; "" where unknown
}

// Origin finds the unit that defines a function, by the name that the linker knows. False where the ELF has no such
// function, or no DWARF for it.
func (x *Index) Origin(symbol string) (Origin, bool) {
	s, ok := x.Lookup(symbol)
	if !ok || !x.Executable(s.Addr) {
		return Origin{}, false
	}
	x.begin()
	for _, u := range x.unitsFor(s.Addr) {
		root, ok := u.entry(u.root)
		if !ok {
			continue
		}
		o := Origin{Unit: clip([]byte(root.name())), Directory: u.compDir()}
		if !absolute(o.Unit) && o.Unit != "" && o.Directory != "" {
			o.Unit = cleaned(o.Directory + "/" + o.Unit)
		}
		if d, ok := u.functionAt(s.Addr); ok {
			o.DeclFile = d.declFile()
		}
		return o, true
	}
	return Origin{}, false
}
