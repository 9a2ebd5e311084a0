package symbol

import (
	"bytes"
	"io"
	"os"
	"testing"
)

// decodeAll asks what decoding the fixture's dump asks: the frames and arguments of each task, and the task block.
func decodeAll(b *testing.B, x *Index, core *testCore) {
	frames := 0
	for _, task := range core.tasks {
		for _, s := range core.states(x, task) {
			for _, f := range x.Frames(s.Lookup) {
				x.Args(f, s)
				frames++
			}
		}
	}
	if _, ok := x.Offsets("tskTaskControlBlock", "pcTaskName", "pxStack", "uxPriority"); !ok || frames < 9 {
		b.Fatalf("%d frames", frames)
	}
}

func BenchmarkFirstDump(b *testing.B) {
	for _, chip := range []string{"esp32", "esp32c3", "esp32c6"} {
		b.Run(chip, func(b *testing.B) {
			core := readTestCore(b, chip)
			elf, err := os.ReadFile(fixture(b, chip, "app.elf"))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				x, err := Open(mapped(elf), int64(len(elf)))
				if err != nil {
					b.Fatal(err)
				}
				decodeAll(b, x, core)
			}
		})
	}
}

func BenchmarkFurtherDump(b *testing.B) {
	for _, chip := range []string{"esp32", "esp32c3", "esp32c6"} {
		elf, err := os.ReadFile(fixture(b, chip, "app.elf"))
		if err != nil {
			b.Fatal(err)
		}
		for name, r := range map[string]io.ReaderAt{"mapped": mapped(elf), "read": bytes.NewReader(elf)} {
			b.Run(chip+"/"+name, func(b *testing.B) {
				core := readTestCore(b, chip)
				x, err := Open(r, int64(len(elf)))
				if err != nil {
					b.Fatal(err)
				}
				decodeAll(b, x, core)
				b.ReportAllocs()
				for b.Loop() {
					decodeAll(b, x, core)
				}
			})
		}
	}
}

func BenchmarkOpenUnmapped(b *testing.B) {
	elf, err := os.ReadFile(fixture(b, "esp32c3", "app.elf"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Open(bytes.NewReader(elf), int64(len(elf))); err != nil {
			b.Fatal(err)
		}
	}
}
