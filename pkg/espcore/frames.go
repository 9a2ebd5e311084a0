package espcore

import "github.com/slipway-gateway/slipway/pkg/symbol"

const unknownFunction = "??"

// frames names the functions of a walk, those inlined into them included.
func (n *decoder) frames(s stack) ([]Frame, *LeftOut) {
	out := []Frame{}
	var gap *LeftOut
	for i := range s.steps {
		if i == s.gap {
			gap = &LeftOut{After: len(out), Count: s.leftOut}
			n.walker.warn("the stack is %d frames deep: after the innermost %d, %d were left out", len(s.steps)+s.leftOut, i, s.leftOut)
		}
		out = append(out, n.expand(&s.steps[i])...)
	}
	return out, gap
}

func (n *decoder) expand(s *step) []Frame {
	if !s.known {
		return []Frame{{Function: s.name, How: s.how, Args: []Argument{}}}
	}
	pc := Hex(s.pc)
	innermost := Frame{PC: &pc, Function: unknownFunction, How: s.how, ROM: n.program.isROM(s.pc), Args: []Argument{}}
	var names []symbol.Frame
	if n.program.isProgram(s.lookup) {
		names = n.program.ix.Frames(s.lookup)
	}
	if len(names) == 0 {
		if name := n.program.romName(s.pc); name != "" && (innermost.ROM || n.program.ix == nil && inROM(s.pc)) {
			innermost.Function = name
		}
		return []Frame{innermost}
	}
	out := make([]Frame, len(names))
	for i, name := range names {
		out[i] = Frame{Function: name.Function, File: name.File, Line: name.Line, Inlined: name.Inlined, How: s.how,
			Qualified: name.Qualified, DeclFile: name.DeclFile}
		if out[i].Function == "" {
			out[i].Function = unknownFunction
		}
		out[i].InApp = out[i].File != "" && !n.framework.owns(out[i].source())
		out[i].Args = arguments(n.program.ix.Args(name, &s.state))
	}
	out[0].PC, out[0].ROM = innermost.PC, innermost.ROM
	return out
}

func arguments(args []symbol.Argument) []Argument {
	out := make([]Argument, len(args))
	for i, a := range args {
		out[i] = Argument(a)
	}
	return out
}
