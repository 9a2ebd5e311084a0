package symbol

import (
	"maps"
	"slices"
	"strings"
)

// Offsets finds the byte offsets of members in a structure by its DWARF name. False where no unit describes the
// structure with all of the members. The answer is kept: a search that finds nothing reads all of .debug_info.
func (x *Index) Offsets(structName string, members ...string) (map[string]uint32, bool) {
	key := structName + "\x00" + strings.Join(members, "\x00")
	found, known := x.offsets[key]
	if !known {
		found = x.findOffsets(structName, members)
		if x.offsets == nil {
			x.offsets = make(map[string]map[string]uint32)
		}
		x.offsets[key] = found
	}
	return maps.Clone(found), found != nil
}

func (x *Index) findOffsets(structName string, members []string) map[string]uint32 {
	tried := map[*unit]bool{}
	for _, u := range x.unitsNaming(structName) {
		tried[u] = true
		if found := u.offsets(structName, members); found != nil {
			return found
		}
	}
	for _, u := range slices.Concat(x.units, x.typeOrder) {
		if !tried[u] {
			if found := u.offsets(structName, members); found != nil {
				return found
			}
		}
	}
	return nil
}

func (u *unit) offsets(structName string, members []string) map[string]uint32 {
	root, ok := u.entry(u.root)
	if !ok {
		return nil
	}
	var found map[string]uint32
	root.walk(func(d die, _ int) step {
		switch d.tag() {
		case tagStructure, tagClass:
			if found = d.memberOffsets(structName, members); found != nil {
				return stop
			}
		case tagNamespace:
			return enter
		}
		return pass
	})
	return found
}

// memberOffsets gives the members of a structure of that name; nil for others.
func (d die) memberOffsets(structName string, members []string) map[string]uint32 {
	v, ok := d.attr(attrName)
	if !ok || d.flag(attrDeclaration) || !d.unit.stringIs(v, structName) {
		return nil
	}
	all := make(map[string]uint32)
	d.children(func(m die) bool {
		if m.tag() == tagMember && len(all) < maxMembers {
			at, _ := m.attr(attrMemberLocation)
			if off, ok := at.memberOffset(); ok {
				all[m.name()] = off
			}
		}
		return true
	})
	found := make(map[string]uint32, len(members))
	for _, name := range members {
		off, ok := all[name]
		if !ok {
			return nil
		}
		found[name] = off
	}
	return found
}

// maxMembers bounds the members of a structure that are looked at.
const maxMembers = 4096

// memberOffset reads DW_AT_data_member_location: a number, or in DWARF 2 an expression that adds one. A union's
// members have none and lie at 0.
func (v value) memberOffset() (uint32, bool) {
	if v.isExpression() {
		c := cursor{data: v.block}
		op, n := c.u8(), c.uleb()
		return uint32(n), op == opPlusUint && !c.bad
	}
	return uint32(v.num), true
}
