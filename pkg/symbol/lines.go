package symbol

import (
	"cmp"
	"slices"
	"sort"
)

// row is one row of a line table.
type row struct { // 12 bytes: there are some hundred thousand
	addr uint32
	line uint32 // 0 behind the last instruction of a sequence
	file uint32 // number of the file, and the flag that the row begins a statement
}

const (
	rowIsStmt = 1 << 31
	// maxRows bounds one table: the largest units have some hundred thousand rows.
	maxRows = 1 << 21
)

func (r row) fileNumber() uint32 { return r.file &^ rowIsStmt }
func (r row) isStmt() bool       { return r.file&rowIsStmt != 0 }

// lineTable is a line number program that ran: its rows by address, chosen as GDB chooses them.
type lineTable struct {
	files []string
	rows  []row
}

// lineTable runs the unit's line number program, once.
func (u *unit) lineTable() *lineTable {
	x := u.x
	if !u.hasLines {
		return &lineTable{}
	}
	if t := x.lines[u.lineOff]; t != nil {
		return t
	}
	t := &lineTable{}
	if h, ok := u.readLineHeader(); ok {
		t.files = h.files
		m := lineMachine{lineHeader: &h, same: canonical(h.files), zero: x.Executable(0)}
		m.run()
		t.rows = m.rows
		slices.SortStableFunc(t.rows, func(a, b row) int {
			if c := cmp.Compare(a.addr, b.addr); c != 0 {
				return c
			}
			return cmp.Compare(min(a.line, 1), min(b.line, 1)) // a sequence's end comes before another's begin
		})
		x.spend(cap(t.rows)*12 + h.spent)
	}
	if x.lines == nil {
		x.lines = make(map[uint64]*lineTable)
	}
	x.lines[u.lineOff] = t
	return t
}

// find gives the file and line of pc; false where the table says nothing.
func (t *lineTable) find(pc uint32) (file string, line int, ok bool) {
	i := sort.Search(len(t.rows), func(i int) bool { return t.rows[i].addr > pc }) - 1
	if i < 0 || t.rows[i].line == 0 {
		return "", 0, false
	}
	// GDB prefers a row that begins a statement among those of the same address.
	j := i
	for j > 0 && !t.rows[j].isStmt() && t.rows[j-1].addr == t.rows[i].addr && t.rows[j-1].line != 0 {
		j--
	}
	if t.rows[j].isStmt() {
		i = j
	}
	return t.file(uint64(t.rows[i].fileNumber())), int(t.rows[i].line), true
}

func (t *lineTable) file(n uint64) string {
	if n >= uint64(len(t.files)) {
		return ""
	}
	return t.files[n]
}

// canonical gives for each file the first number of the same path: DWARF 5 lists the unit's own file twice, and to GDB
// both are one.
func canonical(files []string) []uint32 {
	first := make(map[string]uint32, len(files))
	same := make([]uint32, len(files))
	for i, f := range files {
		n, ok := first[f]
		if !ok || f == "" {
			n = uint32(i)
			first[f] = n
		}
		same[i] = n
	}
	return same
}
