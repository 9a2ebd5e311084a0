package espcore

import (
	"path"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// framework knows which files are not the application's own: those of ESP-IDF, of Arduino's core, of the compiler and of
// the languages' libraries. They are on everybody's stacks and tell nothing of one bug.
//
// Where ESP-IDF lies says the ELF itself: people call its folder what they like. The others are known by the folders
// that their installers make.
type framework struct {
	root string // of ESP-IDF, as comparable gives it; "" where the ELF does not say
}

// evidence are functions that only ESP-IDF defines, and the component in which it does.
var evidence = []struct{ function, component string }{
	{"panic_abort", "esp_system"},
	{"esp_system_abort", "esp_system"},
	{"_esp_error_check_failed", "esp_system"},
	{"esp_panic_handler", "esp_system"},
	{"vPortTaskWrapper", "freertos"},
	{"main_task", "freertos"},
	{"xTaskCreatePinnedToCore", "freertos"},
	{"esp_timer_create", "esp_timer"},
}

func findFramework(ix *symbol.Index) framework {
	for _, e := range evidence {
		for _, file := range filesOf(ix, e.function) {
			if root, _, ok := strings.Cut(comparable(file), "/components/"+e.component+"/"); ok && root != "" {
				return framework{root}
			}
		}
	}
	return framework{}
}

// filesOf are the files that may be the one in which a function is defined.
func filesOf(ix *symbol.Index, function string) []string {
	origin, ok := ix.Origin(function)
	if !ok {
		return nil
	}
	return []string{origin.DeclFile, origin.Unit}
}

// owns reports whether a file is the framework's.
func (f framework) owns(file string) bool {
	file = comparable(file)
	switch {
	case f.root != "" && strings.HasPrefix(file, f.root+"/components/"):
		return true
	case f.root == "" && isUsualIDF(file):
		return true
	}
	return isMapped(file) || installed().MatchString(file)
}

// comparable is a path in the one form in which paths are compared: with slashes, without detours, and as Windows does
// not tell capitals from small letters, a path from there in small ones.
func comparable(file string) string {
	windows := len(file) > 1 && file[1] == ':' || strings.Contains(file, `\`)
	file = path.Clean(strings.ReplaceAll(file, `\`, "/"))
	if windows {
		file = strings.ToLower(file)
	}
	return file
}

// usualIDF is ESP-IDF's folder as most people call it, for an ELF that has no evidence of its own.
var usualIDF = pattern(`(?i)(?:^|/)(?:esp-idf(?:-v?\d[^/]*)?|esp/(?:v[\d.]+|idf))/components/([^/]+)/`)

func isUsualIDF(file string) bool {
	m := usualIDF().FindStringSubmatch(file)
	return m != nil && isIDFComponent(m[1])
}

// mapped is how reproducible builds (CONFIG_APP_REPRODUCIBLE_BUILD) write the folder of a component, whosever it is:
// the source is __generate_prefix_map in ESP-IDF's tools/cmake/build.cmake.
var mapped = pattern(`^/COMPONENT_(.+)_DIR/`)

func isMapped(file string) bool {
	if m := mapped().FindStringSubmatch(file); m != nil {
		name := strings.ToLower(m[1])
		return isIDFComponent(name) || strings.Contains(name, "__") // namespace__name comes from the component registry
	}
	return strings.HasPrefix(file, "/IDF/") || strings.HasPrefix(file, "/TOOLCHAIN/")
}

// installed are the folders into which installers and package managers put what is not the application's.
var installed = pattern(`(?i)(?:^|/)(?:` + strings.Join([]string{
	`managed_components`, // of ESP-IDF's component manager
	`hardware/(?:espressif/)?esp32(?:/[^/]+)?/(?:cores|libraries|variants|tools)`, // Arduino's core, by its board manager or by git
	`arduino-esp32(?:[-@][^/]*)?/(?:cores|libraries|variants)`,
	`esp32-arduino-lib(?:-builder|s)`,          // where the core's ESP-IDF was built
	`framework-[^/]+`, `\.platformio/packages`, // PlatformIO
	`\.pio/libdeps`,
	`include/c\+\+`, `lib/gcc`, `libgcc`, `libstdc\+\+-v3`, `libsupc\+\+`, `crosstool[^/]*`, // GCC
	`newlib/(?:newlib|libc|libm|libgloss)`, `picolibc`,
	`(?:xtensa|riscv(?:32|64)?)-(?:esp|esp32|esp32s2|esp32s3|unknown|none)[^/]*-elf[^/]*`, `toolchain-(?:xtensa|riscv)[^/]*`, `esp-clang`,
	`\.espressif/tools`,
	`rustc/[^/]+/library`, `rustlib/src/rust/library`, // Rust's std
	`\.cargo/(?:registry|git)`, `registry/src/[^/]+-[0-9a-f]{16}`,
}, "|") + `)/`)
