package symbol

import "testing"

func TestOffsetsFindsTheTaskControlBlockOfTheFixtures(t *testing.T) {
	for _, chip := range []string{"esp32", "esp32c3", "esp32c6"} {
		x := openFixture(t, chip)
		offsets, ok := x.Offsets("tskTaskControlBlock", "pcTaskName", "pxStack", "uxPriority", "pxTopOfStack")
		if !ok || offsets["pxTopOfStack"] != 0 {
			t.Fatalf("%s: %v", chip, offsets)
		}
		core := readTestCore(t, chip)
		for i, want := range gdbTasks(t, chip) {
			name := make([]byte, len(want.Task)+1)
			if !core.read(core.tasks[i].tcb+offsets["pcTaskName"], name) || string(name) != want.Task+"\x00" {
				t.Errorf("%s: task %d is %q, want %q", chip, i, name, want.Task)
			}
		}
	}
}

func TestOffsetsReadsMembersOfEachVersion(t *testing.T) {
	for _, version := range []int{2, 4, 5} {
		block := tree(tagStructure, named("tcb"),
			tree(tagMember, named("top"), at(attrMemberLocation, formData1, 0)),
			tree(tagMember, named("name"), at(attrMemberLocation, formUdata, 52)),
			tree(tagMember, named("old"), at(attrMemberLocation, formBlock1, join(opPlusUint, 0x80, 1))),
			tree(tagMember, named("odd"), at(attrMemberLocation, formBlock1, join(opDeref, 0))),
			tree(tagMember, named("first")))
		w := &dwarfWriter{version: version}
		name := at(attrName, formStrp, w.addString("tcb"))
		declared := tree(tagStructure, named("tcb"), at(attrDeclaration, formFlag, 1))
		block.attrs[0] = name
		w.root = code(tagCompileUnit, 0x1000, 0x1000, declared, tree(tagNamespace, block))
		x := openBytes(t, w.elf().bytes())
		got, ok := x.Offsets("tcb", "top", "name", "old", "first")
		if !ok || got["top"] != 0 || got["name"] != 52 || got["old"] != 128 || got["first"] != 0 {
			t.Errorf("version %d: %v %v", version, ok, got)
		}
		for _, ask := range [][]string{{"tcb", "absent"}, {"tcb", "odd"}, {"other", "top"}, {"", "top"}} {
			if got, ok := x.Offsets(ask[0], ask[1:]...); ok {
				t.Errorf("version %d: %v: %v", version, ask, got)
			}
		}
	}
}

func TestOffsetsFindsNamesThatStandInATable(t *testing.T) {
	w := &dwarfWriter{version: 5, str: join("tcb"), strOffsets: join(words(0, 0), words(0))}
	w.root = code(tagCompileUnit, 0x1000, 0x1000, at(attrStrOffsetsBase, formSecOffset, 8),
		tree(tagStructure, at(attrName, formStrx, 0), tree(tagMember, named("top"), at(attrMemberLocation, formData1, 4))))
	if got, ok := openBytes(t, w.elf().bytes()).Offsets("tcb", "top"); !ok || got["top"] != 4 {
		t.Errorf("%v", got)
	}
}
