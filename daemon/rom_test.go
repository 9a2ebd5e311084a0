package main

import (
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// romFile is an ELF that has nothing but one function's name, as Espressif's ROM ELFs have some thousand.
func romFile(name string, addr, size uint32) []byte {
	le := binary.LittleEndian
	const header, sectionSize, symbolSize = 52, 40, 16
	names := append(append([]byte{0}, name...), 0)
	sectionNames := []byte("\x00.symtab\x00.strtab\x00")
	table := make([]byte, symbolSize)
	for _, v := range []uint32{1, addr, size} {
		table = le.AppendUint32(table, v)
	}
	table = le.AppendUint16(append(table, elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC), 0), uint16(elf.SHN_ABS))
	out := make([]byte, header)
	var sections []byte
	add := func(name uint32, typ elf.SectionType, data []byte, link uint32) {
		for _, v := range []uint32{name, uint32(typ), 0, 0, uint32(len(out)), uint32(len(data)), link, 0, 1, 0} {
			sections = le.AppendUint32(sections, v)
		}
		out = append(out, data...)
	}
	add(0, elf.SHT_NULL, nil, 0)
	add(1, elf.SHT_SYMTAB, table, 2)
	add(9, elf.SHT_STRTAB, names, 0)
	add(9, elf.SHT_STRTAB, sectionNames, 0)
	copy(out, "\x7fELF\x01\x01\x01")
	le.PutUint16(out[16:], uint16(elf.ET_EXEC))
	le.PutUint16(out[18:], uint16(elf.EM_RISCV))
	le.PutUint32(out[20:], 1)
	le.PutUint32(out[32:], uint32(len(out)))
	le.PutUint16(out[40:], header)
	le.PutUint16(out[46:], sectionSize)
	le.PutUint16(out[48:], uint16(len(sections)/sectionSize))
	le.PutUint16(out[50:], 3)
	return append(out, sections...)
}

func TestTheROMOfTheChipsRevisionNamesItsFunctions(t *testing.T) {
	folder := t.TempDir()
	for file, function := range map[string]string{
		"esp32c3_rev0_rom.elf":   "of_rev0",
		"esp32c3_rev3_rom.elf":   "of_rev3",
		"esp32c3_rev101_rom.elf": "of_rev101",
		"esp32_rev0_rom.elf":     "of_another_chip",
		"README.md":              "of_no_rom",
	} {
		if err := os.WriteFile(filepath.Join(folder, file), romFile(function, 0x400485E0, 0x40), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for revision, want := range map[string]string{
		"v0.0": "of_rev0", "v0.2": "of_rev0", "v0.3": "of_rev3", "v1.0": "of_rev3", "v1.1": "of_rev101", "": "of_rev101",
	} {
		r, err := openROM(folder, "ESP32-C3", revision)
		if err != nil {
			t.Fatal(err)
		}
		if name, ok := r.name(0x400485E4); !ok || name != want {
			t.Errorf("%q: %q, %v; want %q", revision, name, ok, want)
		}
		if name, ok := r.name(0x40050000); ok {
			t.Errorf("%q: code that no function covers is %q", revision, name)
		}
	}
	if _, err := openROM(folder, "", ""); exitCode(err) != exitUsage {
		t.Errorf("without a chip: %v", err)
	}
	if _, err := openROM(folder, "ESP32-P4", "v1.0"); err == nil {
		t.Error("there is no ROM of the P4")
	}
}

func TestDecodeNamesROMFunctions(t *testing.T) {
	dump, app := realBuild(t, "esp32c3", "core.b64"), realBuild(t, "esp32c3", "app.elf")
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "esp32c3_rev3_rom.elf"), romFile("ets_vprintf", 0x400485A0, 0x80), 0o600); err != nil {
		t.Fatal(err)
	}
	r := decodeJSON(t, "--rom", folder, writeFile(t, "core.b64", dump), writeFile(t, "app.elf", app))
	if f := r.Tasks[0].Frames[4]; f.Function != "ets_vprintf" || !f.ROM || f.File != "" {
		t.Errorf("%+v", f)
	}
}
