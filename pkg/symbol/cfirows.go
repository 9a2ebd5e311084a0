package symbol

// RuleKind tells how a row of call-frame information finds a register of the caller.
type RuleKind uint8

// The kinds of rules, DWARF 5 section 6.4.1.
const (
	Unspecified  RuleKind = iota // the row says nothing: by the ABI, the same value or lost
	Undefined                    // lost; of the return address: this frame is the outermost
	SameValue                    // still in the register
	AtCFA                        // in memory at CFA plus an offset
	CFAPlus                      // is CFA plus an offset
	InRegister                   // in another register
	AtExpression                 // in memory where an expression points
	IsExpression                 // is an expression's value
)

type rule struct {
	kind RuleKind
	reg  int
	num  int32
	expr []byte
}

// ruleColumns is how many registers have rules here: the general ones, and the floating-point registers of RISC-V.
const ruleColumns = 64

// maxFrameSteps bounds the instructions of one entry; the longest have some hundred.
const maxFrameSteps = 1 << 14

// maxRemembered bounds DW_CFA_remember_state without a restore. Compilers nest one.
const maxRemembered = 32

// Rules is the row of call-frame information that holds at one address.
type Rules struct {
	Return int  // the column of the return address: a DWARF register number
	Signal bool // the frame is a signal or interrupt handler's: its caller's pc is not a return address

	cfa  rule
	regs [ruleColumns]rule
	enc  encoding
}

// Kind tells how the caller's register n is found.
func (r Rules) Kind(n int) RuleKind {
	if n < 0 || n >= ruleColumns {
		return Unspecified
	}
	return r.regs[n].kind
}

// runFDE runs the instructions of an entry up to pc.
func runFDE(s *section, f fde, eh bool, pc uint32) (Rules, bool) {
	data := s.all()
	info := readCIE(data, uint64(f.cie), eh)
	head := cursor{data: data, pos: int(f.off)}
	body, _, _, ok := nextFrameEntry(&head)
	if info == nil || !ok {
		return Rules{}, false
	}
	c := cursor{data: data[:head.pos], pos: head.pos - len(body)}
	info.pointerAt(&c, s.addr, eh)
	if info.augmented {
		c.skip(c.uleb())
	}
	m := frameMachine{cie: info, pc: pc, row: Rules{Return: info.ra, Signal: info.signal, enc: info.encoding}}
	if !m.run(cursor{data: info.program}) {
		return Rules{}, false
	}
	m.initial, m.addr = m.row, f.lo
	m.whole = false
	if c.bad || !m.run(c) {
		return Rules{}, false
	}
	return m.row, true
}

// frameMachine runs call-frame instructions, DWARF 5 section 6.4.2.
type frameMachine struct {
	*cie
	pc, addr   uint32
	whole      bool // the row for pc is complete
	row        Rules
	initial    Rules
	remembered []Rules
}

const (
	cfaAdvance       = 0x40 // and the delta in the lower bits
	cfaOffset        = 0x80 // and the register in the lower bits
	cfaRestore       = 0xc0
	cfaNop           = 0x00
	cfaSetLoc        = 0x01
	cfaAdvance1      = 0x02
	cfaAdvance2      = 0x03
	cfaAdvance4      = 0x04
	cfaOffsetExt     = 0x05
	cfaRestoreExt    = 0x06
	cfaUndefined     = 0x07
	cfaSameValue     = 0x08
	cfaRegister      = 0x09
	cfaRemember      = 0x0a
	cfaRestoreState  = 0x0b
	cfaDefCFA        = 0x0c
	cfaDefRegister   = 0x0d
	cfaDefOffset     = 0x0e
	cfaDefExpression = 0x0f
	cfaExpression    = 0x10
	cfaOffsetSF      = 0x11
	cfaDefCFASF      = 0x12
	cfaDefOffsetSF   = 0x13
	cfaValOffset     = 0x14
	cfaValOffsetSF   = 0x15
	cfaValExpression = 0x16
	cfaGNUArgsSize   = 0x2e
	cfaGNUNegOffset  = 0x2f
)

