package symbol

import "errors"

// maxArguments bounds the parameters of one function.
const maxArguments = 64

// Args gives the parameters of f, one of Frames(s.Lookup), in their order. Without DWARF there are none.
func (x *Index) Args(f Frame, s *State) []Argument {
	x.begin()
	u := x.unitAt(f.scope.die)
	if !f.scope.known || u == nil {
		return nil
	}
	d, ok := u.entry(f.scope.die)
	if !ok {
		return nil
	}
	within, ok := u.entry(f.scope.within)
	if !ok {
		return nil
	}
	budget := maxSteps
	p := printer{x: x, state: s, function: within, budget: &budget}
	var args []Argument
	for _, param := range d.parameters() {
		args = p.argument(args, param)
	}
	return args
}

// parameters gives the entries of a function's or inlined call's parameters. Those that only the abstract function
// has, as nothing of them was left, follow the others.
func (d die) parameters() []die {
	var found []die
	kept := map[uint64]bool{} // by the abstract parameter
	d.children(func(c die) bool {
		if c.tag() == tagFormalParameter {
			found = append(found, c)
			if o, ok := c.refer(attrAbstractOrigin); ok {
				kept[o.off] = true
			}
		}
		return len(found) < maxArguments
	})
	if origin, ok := d.refer(attrAbstractOrigin); ok {
		origin.children(func(c die) bool {
			if c.tag() == tagFormalParameter && !kept[c.off] {
				found = append(found, c)
			}
			return len(found) < maxArguments
		})
	}
	return found
}

// printer prints the values of one frame.
type printer struct {
	x        *Index
	state    *State
	function die
	budget   *int
}

func (p *printer) evaluation() *evaluation {
	u := p.function.unit
	return &evaluation{x: p.x, enc: u.encoding, unit: u, state: p.state, function: p.function, budget: p.budget}
}

// argument appends a parameter, and what it was on entry where that is known.
func (p *printer) argument(args []Argument, param die) []Argument {
	v, _, ok := param.inherited(attrName)
	if !ok {
		return args
	}
	name := param.unit.string(v)
	t := param.typeOf()
	if name == "" {
		return args
	}
	if t.kind == kindAggregate {
		return p.aggregate(args, name, param, t)
	}
	now, err := p.valueOf(param, t)
	var synthetic bool
	var text string
	var unreadable memoryError
	switch {
	case errors.Is(err, errSynthetic):
		synthetic, text = true, "<synthetic pointer>"
	case errors.As(err, &unreadable):
		text = "<error reading variable: " + unreadable.Error() + ">"
	case err != nil && t.kind == kindReference && t.die.typeOf().kind == kindAggregate:
		text = "..." // GDB asks for the type first, and then for the value
	case err != nil:
		text = OptimizedOut
	default:
		text = p.format(t, now)
	}
	if t.kind == kindReference {
		return p.referred(args, name, text, param, t, now, err)
	}
	entry, known := p.entryOf(param, t)
	switch {
	case !known || synthetic:
		return append(args, Argument{name, text})
	case err == nil && string(entry) == string(now):
		return append(args, Argument{name, name + "@entry=" + text})
	}
	return append(args, Argument{name, text}, Argument{name + "@entry", p.format(t, entry)})
}

// aggregate prints a structure, a union, a class or an array: like GDB with dots, and what it was on entry too where
// that is known, which it is of one that fits into a register.
func (p *printer) aggregate(args []Argument, name string, param die, t typ) []Argument {
	const dots = "..."
	if entry, known := p.entryOf(param, t); known {
		if now, err := p.valueOf(param, t); err == nil && string(now) == string(entry) {
			return append(args, Argument{name, name + "@entry=" + dots})
		}
		return append(args, Argument{name, dots}, Argument{name + "@entry", dots})
	}
	return append(args, Argument{name, dots})
}

// referred prints a C++ reference. What it was on entry counts, as with GDB, only where the compiler also said what was
// referred to, and only for saying that it is still the same.
func (p *printer) referred(args []Argument, name, text string, param die, t typ, now []byte, err error) []Argument {
	to := t.die.typeOf()
	data, known := p.entryData(param, to)
	entry, same := p.entryOf(param, t)
	if !known || !same || err != nil {
		return append(args, Argument{name, text})
	}
	if string(entry) == string(now) {
		target := make([]byte, to.size)
		if p.x.read(p.state, uint32(littleEndian(now)), target) && string(target) == string(data) {
			return append(args, Argument{name, name + "@entry=" + text})
		}
	}
	at := "@" + hex(littleEndian(entry)) + ": "
	if to.kind == kindAggregate {
		return append(args, Argument{name, text}, Argument{name + "@entry", "..."})
	}
	return append(args, Argument{name, text}, Argument{name + "@entry", at + p.format(to, data)})
}

// entryData gives the bytes of what a reference referred to on entry.
func (p *printer) entryData(param die, to typ) ([]byte, bool) {
	v, ok := param.attr(attrLocation)
	if !ok || p.state.Caller == nil || to.size == 0 {
		return nil, false
	}
	entry, ok := p.function.lowest()
	if !ok {
		return nil, false
	}
	e := p.evaluation()
	e.referred = true
	o, err := e.parameterAtEntry(param.unit, v, entry)
	if err != nil || to.size > uint64(o.size) {
		return nil, false
	}
	return o.bytes()[:to.size], true
}

var errSynthetic = errors.New("synthetic pointer")

// maxScalar is the size of the largest value that is printed: a long double.
const maxScalar = 16

// valueOf gives the bytes of a parameter's value.
func (p *printer) valueOf(param die, t typ) ([]byte, error) {
	if t.size == 0 || t.size > maxScalar {
		return nil, errUnknown
	}
	if v, owner, ok := param.inherited(attrConstValue); ok {
		return owner.constant(v, t)
	}
	v, ok := param.attr(attrLocation)
	if !ok {
		return nil, errUnknown
	}
	expr, ok := param.unit.expressionAt(v, p.state.Lookup, false)
	if !ok {
		return nil, errUnknown
	}
	e := p.evaluation()
	at, err := e.locate(expr)
	if err != nil {
		return nil, err
	}
	if at.kind == isSynthetic {
		return nil, errSynthetic
	}
	return e.fetch(at, t.size)
}

// constant gives the bytes of DW_AT_const_value. Like GDB it does not take fixed-size data as signed: GCC writes 200
// in one byte for an int.
func (d die) constant(v value, t typ) ([]byte, error) {
	switch {
	case v.form == formStrp || v.form == formString || v.form == formLineStrp:
		return nil, errUnknown
	case v.block != nil:
		if uint64(len(v.block)) < t.size {
			return nil, errUnknown
		}
		return v.block[:t.size], nil
	case t.size > 8:
		return nil, errUnknown
	}
	return operand{num: v.num}.bytes()[:t.size], nil
}

// entryOf gives the bytes of what the caller passed.
func (p *printer) entryOf(param die, t typ) ([]byte, bool) {
	v, ok := param.attr(attrLocation)
	if !ok || p.state.Caller == nil || t.size == 0 {
		return nil, false
	}
	entry, ok := p.function.lowest()
	if !ok {
		return nil, false
	}
	o, err := p.evaluation().parameterAtEntry(param.unit, v, entry)
	if err != nil || t.size > uint64(o.size) {
		return nil, false
	}
	return o.bytes()[:t.size], true
}
