package espcore

import "testing"

func BenchmarkReadReal(b *testing.B) {
	for _, name := range realDumps {
		data := fixture(b, name, "core.b64")
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustRead(b, data)
			}
		})
	}
}

// BenchmarkDecodeCold opens the ELF each time, as for the first dump of a build.
func BenchmarkDecodeCold(b *testing.B) {
	for _, name := range realDumps {
		data, elf := fixture(b, name, "core.b64"), fixture(b, name, "app.elf")
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ix, sum := openELF(b, elf)
				Decode(mustRead(b, data), ix, Options{ELFSHA256: sum})
			}
		})
	}
}

// BenchmarkDecodeFurther has the index, as for every further dump of a build.
func BenchmarkDecodeFurther(b *testing.B) {
	for _, name := range realDumps {
		data := fixture(b, name, "core.b64")
		ix, sum := openELF(b, fixture(b, name, "app.elf"))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Decode(mustRead(b, data), ix, Options{ELFSHA256: sum})
			}
		})
	}
}
