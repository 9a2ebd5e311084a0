package symbol

// CallSite is one call that the compiler described.
type CallSite struct {
	Return    uint32 // the address behind the call
	Target    uint32 // entry of the called function where HasTarget; unknown for a call through a pointer
	HasTarget bool
	Tail      bool // a jump: the called function returns to this one's caller
}

// CallSite finds the described call behind which lies returnPC.
func (x *Index) CallSite(returnPC uint32) (CallSite, bool) {
	x.begin()
	return x.describedCall(returnPC)
}

func (x *Index) describedCall(returnPC uint32) (CallSite, bool) {
	d, _, ok := x.callSite(returnPC)
	if !ok {
		return CallSite{}, false
	}
	s := CallSite{Return: returnPC, Tail: d.isTailCall()}
	s.Target, s.HasTarget = d.callTarget()
	return s, true
}

// foundSite is a call that was looked for before.
type foundSite struct {
	site, function die
	ok             bool
}

// callSite finds the entry of a call, and of the function in which it stands.
func (x *Index) callSite(returnPC uint32) (site, function die, ok bool) {
	if f, known := x.sites[returnPC]; known {
		return f.site, f.function, f.ok
	}
	var f foundSite
	if d, ok := x.function(returnPC - 1); ok { // the call may be the function's last instruction
		f.function = d
		d.eachCallSite(func(d die, at uint32) bool {
			if at == returnPC {
				f.site, f.ok = d, true
			}
			return !f.ok
		})
	}
	x.spend(128)
	if x.sites == nil {
		x.sites = make(map[uint32]foundSite)
	}
	x.sites[returnPC] = f
	return f.site, f.function, f.ok
}

// eachCallSite visits the calls of a function, those in its blocks and inlined calls too.
func (d die) eachCallSite(visit func(site die, returnPC uint32) bool) {
	d.walk(func(e die, _ int) step {
		switch e.tag() {
		case tagLexicalBlock, tagInlinedSubroutine:
			return enter
		case tagCallSite, tagGNUCallSite:
			v, ok := e.either(attrCallReturnPC, attrLowPC)
			if !ok {
				return pass
			}
			if at, ok := e.unit.address(v); ok && !visit(e, at) {
				return stop
			}
		}
		return pass
	})
}

func (d die) isTailCall() bool { return d.flag(attrCallTailCall) || d.flag(attrGNUTailCall) }

// targetExpression is the expression that computes an indirect call's target.
func (d die) targetExpression() ([]byte, bool) {
	v, ok := d.either(attrCallTarget, attrGNUCallTarget)
	return v.block, ok && v.isExpression()
}

// callTarget gives the entry of a directly called function. Like GDB it takes a definition's address, and for a
// declaration the symbol of its name; an inline function's abstract instance has none.
func (d die) callTarget() (uint32, bool) {
	if _, indirect := d.either(attrCallTarget, attrGNUCallTarget); indirect {
		return 0, false
	}
	target, ok := d.refer(attrCallOrigin)
	if !ok {
		if target, ok = d.refer(attrAbstractOrigin); !ok {
			return 0, false
		}
	}
	if target.flag(attrDeclaration) && !target.has(attrSpecification) {
		name := target.name()
		if v, ok := target.either(attrLinkageName, attrMIPSLinkageName); ok {
			name = target.unit.string(v)
		}
		s, ok := d.unit.x.Lookup(name)
		return s.Addr, ok
	}
	return target.lowest()
}

// tailSite is a tail call of a function: where it would return to, and the function that it jumps to.
type tailSite struct {
	at     uint32
	target uint32
	known  bool
}

// tailSites gives the tail calls of the function that begins at addr; false where no described function does.
func (x *Index) tailSites(addr uint32) ([]tailSite, bool) {
	if sites, ok := x.calls[addr]; ok {
		return sites, true
	}
	function, ok := x.function(addr)
	if !ok {
		return nil, false
	}
	if lo, ok := function.lowest(); !ok || lo != addr {
		return nil, false
	}
	sites := []tailSite{}
	function.eachCallSite(func(d die, at uint32) bool {
		if d.isTailCall() {
			s := tailSite{at: at}
			s.target, s.known = d.callTarget()
			sites = append(sites, s)
		}
		return true
	})
	x.spend(64 + 16*len(sites))
	if x.calls == nil {
		x.calls = make(map[uint32][]tailSite)
	}
	x.calls[addr] = sites
	return sites, true
}

const (
	// maxTailCalls is the longest chain of tail calls that is reported.
	maxTailCalls = 3
	// maxTailFunctions bounds the functions that one search through tail calls looks into.
	maxTailFunctions = 64
)

// TailCalls finds the functions that tail calls removed between the caller to which returnPC belongs and the function
// that starts at callee: the return addresses of the tail calls, the one nearest to the callee first; look each up
// with one less. Empty where the caller called callee itself, and, as with GDB, where no chain or more than one leads
// there, or a call on the way goes through a pointer.
func (x *Index) TailCalls(returnPC, callee uint32) []uint32 {
	x.begin()
	site, ok := x.describedCall(returnPC)
	if !ok || !site.HasTarget || site.Target == callee {
		return nil
	}
	s := tailSearch{x: x, goal: callee, seen: map[uint32]bool{}}
	if !s.from(site.Target) || s.found != 1 {
		return nil
	}
	return s.chain
}

// tailSearch looks for the chains of tail calls from a function to a goal.
type tailSearch struct {
	x     *Index
	goal  uint32
	seen  map[uint32]bool
	path  []uint32 // return addresses, outermost first
	chain []uint32 // the first chain found, innermost first
	found int
}

// from searches below a function; false where a call cannot be followed.
func (s *tailSearch) from(function uint32) bool {
	if s.seen[function] || len(s.path) == maxTailCalls {
		return true
	}
	s.seen[function] = true
	sites, ok := s.x.tailSites(function)
	if !ok || len(s.seen) > maxTailFunctions {
		return false
	}
	for _, t := range sites {
		if !t.known {
			return false
		}
		s.path = append(s.path, t.at)
		if t.target == s.goal {
			if s.found++; s.found == 1 {
				for i := len(s.path) - 1; i >= 0; i-- {
					s.chain = append(s.chain, s.path[i])
				}
			}
		} else if !s.from(t.target) {
			return false
		}
		s.path = s.path[:len(s.path)-1]
	}
	return true
}

// callsItself tells whether a function can be reached from itself through tail calls alone, or whether that cannot be
// excluded. Then what its caller passed says nothing of its parameters.
func (x *Index) callsItself(function uint32) bool {
	seen := map[uint32]bool{}
	todo := []uint32{function}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		sites, ok := x.tailSites(at)
		if !ok || len(seen) > maxTailFunctions {
			return true
		}
		for _, t := range sites {
			if !t.known || t.target == function {
				return true
			}
			if !seen[t.target] {
				seen[t.target] = true
				todo = append(todo, t.target)
			}
		}
	}
	return false
}
