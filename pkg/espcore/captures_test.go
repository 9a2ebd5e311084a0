package espcore

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf16"
)

const (
	startLine = "================= CORE DUMP START ================="
	endLine   = "================= CORE DUMP END ================="
)

// ownContainer is the project's own crash in the container that the console prints: without flash padding.
func ownContainer(t testing.TB) []byte {
	t.Helper()
	dump, _ := ownCrash(t)
	return dump
}

func consoleLines(t testing.TB) []string {
	t.Helper()
	dump := ownContainer(t)
	return strings.Fields(string(asConsole(dump, 4, "\n")))
}

func wrapAt(s string, width int) string {
	var out strings.Builder
	for len(s) > width {
		out.WriteString(s[:width] + "\n")
		s = s[width:]
	}
	return out.String() + s + "\n"
}

func gzipped(data []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(data)
	_ = z.Close() // into memory
	return out.Bytes()
}

func zipped(t testing.TB, names []string, files ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i, name := range names {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(files[i])
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func wide(s string, big, mark bool) []byte {
	var out []byte
	units := utf16.Encode([]rune(s))
	if mark {
		units = append([]uint16{0xFEFF}, units...)
	}
	for _, u := range units {
		if big {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return out
}

// each writes a line a piece of n bytes.
func each(dump []byte, n int, line func(at int, b []byte) string) string {
	var out strings.Builder
	for at := 0; at < len(dump); at += n {
		out.WriteString(line(at, dump[at:min(at+n, len(dump))]) + "\n")
	}
	return out.String()
}

func spaced(b []byte) string { return fmt.Sprintf("% x", b) }

func ascii(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, strings.ToValidUTF8(string(b), "."))
}

func hexdumpC(dump []byte) string {
	var out strings.Builder
	var before []byte
	star := false
	for at := 0; at < len(dump); at += 16 {
		b := dump[at:min(at+16, len(dump))]
		if bytes.Equal(b, before) {
			if !star {
				out.WriteString("*\n")
			}
			star = true
			continue
		}
		before, star = b, false
		first, second := b[:min(8, len(b))], b[min(8, len(b)):]
		fmt.Fprintf(&out, "%08x  %-23s  %-23s  |%s|\n", at, spaced(first), spaced(second), ascii(b))
	}
	fmt.Fprintf(&out, "%08x\n", len(dump))
	return out.String()
}

func wordsLine(b []byte) string {
	var out []string
	for i := 0; i+1 < len(b); i += 2 {
		out = append(out, fmt.Sprintf("%02x%02x", b[i+1], b[i]))
	}
	return strings.Join(out, " ")
}

func xxd(dump []byte) string {
	return each(dump, 16, func(at int, b []byte) string {
		var groups []string
		for i := 0; i < len(b); i += 2 {
			groups = append(groups, hex.EncodeToString(b[i:min(i+2, len(b))]))
		}
		return fmt.Sprintf("%08x: %-39s  %s", at, strings.Join(groups, " "), ascii(b))
	})
}

func prefixed(lines []string, prefix func(i int) string, behind string) string {
	var out strings.Builder
	for i, l := range lines {
		out.WriteString(prefix(i) + l + behind)
	}
	return out.String()
}

func asJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestReadTakesWhatPeopleHandIn has the project's own crash in the shapes of logs, editors and shells: the report is that of
// the dump as the device wrote it.
func TestReadTakesWhatPeopleHandIn(t *testing.T) {
	dump := ownContainer(t)
	lines := consoleLines(t)
	marked := append(append([]string{startLine}, lines...), endLine)
	console := strings.Join(marked, "\r\n") + "\r\n"
	whole := base64.StdEncoding.EncodeToString(dump)
	ints := make([]int, len(dump))
	for i, b := range dump {
		ints[i] = int(b)
	}
	always := func(s string) func(int) string { return func(int) string { return s } }
	shapes := map[string][]byte{
		"idf_monitor's timestamps": []byte(prefixed(marked, func(i int) string { return fmt.Sprintf("2025-01-17 19:18:%02d ", i%60) }, "\n")),
		"ESP_LOG":                  []byte(prefixed(marked, func(i int) string { return fmt.Sprintf("\x1b[0;32mI (%d) coredump: ", 900+i) }, "\x1b[0m\r\n")),
		"ESP_LOG, escapes lost":    []byte(prefixed(marked, func(i int) string { return fmt.Sprintf("[0;32mI (%d) coredump: ", 900+i) }, "[0m\n")),
		"journald":                 []byte(prefixed(marked, func(i int) string { return fmt.Sprintf("Jan %2d 19:18:%02d gw logger[%d]: ", 9+i/99, i%60, 7+i) }, "\n")),
		"journald export":          []byte(prefixed(marked, always("MESSAGE="), "\n")),
		"quoted":                   []byte(prefixed(marked, always("> "), "\n")),
		"quoted twice":             []byte(prefixed(marked, always("> > "), "\n")),
		"minicom":                  []byte(prefixed(marked, func(i int) string { return fmt.Sprintf("[2025-01-17 19:18:%02d.%03d] ", i%60, i) }, "\r\n")),
		"glued prefix":             []byte(prefixed(marked, func(i int) string { return fmt.Sprintf("19:18:%02d.%03d:", i%60, i) }, "\n")),
		"no markers, prefix":       []byte(prefixed(lines, func(i int) string { return fmt.Sprintf("%d: ", 1700000000+i) }, "\n")),
		"carriage returns":         []byte(strings.Join(marked, "\r")),
		"blank lines":              []byte(strings.Join(marked, "\r\r\n\n")),
		"C strings":                []byte(prefixed(lines, always("  \""), "\\n\"\n")),
		"a prefix that is a word":  []byte(prefixed(lines, always("coredump "), "\n")),
		"UTF-8 mark":               []byte("\xEF\xBB\xBF" + console),
		"UTF-16":                   wide(console, false, true),
		"UTF-16 BE":                wide(console, true, true),
		"UTF-16, no mark":          wide(strings.Join(lines, "\n"), false, false),
		"UTF-16 BE, no mark":       wide(strings.Join(lines, "\n"), true, false),
		"base64url":                []byte(base64.URLEncoding.EncodeToString(dump)),
		"base64url, raw, wrapped":  []byte(wrapAt(base64.RawURLEncoding.EncodeToString(dump), 77)),
		"console wrapped at 61":    []byte(wrapAt(strings.Join(lines, ""), 61)),
		"console cut by terminal":  []byte(cutLines(lines, 61)),
		"xxd":                      []byte(xxd(dump)),
		"xxd -p":                   []byte(wrapAt(hex.EncodeToString(dump), 60)),
		"xxd -i":                   []byte("unsigned char core[] = {\n" + each(dump, 12, func(_ int, b []byte) string { return cBytes(b) }) + "};\nunsigned int core_len = 4;\n"),
		"hexdump -C":               []byte(hexdumpC(dump)),
		"hexdump -C of partition":  []byte(hexdumpC(append(bytes.Clone(dump), bytes.Repeat([]byte{0xFF}, 65536)...))),
		"hexdump":                  []byte(each(dump, 16, func(at int, b []byte) string { return fmt.Sprintf("%07x %s", at, wordsLine(b)) })),
		"od -t x1":                 []byte(each(dump, 16, func(at int, b []byte) string { return fmt.Sprintf("%07o %s", at, spaced(b)) })),
		"od -A d -t x1":            []byte(each(dump, 16, func(at int, b []byte) string { return fmt.Sprintf("%07d %s", at, spaced(b)) })),
		"ESP_LOG_BUFFER_HEX":       []byte(each(dump, 16, func(at int, b []byte) string { return fmt.Sprintf("I (%d) core: %s", 900+at, spaced(b)) })),
		"ESP_LOG_BUFFER_HEXDUMP": []byte(each(dump, 16, func(at int, b []byte) string {
			return fmt.Sprintf("I (%d) core: 0x%08x   %s |%s|", 900+at, 0x3ffb4280+at, spaced(b), ascii(b))
		})),
		"gdb x/16xb": []byte(each(dump, 16, func(at int, b []byte) string {
			return fmt.Sprintf("0x%x:\t%s", 0x3ffb4280+at, strings.ReplaceAll(strings.TrimRight(cBytes(b), ","), ", ", "\t"))
		})),
		"hex behind a time":  []byte(each(dump, 32, func(at int, b []byte) string { return fmt.Sprintf("2025-01-17 19:18:%02d %x", at%60, b) })),
		"C array, comments":  []byte("/* core dump 0x1234 */\nstatic const uint8_t d[] = {\n" + each(dump, 8, func(at int, b []byte) string { return fmt.Sprintf("/* 0x%04x */ %s // %d", at, cBytes(b), at) }) + "};"),
		"decimal array":      []byte("byte[] d = {" + strings.ReplaceAll(strings.Trim(fmt.Sprint(ints), "[]"), " ", ", ") + "}"),
		"JSON string":        asJSON(t, map[string]any{"device": "valve-7", "time": 1234, "dump": whole}),
		"JSON console":       asJSON(t, map[string]any{"device": "valve-7", "log": console}),
		"JSON lines":         asJSON(t, map[string]any{"events": []any{map[string]any{"lines": lines}}}),
		"JSON numbers":       asJSON(t, map[string]any{"type": "Buffer", "data": ints}),
		"JSON hex":           asJSON(t, []string{hex.EncodeToString(dump)}),
		"container's log":    []byte(prefixed(marked, always(`{"log":"`), `\n","stream":"stdout","time":"2025-01-17T19:18:58.123456789Z"}`+"\n")),
		"gzip":               gzipped(dump),
		"gzip of the log":    gzipped([]byte(console)),
		"base64 of gzip":     []byte(wrapAt(base64.StdEncoding.EncodeToString(gzipped(dump)), 76)),
		"gzip in gzip":       gzipped(gzipped(dump)),
		"ZIP":                zipped(t, []string{"readme.txt", "core.bin"}, []byte("hello"), dump),
		"ZIP of a gzip":      zipped(t, []string{"core.log.gz"}, gzipped([]byte(console))),
		"wrong offset, 0xFF": append(bytes.Repeat([]byte{0xFF}, 4096), dump...),
		"wrong offset, odd":  append(bytes.Repeat([]byte("firmware!"), 333), dump...),
		"flash":              flashImage(dump, 0x110000, 0),
		"flash from 0x8000":  flashImage(dump, 0x110000, 0x8000),
		"foreign lines":      []byte(strings.Join(withForeign(marked), "\n")),
		"foreign, prefix":    []byte(prefixed(withForeign(marked), func(i int) string { return fmt.Sprintf("19:18:%02d ", i%60) }, "\n")),
	}
	for _, width := range []int{57, 60, 61, 62, 63, 64, 72, 76, 77, 80, 100, 120} {
		shapes[fmt.Sprintf("wrapped at %d", width)] = []byte(wrapAt(whole, width))
	}
	want := decodeOwnCrash(t, func([]byte) []byte { return dump })
	for name, data := range shapes {
		d, err := Read(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := decodeOwnCrash(t, func([]byte) []byte { return data })
		if got.ELFMatch != Exact || framesText(got.Tasks[0].Frames) != framesText(want.Tasks[0].Frames) || len(got.Tasks) != len(want.Tasks) {
			t.Errorf("%s: %s, %d tasks, %s", name, got.ELFMatch, len(got.Tasks), got.Warnings)
		}
		if got.Integrity != want.Integrity {
			t.Errorf("%s: integrity %s, want %s, %q", name, got.Integrity, want.Integrity, d.Warnings)
		}
	}
}

// cutLines ends each line at the width of a terminal.
func cutLines(lines []string, width int) string {
	var out strings.Builder
	for _, l := range lines {
		out.WriteString(wrapAt(l, width))
	}
	return out.String()
}

func withForeign(lines []string) []string {
	out := append([]string{"ets Jul 29 2019 12:21:46", "", "rst:0x1 (POWERON_RESET),boot:0x13"}, lines[:9]...)
	out = append(out, "W (1234) wifi: beacon timeout", "I (1300) main: connected to plant", "Rebooting...")
	out = append(out, lines[9:]...)
	return append(out, "Rebooting...", "ESP-ROM:esp32c3-api1-20210207")
}

func cBytes(b []byte) string {
	var out strings.Builder
	for i, v := range b {
		if i > 0 {
			out.WriteString(", ")
		}
		fmt.Fprintf(&out, "0x%02x", v)
	}
	return out.String() + ","
}

// flashImage is a flash of 2 MiB with a partition table, read from an offset on.
func flashImage(dump []byte, at, from int) []byte {
	flash := bytes.Repeat([]byte{0xFF}, 2<<20)
	copy(flash[0x10000:], bytes.Repeat([]byte("\xE9 an application "), 1000))
	for i, p := range [][]uint32{{0x00, 0x10000}, {0x0301, uint32(at)}} {
		entry := flash[partitionTable+i*partitionEntry:]
		copy(entry, make([]byte, partitionEntry))
		le.PutUint16(entry, 0x50AA)
		le.PutUint16(entry[2:], uint16(p[0]))
		le.PutUint32(entry[partitionOffset:], p[1])
		le.PutUint32(entry[partitionSize:], 0x10000)
	}
	copy(flash[at:], dump)
	return flash[from:]
}

// TestADamagedLineLeavesEverythingBehindItInItsPlace damages each line of the console's text in each way.
func TestADamagedLineLeavesEverythingBehindItInItsPlace(t *testing.T) {
	dump := ownContainer(t)
	lines := consoleLines(t)
	damages := map[string]func(string) string{
		"lost":    func(l string) string { return l[:7] + l[8:] },
		"added":   func(l string) string { return l[:7] + "A" + l[7:] },
		"foreign": func(l string) string { return l[:7] + "?" + l[8:] },
		"space":   func(l string) string { return l[:7] + " " + l[8:] },
	}
	at := 0
	for i, line := range lines {
		bytesOf, _ := decodeLine(nil, []byte(line))
		start := at
		at += len(bytesOf)
		if len(line) < 40 || start < 80 {
			continue
		}
		for name, damage := range damages {
			changed := append([]string(nil), lines...)
			changed[i] = damage(line)
			d, err := newFinder(1<<20).find([]byte(startLine+"\n"+strings.Join(changed, "\n")+"\n"+endLine+"\n"), maxWraps)
			if err != nil {
				t.Fatalf("line %d %s: %v", i, name, err)
			}
			want := bytes.Clone(dump)
			copy(want[start:at], make([]byte, at-start))
			if !bytes.Equal(d.data, want) {
				t.Errorf("line %d %s: %d bytes, want %d", i, name, len(d.data), len(want))
			}
			if !strings.Contains(strings.Join(d.warnings, "\n"), fmt.Sprintf("the text is damaged at line %d:", i+2)) {
				t.Errorf("line %d %s: %q", i, name, d.warnings)
			}
		}
	}
}

func TestADamagedLineOfWrappedTextLeavesEverythingBehindItInItsPlace(t *testing.T) {
	dump := ownContainer(t)
	for _, width := range []int{61, 64, 76, 77} {
		lines := strings.Fields(wrapAt(base64.StdEncoding.EncodeToString(dump), width))
		lines[5] = lines[5][:9] + lines[5][10:]
		d, err := newFinder(1<<20).find([]byte(strings.Join(lines, "\n")), maxWraps)
		if err != nil {
			t.Fatal(err)
		}
		from, to := 5*width/4*3, (6*width+3)/4*3
		if len(d.data) != len(dump) || !bytes.Equal(d.data[:from], dump[:from]) || !bytes.Equal(d.data[to:], dump[to:]) {
			t.Errorf("%d: %d bytes, want %d", width, len(d.data), len(dump))
		}
	}
}

func TestADamagedHeaderOfTheCoreFileIsWrittenAnew(t *testing.T) {
	dump := ownContainer(t)
	c, _ := isContainer(dump)
	broken := bytes.Clone(dump)
	copy(broken[c.header:], make([]byte, 48))
	if got := restoreHeader(broken); !bytes.Equal(got, dump) {
		t.Errorf("%x, want %x", got[:96], dump[:96])
	}
}

func TestOfSeveralDumpsTheLastWholeOneIsRead(t *testing.T) {
	lines := consoleLines(t)
	whole := startLine + "\n" + strings.Join(lines, "\n") + "\n" + endLine + "\n"
	part := startLine + "\n" + strings.Join(lines[:20], "\n") + "\nets Jul 29 2019\nrst:0x1\n"
	bare := strings.Join(lines, "\n") + "\n"
	for name, c := range map[string]struct{ text, warning string }{
		"the first was cut off":   {part + whole, "2 dumps are in this text: the one at line 24 was read, not the one at line 1 (cut off)"},
		"the last was cut off":    {whole + part, "the one at line 1 was read, not the one at line " + fmt.Sprint(len(lines)+3) + " (cut off)"},
		"both are whole":          {whole + whole, "not the one at line 1"},
		"neither has its markers": {bare + bare, "not the one at line 1"},
		"the first has no end":    {startLine + "\n" + bare + whole, "not the one at line 1"},
	} {
		r := decodeOwnCrash(t, func([]byte) []byte { return []byte(c.text) })
		if r.ELFMatch != Exact || r.Integrity == IntegrityBad {
			t.Errorf("%s: %s %s", name, r.ELFMatch, r.Integrity)
		}
		if !warned(r, c.warning) {
			t.Errorf("%s: %q", name, r.Warnings)
		}
	}
}

func TestAZIPOfSeveralDumpsNamesTheOnesThatWereNotRead(t *testing.T) {
	dump := ownContainer(t)
	r := decodeOwnCrash(t, func([]byte) []byte { return zipped(t, []string{"old.bin", "new.bin"}, dump, dump) })
	if !warned(r, `"new.bin" was read, not ["old.bin"]`) {
		t.Errorf("%q", r.Warnings)
	}
}

func TestCiphertextIsToldAsSuch(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	sealed := make([]byte, 16<<10)
	_, _ = random.Read(sealed)
	for name, data := range map[string][]byte{
		"partition":      sealed,
		"half written":   append(bytes.Clone(sealed[:4096]), bytes.Repeat([]byte{0xFF}, 61440)...),
		"hex":            []byte(hex.EncodeToString(sealed)),
		"base64":         []byte(wrapAt(base64.StdEncoding.EncodeToString(sealed), 76)),
		"gzip":           gzipped(sealed),
		"xxd":            []byte(xxd(sealed)),
		"flash":          flashImage(sealed, 0x110000, 0),
		"the last 2 KiB": sealed[:2048],
	} {
		_, err := Read(data)
		if !errors.Is(err, ErrEncrypted) || !strings.Contains(fmt.Sprint(err), "looks encrypted: read the partition with the device's own upload, or decrypt it") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, elf := ownCrash(t)
	for name, data := range map[string][]byte{"program": elf[64:], "compressed": gzipped(elf)[10:], "text": []byte(strings.Repeat("Guru Meditation Error", 99))} {
		if name != "compressed" && looksEncrypted(data) {
			t.Errorf("%s looks encrypted", name)
		}
	}
}

func TestAnErasedPartitionInAFlashIsToldAsSuch(t *testing.T) {
	if _, err := Read(flashImage(nil, 0x110000, 0)); !errors.Is(err, ErrEmpty) {
		t.Error(err)
	}
	if _, err := Read(flashImage(nil, 0x110000, 0)[:0x20000]); err == nil || !strings.Contains(err.Error(), "the partition of the core dump is at 0x110000") {
		t.Error(err)
	}
}

func TestAHashOfZerosOrOnesIsNoHash(t *testing.T) {
	for _, hash := range []string{"00000000", strings.Repeat("0", 16), strings.Repeat("0", 64), strings.Repeat("f", 16), strings.Repeat("F", 64), strings.Repeat("\xFF", 64)} {
		s := sampleOf(5, 0x0102)
		s.dump.elfHash = hash
		data := s.dump.container(true)
		if r := Decode(mustRead(t, data), s.program.index(t), Options{ELFSHA256: sampleHash}); r.ELFMatch != Unknown || r.ELFSHA256 != "" {
			t.Errorf("%q: %s %q", hash, r.ELFMatch, r.ELFSHA256)
		}
		if id, err := Identify(bytes.NewReader(data), int64(len(data))); err != nil || id.ELFHash != "" {
			t.Errorf("%q: %+v %v", hash, id, err)
		}
	}
}

// TestTheWorkOfReadingIsBoundedByTheSize counts the bytes that all attempts look at.
func TestTheWorkOfReadingIsBoundedByTheSize(t *testing.T) {
	zeros := make([]byte, 64<<20)
	for name, data := range map[string][]byte{
		"a bomb":             gzipped(zeros),
		"a bomb in a bomb":   gzipped(gzipped(zeros)),
		"a bomb in base64":   []byte(base64.StdEncoding.EncodeToString(gzipped(zeros))),
		"a far offset":       []byte(strings.Repeat("00000000: 00\n00000001: 00\n*\nffffffff: 00\n", 99)),
		"headers everywhere": bytes.Repeat(elfStart, 1<<14),
		"starts everywhere":  []byte(strings.Repeat(startLine+"\nmAwAAAIBBQAAAAAAAAAAAAAAAAADAAAA\n", 1<<12)),
		"deep JSON":          []byte(strings.Repeat(`{"a":[`, 1<<14)),
		"shapes":             []byte(manyShapes()),
	} {
		f := newFinder(len(data))
		most := f.left
		_, _ = f.find(data, maxWraps)
		if f.left < -most {
			t.Errorf("%s: %d bytes of work for %d", name, most-f.left, len(data))
		}
	}
}

func manyShapes() string {
	var out strings.Builder
	for i := range 1 << 12 {
		out.WriteString(strings.Repeat("x", i%200) + string(rune('!'+i%14)) + " AAAAAAAA\n")
	}
	return out.String()
}
