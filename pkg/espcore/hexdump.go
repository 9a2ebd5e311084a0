package espcore

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
)

// dumpLine is a line of xxd, hexdump, od and the like: perhaps a log's prefix, an offset, bytes or words in hex, perhaps what
// they are as text.
var dumpLine = pattern(`(?:^|[\s>|])(?:0[xX])?([0-9a-fA-F]{4,16})(:?)[ \t]+((?:(?:0x)?[0-9a-fA-F]{2,8}[ \t,-]{1,4})*(?:0x)?[0-9a-fA-F]{2,8})[ \t]*$`)

// repeated is the line by which hexdump, od and xxd -a say that nothing has changed.
var repeated = []byte("*")

// piece is a line's bytes at an offset.
type piece struct {
	offset string
	data   []byte // in the order of the text
	word   int    // bytes of a group
	repeat bool   // the one before, up to the next one's offset
}

// fromHexdump reads a hexdump: bytes that a line has lost leave a gap, so that everything behind stays in its place. Groups
// are bytes in their order, or words of the little-endian machine that printed them.
func fromHexdump(text []byte) [][]byte {
	var pieces []piece
	lines := 0
	eachLine(text, func(_ int, line []byte) {
		lines++
		if bytes.Equal(line, repeated) && len(pieces) > 0 {
			pieces = append(pieces, piece{repeat: true})
			return
		}
		if p, ok := parseDumpLine(line); ok {
			pieces = append(pieces, p)
		}
	})
	if len(pieces) < 2 || 2*len(pieces) < lines {
		return nil
	}
	base, ok := baseOf(pieces)
	if !ok {
		return nil
	}
	straight := place16(pieces, base, false)
	if straight == nil {
		return nil
	}
	return [][]byte{straight, place16(pieces, base, true)}
}

func parseDumpLine(line []byte) (piece, bool) {
	if !bytes.ContainsAny(line, " \t") { // nothing behind an offset: a line of base64, of which a log has thousands
		return piece{}, false
	}
	body := line
	if at := bytes.IndexAny(body, "|"); at > 0 { // hexdump -C
		body = body[:at]
	} else if at := asciiColumn(body); at > 0 {
		body = body[:at]
	}
	m := dumpLine().FindSubmatch(body)
	if m == nil {
		return piece{}, false
	}
	p := piece{offset: string(m[1])}
	for _, group := range strings.FieldsFunc(string(m[3]), func(r rune) bool { return strings.ContainsRune(" \t,-", r) }) {
		b, err := hex.DecodeString(strings.TrimPrefix(group, "0x"))
		if err != nil {
			return piece{}, false
		}
		p.word = max(p.word, len(b))
		p.data = append(p.data, b...)
	}
	return p, true
}

// asciiColumn is where xxd's text begins: behind two spaces that are not those behind the offset.
func asciiColumn(line []byte) int {
	colon := bytes.Index(line, []byte(": "))
	if colon < 0 {
		return -1
	}
	from := colon + len(": ")
	for from < len(line) && line[from] == ' ' {
		from++
	}
	if at := bytes.Index(line[from:], []byte("  ")); at > 0 {
		return from + at
	}
	return -1
}

// baseOf finds out how offsets count, by two lines that follow each other.
func baseOf(pieces []piece) (int, bool) {
	votes := map[int]int{}
	for i := range len(pieces) - 1 {
		a, b := pieces[i], pieces[i+1]
		if a.repeat || b.repeat {
			continue
		}
		for _, base := range []int{16, 8, 10} {
			from, err := strconv.ParseUint(a.offset, base, 64)
			to, err2 := strconv.ParseUint(b.offset, base, 64)
			if err == nil && err2 == nil && to-from == uint64(len(a.data)) {
				votes[base]++
			}
		}
	}
	best := 0
	for _, base := range []int{16, 8, 10} {
		if votes[base] > votes[best] {
			best = base
		}
	}
	return best, best != 0
}

// place16 puts the pieces where their offsets say.
func place16(pieces []piece, base int, swap bool) []byte {
	var out []byte
	var start uint64
	gap := maxGap
	repeat := false
	for i, p := range pieces {
		if p.repeat {
			repeat = true
			continue
		}
		at, err := strconv.ParseUint(p.offset, base, 64)
		if err != nil {
			continue
		}
		if i == 0 {
			start = at
		}
		if at < start || at-start > uint64(len(out)+gap) {
			continue // a wrong offset
		}
		at -= start
		if missing := int(at) - len(out); missing > 0 { //nolint:gosec // bounded by the gap
			gap -= missing
			last := len(out)
			out = append(out, make([]byte, missing)...)
			if width := len(pieces[0].data); repeat && last >= width && width > 0 {
				for j := last; j < len(out); j++ {
					out[j] = out[j-width]
				}
			}
		} else {
			out = out[:at]
		}
		repeat = false
		out = append(out, p.data...)
		if swap {
			swapWords(out[len(out)-len(p.data):], p.word)
		}
	}
	return out
}

func swapWords(b []byte, size int) {
	for ; size > 1 && len(b) >= size; b = b[size:] {
		for i := range size / 2 {
			b[i], b[size-1-i] = b[size-1-i], b[i]
		}
	}
}

