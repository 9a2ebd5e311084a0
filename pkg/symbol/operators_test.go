package symbol

import "testing"

func TestExpressionsComputeAsGDBComputes(t *testing.T) {
	lit := func(n int) int { return opLit0 + n }
	for name, c := range map[string]struct {
		expr []byte
		want uint32
	}{
		"constants":        {join(opConst1u, 0xff, opConst1s, 0xff, opPlus), 0xfe},
		"wide constants":   {join(opConst2u, 1, 2, opConst4s, words(3), opPlus, opConst8u, words(4, 9), opPlus), 0x208},
		"leb constants":    {join(opConstu, 0x81, 1, opConsts, 0x7f, opPlus), 128},
		"minus and shift":  {join(lit(1), lit(3), opMinus, lit(1), opShr), 0x7fffffff},
		"arithmetic shift": {join(lit(1), lit(3), opMinus, lit(1), opShra), 0xffffffff},
		"shift too far":    {join(lit(1), opConst1u, 200, opShl), 0},
		"signed division":  {join(lit(4), opNeg, lit(2), opDiv), 0xfffffffe},
		"unsigned mod":     {join(lit(1), opNeg, lit(16), opMod), 15},
		"most negative":    {join(opConst4u, words(1<<31), opConst1s, 0xff, opDiv), 1 << 31},
		"logic":            {join(lit(12), lit(10), opAnd, lit(1), opOr, lit(3), opXor, opNot), 0xfffffff5},
		"product":          {join(lit(6), lit(7), opMul), 42},
		"abs":              {join(lit(6), opNeg, opAbs), 6},
		"plus_uconst":      {join(lit(1), opPlusUint, 0x80, 1), 129},
		"signed compare":   {join(lit(1), opNeg, lit(1), opLt), 1},
		"compares":         {join(lit(1), lit(2), opLe, lit(2), lit(1), opGe, opPlus, lit(3), lit(3), opEq, opPlus, lit(3), lit(4), opNe, opPlus, lit(1), lit(2), opGt, opPlus), 4},
		"stack":            {join(lit(1), lit(2), opOver, opSwap, opDrop, opPlus), 2},
		"rot and pick":     {join(lit(1), lit(2), lit(3), opRot, opPick, 2, opPlus, opPlus, opPlus), 9},
		"branch":           {join(lit(1), opBra, 1, 0, lit(9), lit(5)), 5},
		"no branch":        {join(lit(0), opBra, 1, 0, lit(9)), 9},
		"skip":             {join(lit(7), opSkip, 1, 0, lit(9)), 7},
		"dup, nop":         {join(lit(7), opDup, opNop, opMul), 49},
	} {
		budget := maxSteps
		e := evaluation{enc: encoding{version: 4, addrSize: 4}, state: &State{}, budget: &budget}
		v, err := e.value(c.expr)
		if err != nil || uint32(v.num) != c.want {
			t.Errorf("%s: %#x, %v, want %#x", name, v.num, err, c.want)
		}
	}
	for name, expr := range map[string][]byte{
		"division by zero": join(lit(1), lit(0), opDiv),
		"modulo zero":      join(lit(1), lit(0), opMod),
		"empty":            {},
		"cut":              {opConst4u, 1},
		"jump out":         join(opSkip, 0xff, 0x7f),
		"pick too deep":    join(lit(1), opPick, 1),
		"no unit":          join(opAddrx, 0),
		"no frame base":    join(opFbreg, 0),
		"no caller":        join(opEntryValue, 1, opReg0+10),
	} {
		budget := maxSteps
		e := evaluation{enc: encoding{version: 4, addrSize: 4}, state: &State{}, budget: &budget}
		if v, err := e.value(expr); err == nil {
			t.Errorf("%s: %#x", name, v.num)
		}
	}
}
