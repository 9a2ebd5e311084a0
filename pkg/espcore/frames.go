package espcore

import "github.com/slipway-gateway/slipway/pkg/symbol"

const unknownFunction = "??"

// frames names the functions of a walk, those inlined into them included.
func (n *decoder) frames(steps []step) []Frame {
	out := []Frame{}
	for i := range steps {
		out = append(out, n.expand(&steps[i])...)
	}
	return out
}

func (n *decoder) expand(s *step) []Frame {
	if !s.known {
		return []Frame{{Function: s.name, How: s.how, Args: []Argument{}}}
	}
	pc := Hex(s.pc)
	innermost := Frame{PC: &pc, Function: unknownFunction, How: s.how, ROM: n.program.isROM(s.pc), Args: []Argument{}}
	var names []symbol.Frame
	if n.program.ix != nil {
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
