package symbol

// scope is where the parameters of a frame are described.
type scope struct {
	known  bool
	die    uint64 // the inlined call or the function
	within uint64 // the function: its frame base is that of the calls inlined into it
}

// Frames names the functions at pc (State.Lookup), innermost first: the calls inlined there, and the function itself.
// The innermost has its line from the line table, the others from where the call inlined into them is written. Where
// the ELF has no DWARF for pc, the symbol table's name comes alone, and nothing at all where that has none either.
func (x *Index) Frames(pc uint32) []Frame {
	x.begin()
	units := x.unitsFor(pc)
	for _, u := range units {
		d, ok := u.functionAt(pc)
		if !ok {
			continue
		}
		file, line, _ := u.lineTable().find(pc)
		calls := d.inlinedAt(pc)
		frames := make([]Frame, 0, len(calls)+1)
		for _, call := range calls {
			key := call.keyName()
			frames = append(frames, Frame{
				Function: call.functionName(), File: file, Line: line, Inlined: true,
				Qualified: key.qualified, DeclFile: key.declFile,
				scope: scope{known: true, die: call.off, within: d.off},
			})
			file, line = u.callPosition(call)
		}
		key := d.keyName()
		return append(frames, Frame{
			Function: d.functionName(), File: file, Line: line,
			Qualified: key.qualified, DeclFile: key.declFile,
			scope: scope{known: true, die: d.off, within: d.off},
		})
	}
	for _, u := range units { // assembler: lines without functions
		if file, line, ok := u.lineTable().find(pc); ok {
			return x.plainFrame(pc, file, line)
		}
	}
	return x.plainFrame(pc, "", 0)
}

func (x *Index) plainFrame(pc uint32, file string, line int) []Frame {
	s, ok := x.Function(pc)
	if !ok && line == 0 {
		return nil
	}
	name := Demangle(s.Name)
	return []Frame{{Function: name, File: file, Line: line, Qualified: name}}
}

// callPosition is where an inlined call is written.
func (u *unit) callPosition(call die) (string, int) {
	line, ok := call.attr(attrCallLine)
	if !ok || line.num == 0 || line.num > 1<<31-1 {
		return "", 0
	}
	file, _ := call.attr(attrCallFile)
	return u.lineTable().file(file.num), int(line.num)
}
