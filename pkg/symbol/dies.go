package symbol

// die is one entry of .debug_info. Its values are decoded when they are asked for.
type die struct {
	unit   *unit
	off    uint64  // in .debug_info
	abbrev *abbrev // nil in the null entry that ends a list of children
	values int     // where in the unit's bytes its values begin
	next   int     // and where they end
}

func (d die) tag() uint16 {
	if d.abbrev == nil {
		return 0
	}
	return d.abbrev.tag
}

// entry reads the entry at off, which must lie behind the unit's header.
func (u *unit) entry(off uint64) (die, bool) {
	if off < u.root || off >= u.end {
		return die{}, false
	}
	data, table := u.contents()
	return u.entryIn(data, table, int(off-u.off))
}

func (u *unit) entryIn(data []byte, table *abbrevTable, pos int) (die, bool) {
	c := cursor{data: data, pos: pos}
	if pos > len(data) {
		return die{}, false
	}
	d := die{unit: u, off: u.off + uint64(pos)}
	code := c.uleb()
	if c.bad {
		return die{}, false
	}
	d.values, d.next = c.pos, c.pos
	if code == 0 {
		return d, true
	}
	if d.abbrev = table.find(code); d.abbrev == nil {
		return die{}, false
	}
	if d.abbrev.fixed >= 0 && u.plain() {
		c.skip(uint64(d.abbrev.fixed))
	} else {
		for _, s := range d.abbrev.specs {
			u.skipValue(&c, s.form)
		}
	}
	d.next = c.pos
	return d, !c.bad
}

// skipValue is readValue for the common forms without making a value.
func (e encoding) skipValue(c *cursor, form uint16) {
	if e.plain() {
		if n := fixedSize(form); n >= 0 {
			c.skip(uint64(n))
			return
		}
	}
	e.readValue(c, form, 0)
}

// attr gives the first value of an attribute.
func (d die) attr(name uint16) (value, bool) {
	if d.abbrev == nil {
		return value{}, false
	}
	for i := range d.abbrev.specs {
		if d.abbrev.specs[i].attr == name {
			return d.valueAt(i)
		}
	}
	return value{}, false
}

func (d die) valueAt(i int) (value, bool) {
	data, _ := d.unit.contents()
	c := cursor{data: data, pos: d.values}
	if d.values > len(data) {
		return value{}, false
	}
	for _, s := range d.abbrev.specs[:i] {
		d.unit.skipValue(&c, s.form)
	}
	s := d.abbrev.specs[i]
	v := d.unit.readValue(&c, s.form, s.implicit)
	return v, !c.bad
}

// either gives the first of two attributes that is there: DWARF 5's and the GNU extension before it.
func (d die) either(a, b uint16) (value, bool) {
	if v, ok := d.attr(a); ok {
		return v, true
	}
	return d.attr(b)
}

func (d die) has(name uint16) bool {
	_, ok := d.attr(name)
	return ok
}

func (d die) flag(name uint16) bool {
	v, ok := d.attr(name)
	return ok && v.num != 0
}

func (d die) name() string {
	v, ok := d.attr(attrName)
	if !ok {
		return ""
	}
	return d.unit.string(v)
}

// refer follows an attribute to another entry.
func (d die) refer(name uint16) (die, bool) {
	v, ok := d.attr(name)
	if !ok {
		return die{}, false
	}
	return d.unit.reference(v)
}

// maxChain bounds chains of abstract origins and specifications. Real ones have three links.
const maxChain = 8

// origins calls visit for the entry, then for what it is an instance or the definition of, until visit is satisfied.
func (d die) origins(visit func(die) bool) {
	for range maxChain {
		if visit(d) {
			return
		}
		next, ok := d.refer(attrAbstractOrigin)
		if !ok {
			if next, ok = d.refer(attrSpecification); !ok {
				return
			}
		}
		d = next
	}
}

// inherited gives an attribute of the entry or of what it is an instance of, and the entry that has it.
func (d die) inherited(name uint16) (v value, owner die, ok bool) {
	d.origins(func(o die) bool {
		v, ok = o.attr(name)
		owner = o
		return ok
	})
	return v, owner, ok
}

// step says how a walk goes on.
type step uint8

const (
	enter step = iota // to the children
	pass              // over the children
	stop
)

// walk visits the descendants of d in their order. depth is 1 for its children. The work is linear in the unit.
func (d die) walk(visit func(d die, depth int) step) {
	if d.abbrev == nil || !d.abbrev.children {
		return
	}
	u := d.unit
	data, table := u.contents()
	depth, hidden := 1, 0 // entries deeper than hidden, where that is not 0, are passed over
	for pos := d.next; depth > 0; {
		e, ok := u.entryIn(data, table, pos)
		if !ok {
			return
		}
		pos = e.next
		if e.abbrev == nil {
			if depth--; depth == hidden {
				hidden = 0
			}
			continue
		}
		way := pass
		if hidden == 0 {
			way = visit(e, depth)
		}
		if way == stop {
			return
		}
		if !e.abbrev.children {
			continue
		}
		if way == pass && hidden == 0 {
			if next, ok := e.sibling(); ok {
				pos = next
				continue
			}
			hidden = depth
		}
		depth++
	}
}

// sibling gives the position in the unit behind the entry's children, where the file says it and it lies ahead.
func (d die) sibling() (int, bool) {
	v, ok := d.attr(attrSibling)
	if !ok || v.form == formRefAddr || v.num <= uint64(d.next) || v.num >= d.unit.end-d.unit.off {
		return 0, false
	}
	return int(v.num), true
}

// children visits the entries directly below d.
func (d die) children(visit func(die) bool) {
	d.walk(func(e die, _ int) step {
		if !visit(e) {
			return stop
		}
		return pass
	})
}
