package espcore

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"slices"
)

// decodeLine decodes a line, nothing where it is no base64. A newline may have been lost, so that there is padding in the
// middle.
func decodeLine(out, line []byte) ([]byte, bool) {
	was := len(out)
	for len(line) > 0 {
		end := len(line)
		if at := bytes.IndexByte(line, '='); at >= 0 {
			end = min((at+4)&^3, len(line))
		}
		chunk, err := base64.StdEncoding.AppendDecode(out, line[:end])
		if err != nil {
			return out[:was], false
		}
		out, line = chunk, line[end:]
	}
	return out, len(out) > was
}

// hole is a line that could not be decoded.
type hole struct {
	at, size int // in the bytes
	number   int // of the line
	word     bool
}

// decodeLines decodes line by line. A damaged line becomes as many zeros as it had bytes: 48 where it was a full one.
func decodeLines(rows []row) ([]byte, []int) {
	full := consoleLine
	if counts := lengths(rows); len(counts) > 0 {
		full = max(full, counts[0])
	}
	var good []byte
	var holes []hole
	for _, r := range rows {
		var ok bool
		if good, ok = decodeLine(good, r.body); ok {
			continue
		}
		if len(r.body) > 0 {
			holes = append(holes, hole{at: len(good), size: sizeOfDamaged(r.body, full), number: r.number, word: len(r.body) < leastDamaged})
		}
	}
	judgeHoles(good, holes, full)
	out := good
	var damaged []int
	if len(holes) > 0 {
		out = make([]byte, 0, len(good)+len(holes)*full)
		from := 0
		for _, h := range holes {
			out = append(out, good[from:h.at]...)
			out = append(out, make([]byte, h.size)...)
			from = h.at
			if h.size > 0 {
				damaged = append(damaged, h.number)
			}
		}
		out = append(out, good[from:]...)
	}
	return out, damaged
}

// lengths are those of the lines, the commonest first.
func lengths(rows []row) []int {
	counts := map[int]int{}
	for _, r := range rows {
		counts[len(r.body)]++
	}
	var all []int
	for n := range counts {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b int) int { return cmp.Or(counts[b]-counts[a], b-a) })
	return all
}

// sizeOfDamaged guesses how many bytes a line had that has lost, or gained, a few characters.
func sizeOfDamaged(body []byte, full int) int {
	const few = 4
	padding := len(body) - len(bytes.TrimRight(body, "="))
	n := len(body)
	switch {
	case n >= full-few && n <= full+few && padding == 0:
		n = full &^ 3
	case n%4 == 1: // more likely one too many than three too few
		n--
	default:
		n = (n + 3) &^ 3
	}
	return max(0, n/4*3-min(padding, 2))
}

// judgeHoles knows the right size of the holes where the container says its length: a word of the log was none.
func judgeHoles(good []byte, holes []hole, full int) {
	var firm, short []int
	sum := 0
	for i, h := range holes {
		if h.word {
			short = append(short, i)
		} else {
			firm = append(firm, i)
			sum += h.size
		}
	}
	missing := -1
	if c, ok := findContainer(words(good).version()); ok && (len(holes) == 0 || holes[0].at >= c.header) {
		if total := int64(binary.LittleEndian.Uint32(good)); total >= int64(len(good)) && total <= int64(len(good)+len(holes)*full) {
			missing = int(total) - len(good)
		}
	}
	for _, i := range short {
		holes[i].size = 0
	}
	switch {
	case missing < 0 || missing == sum:
	case missing == 0:
		for _, i := range firm {
			holes[i].size = 0
		}
	case len(firm) == 1:
		holes[firm[0]].size = missing
	case len(firm) == 0 && len(short) == 1:
		holes[short[0]].size = missing
	}
}

// decodeWrapped decodes base64 whose lines end anywhere: groups of four characters, '=' ends a group, not the text. Where
// it is damaged the line's length tells what is lost, so that everything behind it stays in its place.
func decodeWrapped(rows []row) ([]byte, []int) {
	var joined []byte
	for _, r := range rows {
		joined = append(joined, r.body...)
	}
	if out, bad := decodeGroups(joined); bad == 0 {
		return out, nil
	}
	width := lengths(rows)[0]
	joined = joined[:0]
	var damaged []int
	for i, r := range rows {
		body := r.body
		switch {
		case len(body) < leastDamaged && i < len(rows)-1 && len(body) != width:
			continue // a word of the log
		case len(body) != width && i < len(rows)-1:
			body = bytes.Repeat([]byte{'!'}, width)
		}
		if bytes.ContainsFunc(body, func(c rune) bool { return c != '=' && (c > 0x7F || !isBase64(byte(c), false)) }) { //nolint:gosec // it is ASCII
			damaged = append(damaged, r.number)
		}
		joined = append(joined, body...)
	}
	out, _ := decodeGroups(joined)
	return out, damaged
}

// decodeGroups decodes group by group and counts those that are none, which become zeros.
func decodeGroups(text []byte) (out []byte, bad int) {
	out = make([]byte, 0, len(text)/4*3+3)
	for ; len(text) >= 4; text = text[4:] {
		next, err := base64.StdEncoding.AppendDecode(out, text[:4])
		if err != nil {
			out = append(out, 0, 0, 0)
			bad++
			continue
		}
		out = next
	}
	if len(text) > 0 { // the padding is missing
		if next, err := base64.RawStdEncoding.AppendDecode(out, bytes.TrimRight(text, "=")); err == nil {
			return next, bad
		}
		bad++
	}
	return out, bad
}
