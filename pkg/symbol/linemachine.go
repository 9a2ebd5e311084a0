package symbol

// lineMachine is the state machine of DWARF 5 section 6.2.2 with the choices that GDB makes of its rows
// (lnp_state_machine::record_line in gdb/dwarf2/read.c, buildsym_compunit::record_line).
type lineMachine struct {
	*lineHeader
	same []uint32
	zero bool // address 0 is code, not the mark of a function that the linker dropped
	rows []row

	addr          uint32
	file          uint32
	line          uint32
	stmt          bool
	discriminator bool // of the current row, not zero
	seen          bool // the current line has had a discriminator other than zero

	dropped    bool // the sequence belongs to code that the linker dropped
	start      int  // where its rows begin
	lastFile   uint32
	lastLine   uint32
	lastAddr   uint32
	stmtAtAddr bool
	hasLast    bool
}

func (m *lineMachine) reset() {
	m.addr, m.file, m.line, m.stmt = 0, 1, 1, m.isStmt
	m.discriminator, m.seen = false, false
	m.dropped, m.start = false, len(m.rows)
	m.lastFile, m.lastLine, m.lastAddr, m.stmtAtAddr, m.hasLast = 0, 0, 0, false, false
}

func (m *lineMachine) run() {
	const (
		extended = iota
		copyRow
		advancePC
		advanceLine
		setFile
		setColumn
		negateStmt
		setBasicBlock
		constAddPC
		fixedAdvancePC
	)
	c := cursor{data: m.program}
	m.reset()
	for c.left() > 0 {
		op := c.u8()
		if op >= m.opcodeBase {
			m.special(op)
			m.record()
			continue
		}
		switch op {
		case extended:
			m.extended(&c)
		case copyRow:
			m.record()
		case advancePC:
			m.addr += uint32(c.uleb()) * m.minLength
		case advanceLine:
			m.moveLine(int32(c.sleb()))
		case setFile:
			m.file = uint32(min(c.uleb(), rowIsStmt-1))
		case setColumn:
			c.uleb()
		case negateStmt:
			m.stmt = !m.stmt
		case constAddPC:
			m.addr += uint32(255-m.opcodeBase) / m.lineRange * m.minLength
		case fixedAdvancePC:
			m.addr += uint32(c.u16())
		default: // set_basic_block, prologue_end, epilogue_begin, set_isa, and what a later standard adds
			for range m.lengths[op-1] {
				c.uleb()
			}
		}
	}
}

func (m *lineMachine) special(op uint8) {
	adjusted := uint32(op - m.opcodeBase)
	m.addr += adjusted / m.lineRange * m.minLength
	m.moveLine(m.lineBase + int32(adjusted%m.lineRange))
}

func (m *lineMachine) moveLine(by int32) {
	m.line += uint32(by)
	if by != 0 {
		m.seen = m.discriminator
	}
}

func (m *lineMachine) extended(c *cursor) {
	const (
		endSequence      = 1
		setAddress       = 2
		setDiscriminator = 4
	)
	op := cursor{data: c.bytes(c.uleb())}
	switch op.u8() {
	case endSequence:
		m.end()
		m.reset()
	case setAddress:
		m.addr = uint32(op.uint(min(op.left(), 8)))
		// The linker lets a function that it dropped begin at 0.
		m.dropped = m.addr == 0 && !m.zero
	case setDiscriminator:
		m.discriminator = op.uleb() != 0
		m.seen = m.seen || m.discriminator
	}
}

func (m *lineMachine) fileNow() uint32 {
	if m.file < uint32(len(m.same)) {
		return m.same[m.file]
	}
	return m.file
}

// record takes the current row, or drops it where GDB does.
func (m *lineMachine) record() {
	file := m.fileNow()
	changed := !m.hasLast || file != m.lastFile
	ignore := m.line == 0 || changed && m.lastAddr == m.addr && !m.stmt && m.stmtAtAddr
	if !ignore {
		if changed && m.hasLast {
			m.dropRowsAt(m.addr) // the other file's; GDB ends it here
		}
		if changed || m.line != m.lastLine || !m.seen {
			m.add(file)
			m.lastFile, m.hasLast = file, true
		}
		m.lastLine = m.line
	}
	if m.lastAddr != m.addr {
		m.stmtAtAddr, m.lastAddr = false, m.addr
	}
	m.stmtAtAddr = m.stmtAtAddr || m.stmt
	m.discriminator = false
}

func (m *lineMachine) add(file uint32) {
	if m.dropped || len(m.rows) >= maxRows {
		return
	}
	r := row{addr: m.addr, line: m.line, file: file}
	if m.stmt {
		r.file |= rowIsStmt
	}
	m.rows = append(m.rows, r)
}

// end closes the sequence: rows without an instruction vanish, and what follows has no line.
func (m *lineMachine) end() {
	m.dropRowsAt(m.addr)
	if len(m.rows) > m.start {
		m.rows = append(m.rows, row{addr: m.addr})
	}
}

func (m *lineMachine) dropRowsAt(addr uint32) {
	for len(m.rows) > m.start && m.rows[len(m.rows)-1].addr == addr {
		m.rows = m.rows[:len(m.rows)-1]
	}
}
