package espcore

import "testing"

func TestAFileIsTheFrameworksByWhereItsEvidenceLies(t *testing.T) {
	for _, c := range []struct {
		root, file string
		inApp      bool
	}{
		// ESP-IDF wherever it is.
		{"/opt/esp/idf", "/opt/esp/idf/components/heap/tlsf/tlsf.c", false},
		{"/opt/esp/idf", "/opt/esp/idf/components/../components/heap/heap.c", false},
		{"/opt/esp/idf", "/opt/esp/idf/examples/blink/main/blink.c", true},
		{"/opt/esp/idf", "/opt/esp/idfx/components/heap/x.c", true},
		{"/home/me/esp/master", "/home/me/esp/master/components/freertos/tasks.c", false},
		{"/home/me/lamp/idf", "/home/me/lamp/components/freertos/mine.c", true},
		{"/home/me/lamp/idf", "/home/me/lamp/idf/components/mbedtls/ssl.c", false},
		{"/opt/esp/idf", "/home/me/esp-idf/components/heap/mine.c", true}, // named like it, but it is not
		{"c:/esp/v5", `C:\Esp\V5\components\heap\multi_heap.c`, false},
		{"c:/esp/v5", `C:/ESP/v5/components/heap\multi_heap.c`, false},
		{"c:/esp/v5", `C:\work\lamp\components\heap\mine.c`, true},
		{"/opt/esp/idf", "/OPT/esp/idf/components/heap/x.c", true},

		// No evidence: as most people call it.
		{"", "/home/ci/esp/esp-idf/components/heap/multi_heap.c", false},
		{"", "/home/ci/esp/esp-idf-v5.3/components/esp_wifi/src/wifi.c", false},
		{"", `D:\Espressif\frameworks\ESP-IDF-v5.3\components\lwip\tcp.c`, false},
		{"", "/home/ci/esp-idf/components/pump/pump.c", true},
		{"", "/home/me/esp-idf-lamp/components/heap/main.c", true},

		// Reproducible builds.
		{"/IDF", "/IDF/components/heap/multi_heap.c", false},
		{"", "/COMPONENT_ESP_SYSTEM_DIR/panic.c", false},
		{"", "/COMPONENT_ESP-TLS_DIR/esp_tls.c", false},
		{"", "/COMPONENT_ESPRESSIF__MDNS_DIR/mdns.c", false},
		{"", "/COMPONENT_MAIN_DIR/main.c", true},
		{"", "/COMPONENT_PUMP_DIR/heap.c", true},
		{"", "/IDF_PROJECT/main/main.c", true},

		// The others.
		{"", "/home/u/.arduino15/packages/esp32/hardware/esp32/3.1.1/cores/esp32/WString.cpp", false},
		{"", "/home/u/.arduino15/packages/esp32/hardware/esp32/3.1.1/libraries/HTTPClient/src/HTTPClient.cpp", false},
		{"", `C:\Users\me\AppData\Local\Arduino15\packages\esp32\hardware\esp32\2.0.17\cores\esp32\main.cpp`, false},
		{"", "/home/u/Arduino/hardware/espressif/esp32/cores/esp32/main.cpp", false},
		{"", "/home/u/Arduino/pump/pump.ino", true},
		{"", "/home/u/hardware/esp32/pump.c", true},
		{"", "/home/u/.platformio/packages/framework-arduinoespressif32@3.20017.0/cores/esp32/Print.cpp", false},
		{"", "/root/.platformio/packages/framework-espidf/components/freertos/tasks.c", false},
		{"", `C:\Users\me\.platformio\packages\framework-arduinoespressif32\libraries\WiFi\src\WiFi.cpp`, false},
		{"", "/home/me/lamp/managed_components/espressif__button/button.c", false},
		{"", "/home/me/lamp/components/arduino-esp32/cores/esp32/main.cpp", false},
		{"", "/home/ci/.espressif/tools/riscv32-esp-elf/esp-14.2.0/riscv32-esp-elf/include/c++/14.2.0/bits/stl_tree.h", false},
		{"", "/opt/xtensa-esp32s3-elf/include/c++/11.2.0/functional", false},
		{"", "/usr/lib/gcc/riscv64-unknown-elf/12/include/stdatomic.h", false},
		{"", "/builds/idf/crosstool-NG/.build/riscv32-esp-elf/src/newlib/newlib/libc/string/memcpy.c", false},
		{"", "/src/gcc/libgcc/unwind-dw2.c", false},
		{"", "/src/gcc/libstdc++-v3/libsupc++/eh_throw.cc", false},
		{"", "/src/newlib/libc/stdlib/abort.c", false},
		{"", "/rustc/9fc6b43126469e3858e2fe86cafb4f0fd5068869/library/core/src/panicking.rs", false},
		{"", "/home/me/.rustup/toolchains/esp/lib/rustlib/src/rust/library/std/src/rt.rs", false},
		{"", "/home/me/.cargo/registry/src/index.crates.io-6f17d22bba15001f/heapless-0.8.0/src/vec.rs", false},
		{"", "/usr/local/cargo/registry/src/github.com-1ecc6299db9ec823/embassy-executor-0.5/src/lib.rs", false},
		{"", "/home/me/lamp/src/registry/src/main.rs", true},
		{"", "/home/me/lamp/library/core/src/main.rs", true},
		{"", "/home/me/toolchain/main.c", true},
		{"", "src/main.cpp", true},
	} {
		if got := !(framework{c.root}).owns(c.file); got != c.inApp {
			t.Errorf("root %q: %s: in the app %v", c.root, c.file, got)
		}
	}
}

