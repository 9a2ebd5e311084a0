package espcore

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
)

// Most text is what the console printed of one dump and nothing else: it is read without a look at any other form, and has the
// same bytes as when it is looked for.
func TestADumpAsTheConsolePrintedItIsReadAtOnce(t *testing.T) {
	lines := consoleLines(t)
	bare := strings.Join(lines, "\n")
	for name, text := range map[string]string{
		"bare": bare, "with line ends of Windows": strings.ReplaceAll(bare, "\n", "\r\n") + "\r\n",
		"with its markers": "================= CORE DUMP START =================\n" + bare + "\n================= CORE DUMP END =================\n",
	} {
		one, ok := consoleAlone([]byte(text))
		if !ok {
			t.Errorf("%s: not known at once", name)
			continue
		}
		looked, err := newFinder(len(text)).findInText([]byte(text), maxWraps)
		if err != nil || !bytes.Equal(one.data, looked.data) || one.container != looked.container || len(looked.warnings) > 0 {
			t.Errorf("%s: looked for, it is another: %v, %q", name, err, looked.warnings)
		}
		const most = 60 // some 30 are of what is in the dump; with every form tried it was 190 to 430
		if n := testing.AllocsPerRun(20, func() { mustRead(t, []byte(text)) }); n > most {
			t.Errorf("%s: %.0f allocations, %d at most", name, n, most)
		}
	}
}

func TestWhatIsInDoubtIsNotReadAtOnce(t *testing.T) {
	lines := consoleLines(t)
	bare := strings.Join(lines, "\n")
	damaged := "!" + lines[4][1:]
	for name, text := range map[string]string{
		"nothing": "", "cut off": strings.Join(lines[:len(lines)-1], "\n"), "a line lost": strings.Join(append(append([]string{}, lines[:3]...), lines[4:]...), "\n"),
		"two dumps": bare + "\n" + bare, "a word of the log": bare + "\nrebooting", "no header": strings.Join(lines[1:], "\n"),
		"a damaged line": strings.Replace(bare, "\n"+lines[4], "\n"+damaged, 1), "behind its end": bare + "\n===== CORE DUMP END =====\n" + lines[0],
	} {
		if _, ok := consoleAlone([]byte(text)); ok {
			t.Errorf("%s is taken for one whole dump", name)
		}
	}
	raw := bytes.Repeat([]byte{0xA5}, 1<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	consoleAlone(raw)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
		t.Errorf("%d bytes of memory for what is no text", n)
	}
}