// fromHex reads hex digits, with anything between the bytes that is no letter, perhaps behind a prefix on each line.
func fromHex(text []byte) [][]byte {
	if out, ok := decodeHex(text); ok {
		return [][]byte{out}
	}
	type hexLine struct {
		shape  string
		digits []byte
	}
	var lines []hexLine
	weights := map[string]int{}
	best := ""
	eachLine(text, func(_ int, line []byte) {
		if at := bytes.IndexByte(line, '|'); at > 0 && bytes.IndexByte(line[at+1:], '|') > 0 {
			line = line[:at]
		}
		line = trimBehind(line)
		start := len(line)
		for start > 0 && (isHexDigit(line[start-1]) || line[start-1] == ' ') {
			start--
		}
		digits := line[start:]
		if len(digits) == 0 {
			return
		}
		if start > 0 && line[start-1] == ':' && digits[0] != ' ' { // the last part of a time
			if cut := bytes.IndexByte(digits, ' '); cut > 0 {
				digits = digits[cut:]
			}
		}
		if start > 0 && digits[0] != ' ' && isWordByte(line[start-1]) { // the end of a word
			cut := bytes.IndexByte(digits, ' ')
			if cut < 0 {
				return
			}
			digits = digits[cut:]
		}
		prefix := line[:len(line)-len(digits)]
		digits = bytes.ReplaceAll(digits, []byte(" "), nil)
		if len(digits) == 0 {
			return
		}
		l := hexLine{shapeOf(bytes.TrimRight(prefix, " ")), digits}
		lines = append(lines, l)
		weights[l.shape] += len(digits)
		if weights[l.shape] > weights[best] {
			best = l.shape
		}
	})
	var out []byte
	for _, l := range lines {
		if l.shape == best {
			out = append(out, l.digits...)
		}
	}
	data, ok := decodeHex(out)
	if !ok || len(data) < elfHeader {
		return nil
	}
	return [][]byte{data}
}

func isHexDigit(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F'
}

func isWordByte(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'z'
}

// decodeHex reads digits with white space anywhere, or bytes that are set apart as in 98:0C:00.
func decodeHex(data []byte) ([]byte, bool) {
	digits := make([]byte, 0, len(data))
	run, apart, odd := 0, false, false
	for _, b := range data {
		switch {
		case isHexDigit(b):
			digits = append(digits, b)
			run++
			continue
		case b == ' ', b == '\n', b == '\r', b == '\t':
		case b == ':', b == '-', b == ',':
			apart = true
		default:
			return nil, false
		}
		odd = odd || run != 2 && run != 0
		run = 0
	}
	if apart && (odd || run != 2 && run != 0) {
		return nil, false
	}
	digits = digits[:len(digits)&^1] // a digit lost at the end
	out := make([]byte, len(digits)/2)
	_, err := hex.Decode(out, digits)
	return out, err == nil && len(out) > 0
}

// arrayValue is a value of an array in C, Go, Python and the like, or of a string with its bytes escaped; a comment is left
// out, and so is an address before a colon.
var arrayValue = pattern(`/\*[^*]*\*/|//[^\n]*|(?:0|\\)[xX]([0-9a-fA-F]{1,8})(?:[uUlL]*)\b:?|\\x([0-9a-fA-F]{2})`)

// fromArray reads 0x98, 0x0c, …, or words, which are little endian.
func fromArray(text []byte) [][]byte {
	if out := fromDecimals(text); out != nil {
		return [][]byte{out}
	}
	if !bytes.Contains(text, []byte("0x")) && !bytes.Contains(text, []byte("0X")) && !bytes.Contains(text, []byte(`\x`)) {
		return nil
	}
	var out []byte
	for _, m := range arrayValue().FindAllSubmatchIndex(text, -1) {
		var digits []byte
		switch {
		case m[2] >= 0 && text[m[1]-1] != ':':
			digits = text[m[2]:m[3]]
		case m[4] >= 0:
			digits = text[m[4]:m[5]]
		default:
			continue
		}
		v, err := strconv.ParseUint(string(digits), 16, 32)
		if err != nil {
			continue
		}
		for n := 0; n < len(digits) || n == 0; n += 2 {
			out = append(out, byte(v))
			v >>= 8
		}
	}
	if len(out) < elfHeader {
		return nil
	}
	return [][]byte{out}
}

// fromDecimals reads 152, 12, 0, …: what stands between braces or brackets.
func fromDecimals(text []byte) []byte {
	start := bytes.IndexAny(text, "{[(")
	if start < 0 {
		return nil
	}
	text = text[start+1:]
	if at := bytes.IndexAny(text, "{[("); at >= 0 && at < elfHeader { // int8_t dump[] = {
		text = text[at+1:]
	}
	if end := bytes.IndexAny(text, "}])"); end >= 0 {
		text = text[:end]
	}
	var out []byte
	for field := range bytes.SplitSeq(text, []byte(",")) {
		field = bytes.TrimSpace(field)
		if len(field) == 0 {
			continue
		}
		v, err := strconv.ParseInt(string(field), 10, 16)
		if err != nil || v < -128 || v > 255 {
			return nil
		}
		out = append(out, byte(v))
	}
	if len(out) < elfHeader {
		return nil
	}
	return out
}