func TestTheRealDumpsSayWhereESPIDFLies(t *testing.T) {
	for _, name := range realDumps {
		if name == "esp32_bin" {
			name = "esp32"
		}
		ix, _ := openELF(t, fixture(t, name, "app.elf"))
		if got := findFramework(ix); got.root != "/builds/espressif/esp-idf" {
			t.Errorf("%s: %q", name, got.root)
		}
	}
}

func TestATaskWatchdogBlamesTheTaskThatStarved(t *testing.T) {
	frames := func(function string) []Frame { return []Frame{inFile(function, "/lamp/main/main.c")} }
	tasks := []Task{
		{Name: "IDLE0", Crashed: true, Frames: frames("idle")},
		{Name: "pump", Frames: frames("pump")},
		{Name: "valve", Frames: frames("valve")},
		{Name: "lost"},
	}
	for text, want := range map[string]string{
		" - pump (CPU 0)\n - valve (CPU 0)":   "pump",
		" - valve (CPU 0/1)\n - pump (CPU 0)": "valve",
		" - lost (CPU 0)\n - valve (CPU 0)":   "valve", // its stack is not in the dump
		" - a user\n - pump (CPU 1)":          "pump",
		" - elsewhere (CPU 0)":                "IDLE0",
		"":                                    "IDLE0",
	} {
		r := &Report{Kind: KindTaskWatchdog, Starved: starved(watchdogCaption + " …\n" + text), Tasks: tasks}
		if got := r.CrashedTask(); got != want || len(r.chain()) != 1 || r.Top() == nil {
			t.Errorf("%q: task %q, chain %q", text, got, r.chain())
		}
		r.Kind = KindAbort
		if got := r.CrashedTask(); got != "IDLE0" {
			t.Errorf("%q: an abort is blamed on %q", text, got)
		}
	}
	hog := []Task{{Name: "pump", Crashed: true, Frames: frames("pump")}, {Name: "IDLE0", Frames: frames("idle")}}
	r := &Report{Kind: KindTaskWatchdog, Starved: []Starved{{Name: "IDLE0"}}, Tasks: hog}
	if got := r.CrashedTask(); got != "pump" {
		t.Errorf("the idle task starved as the pump ran, and the blame is on %q", got)
	}
}