// run executes instructions until the row for pc is complete; false where one is unknown or cut short.
func (m *frameMachine) run(c cursor) bool {
	for steps := 0; c.left() > 0 && !m.whole; steps++ {
		if steps == maxFrameSteps {
			return false
		}
		op := c.u8()
		low := uint64(op & 0x3f)
		switch op & 0xc0 {
		case cfaAdvance:
			m.advance(low)
			continue
		case cfaOffset:
			m.set(low, rule{kind: AtCFA, num: int32(c.uleb()) * m.dataAlign})
			continue
		case cfaRestore:
			m.restore(low)
			continue
		}
		if !m.one(op, &c) {
			return false
		}
	}
	return !c.bad
}

func (m *frameMachine) one(op uint8, c *cursor) bool {
	switch op {
	case cfaNop:
	case cfaSetLoc:
		m.moveTo(uint32(c.uint(int(m.addrSize))))
	case cfaAdvance1:
		m.advance(uint64(c.u8()))
	case cfaAdvance2:
		m.advance(uint64(c.u16()))
	case cfaAdvance4:
		m.advance(uint64(c.u32()))
	case cfaOffsetExt:
		m.set(c.uleb(), rule{kind: AtCFA, num: int32(c.uleb()) * m.dataAlign})
	case cfaOffsetSF:
		m.set(c.uleb(), rule{kind: AtCFA, num: int32(c.sleb()) * m.dataAlign})
	case cfaGNUNegOffset:
		m.set(c.uleb(), rule{kind: AtCFA, num: -int32(c.uleb()) * m.dataAlign})
	case cfaValOffset:
		m.set(c.uleb(), rule{kind: CFAPlus, num: int32(c.uleb()) * m.dataAlign})
	case cfaValOffsetSF:
		m.set(c.uleb(), rule{kind: CFAPlus, num: int32(c.sleb()) * m.dataAlign})
	case cfaRestoreExt:
		m.restore(c.uleb())
	case cfaUndefined:
		m.set(c.uleb(), rule{kind: Undefined})
	case cfaSameValue:
		m.set(c.uleb(), rule{kind: SameValue})
	case cfaRegister:
		m.set(c.uleb(), rule{kind: InRegister, reg: register(c.uleb())})
	case cfaExpression:
		m.set(c.uleb(), rule{kind: AtExpression, expr: c.bytes(c.uleb())})
	case cfaValExpression:
		m.set(c.uleb(), rule{kind: IsExpression, expr: c.bytes(c.uleb())})
	case cfaRemember:
		if len(m.remembered) == maxRemembered {
			return false
		}
		m.remembered = append(m.remembered, m.row)
	case cfaRestoreState:
		if len(m.remembered) == 0 {
			return false
		}
		m.row = m.remembered[len(m.remembered)-1]
		m.remembered = m.remembered[:len(m.remembered)-1]
	case cfaDefCFA:
		m.row.cfa = rule{kind: CFAPlus, reg: register(c.uleb()), num: int32(c.uleb())}
	case cfaDefCFASF:
		m.row.cfa = rule{kind: CFAPlus, reg: register(c.uleb()), num: int32(c.sleb()) * m.dataAlign}
	case cfaDefRegister:
		m.row.cfa.kind, m.row.cfa.reg = CFAPlus, register(c.uleb())
	case cfaDefOffset:
		m.row.cfa.kind, m.row.cfa.num = CFAPlus, int32(c.uleb())
	case cfaDefOffsetSF:
		m.row.cfa.kind, m.row.cfa.num = CFAPlus, int32(c.sleb())*m.dataAlign
	case cfaDefExpression:
		m.row.cfa = rule{kind: IsExpression, expr: c.bytes(c.uleb())}
	case cfaGNUArgsSize:
		c.uleb()
	default:
		return false
	}
	return true
}

// register keeps a number that could be a register's.
func register(n uint64) int { return int(min(n, 1<<16)) }

func (m *frameMachine) set(n uint64, r rule) {
	if n < ruleColumns {
		m.row.regs[n] = r
	}
}

func (m *frameMachine) restore(n uint64) {
	if n < ruleColumns {
		m.row.regs[n] = m.initial.regs[n]
	}
}

func (m *frameMachine) advance(delta uint64) { m.moveTo(m.addr + uint32(delta)*m.codeAlign) }

// moveTo begins the row for addr: what holds at pc is complete when that lies behind it.
func (m *frameMachine) moveTo(addr uint32) {
	m.addr = addr
	m.whole = addr > m.pc
}
