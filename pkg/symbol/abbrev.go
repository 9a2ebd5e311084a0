package symbol

// maxAbbrevSpecs bounds one unit's abbreviations: a real unit, even after link-time optimisation, has less than 50,000
// attributes in its table, and each takes 16 bytes here.
const maxAbbrevSpecs = 1 << 18

// spec is one attribute of an abbreviation.
type spec struct {
	attr     uint16
	form     uint16
	implicit int64 // the value of a DW_FORM_implicit_const
}

// abbrev is the shape of an entry.
type abbrev struct {
	tag      uint16
	children bool
	specs    []spec
	fixed    int // bytes of all values in the 32-bit format; -1 where that varies
}

// abbrevTable holds the shapes by their code. Compilers number them from 1 upwards.
type abbrevTable struct {
	dense  []abbrev
	sparse map[uint64]*abbrev
	all    []spec // of every shape, one after the other
	specs  int
}

func (t *abbrevTable) find(code uint64) *abbrev {
	if code-1 < uint64(len(t.dense)) {
		return &t.dense[code-1]
	}
	return t.sparse[code]
}

// read replaces the table by what data holds; with first it stops behind that code, which is what a root entry needs. A
// table that ends in the middle keeps what came before.
func (t *abbrevTable) read(data []byte, first uint64) {
	*t = abbrevTable{dense: t.dense[:0], all: t.all[:0]}
	c := cursor{data: data}
	for {
		code := c.uleb()
		if code == 0 || c.bad {
			return
		}
		a, from := abbrev{tag: narrow(c.uleb()), children: c.u8() != 0}, len(t.all)
		for {
			s := spec{attr: narrow(c.uleb()), form: narrow(c.uleb())}
			if s.form == formImplicit {
				s.implicit = c.sleb()
			}
			if c.bad || t.specs >= maxAbbrevSpecs {
				return
			}
			if s.attr == 0 && s.form == 0 {
				break
			}
			n := fixedSize(s.form)
			if n < 0 || a.fixed < 0 {
				a.fixed = -1
			} else {
				a.fixed += n
			}
			t.all = append(t.all, s)
			t.specs++
		}
		a.specs = t.all[from:len(t.all):len(t.all)]
		t.specs++
		switch {
		case code == uint64(len(t.dense))+1:
			t.dense = append(t.dense, a)
		case t.find(code) == nil:
			if t.sparse == nil {
				t.sparse = make(map[uint64]*abbrev)
			}
			t.sparse[code] = &a
		}
		if code == first {
			return
		}
	}
}

// roomFor makes an empty table that reading data fills: one that grew to it took twice the memory.
func roomFor(data []byte) *abbrevTable {
	c, shapes, specs := cursor{data: data}, 0, 0
	for shapes+specs < maxAbbrevSpecs && c.uleb() != 0 && !c.bad {
		c.uleb() // tag
		c.u8()
		for shapes+specs < maxAbbrevSpecs && !c.bad {
			attr, form := c.uleb(), c.uleb()
			if attr == 0 && form == 0 {
				break
			}
			if form == formImplicit {
				c.sleb()
			}
			specs++
		}
		shapes++
	}
	return &abbrevTable{dense: make([]abbrev, 0, shapes), all: make([]spec, 0, specs)}
}

// narrow keeps a number that a real file would have small; others become one that nothing knows.
func narrow(v uint64) uint16 {
	if v > 0xfffe {
		return 0xffff
	}
	return uint16(v)
}

// abbrevTable reads the unit's table, or finds it where another unit had the same.
func (u *unit) abbrevTable() *abbrevTable {
	x := u.x
	if t := x.abbrevs[u.abbrevOff]; t != nil {
		return t
	}
	data := x.abbrev.all()
	if u.abbrevOff >= uint64(len(data)) {
		return &abbrevTable{}
	}
	t := roomFor(data[u.abbrevOff:])
	t.read(data[u.abbrevOff:], 0)
	x.spend(t.specs * 24) // a spec takes 16 bytes, an abbreviation 48
	if x.abbrevs == nil {
		x.abbrevs = make(map[uint64]*abbrevTable)
	}
	x.abbrevs[u.abbrevOff] = t
	return t
}
