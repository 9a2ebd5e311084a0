package espcore

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// The console prints each write of at most 48 bytes as a base64 line of its own, with its own padding, between these
// markers; either may be missing, other tasks may print in between, and a log may have one dump after the other.
var (
	consoleStart = []byte("CORE DUMP START")
	consoleEnd   = []byte("CORE DUMP END")
)

const (
	consoleLine  = 64 // characters of a full line
	leastDamaged = 12 // characters; less is a word of the log
)

// row is a line of the text that may hold a part of a dump.
type row struct {
	number int
	mark   mark
	line   []byte // without what stands behind the base64
	body   []byte // its base64
	shape  string // of what stands before
}

type mark int

const (
	noMark mark = iota
	startMark
	endMark
)

// capture is one dump of a log.
type capture struct {
	number int // of its first line
	ended  bool
	marked bool
	rows   []row
}

// attempt is a capture that was decoded.
type attempt struct {
	capture
	found
	whole   bool
	damaged []int // lines
}

// findInBase64 reads the last whole dump of a log.
func (f *finder) findInBase64(text []byte, wraps int) (found, error) {
	var best []attempt
	told := errUnknown(text)
	for _, alphabet := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		url := alphabet == base64.URLEncoding
		if url && !bytes.ContainsAny(text, "-_") || !f.spend(2*len(text)) {
			continue
		}
		rows := rowsOf(text, url)
		shape := commonShape(rows)
		var got []attempt
		for _, c := range captures(rows, shape) {
			a, err := f.open(c, shape, wraps)
			if err == nil {
				got = append(got, a)
			} else if errors.Is(err, ErrEncrypted) {
				told = err
			}
		}
		if better(got, best) {
			best = got
		}
	}
	if len(best) == 0 {
		return found{}, told
	}
	at := len(best) - 1
	for i := range best {
		if best[i].whole {
			at = i
		}
	}
	chosen := best[at]
	if len(best) > 1 {
		others := slices.Delete(slices.Clone(best), at, at+1)
		chosen.warnings = append(chosen.warnings, fmt.Sprintf("%d dumps are in this text: the one at line %d was read, not %s", len(best), chosen.number, named(others)))
	}
	if len(chosen.damaged) > 0 {
		chosen.warnings = append(chosen.warnings, fmt.Sprintf("the text is damaged at %s: what stood there reads as zeros", numbered(chosen.damaged)))
	}
	return chosen.found, nil
}

func better(a, b []attempt) bool {
	harm := func(all []attempt) (n int) {
		for _, x := range all {
			n += len(x.damaged)
			if !x.whole {
				n++
			}
		}
		return n
	}
	return len(a) > 0 && (len(b) == 0 || harm(a) < harm(b))
}

func named(others []attempt) string {
	var out bytes.Buffer
	for i, o := range others {
		if i == 8 {
			fmt.Fprintf(&out, " and %d more", len(others)-i)
			break
		}
		if i > 0 {
			out.WriteString(", ")
		}
		fmt.Fprintf(&out, "the one at line %d", o.number)
		if !o.whole {
			out.WriteString(" (cut off)")
		}
	}
	return out.String()
}

func numbered(lines []int) string {
	var out bytes.Buffer
	out.WriteString("line ")
	for i, n := range lines {
		if i == 8 {
			fmt.Fprintf(&out, " and %d more", len(lines)-i)
			break
		}
		if i > 0 {
			out.WriteString(", ")
		}
		fmt.Fprint(&out, n)
	}
	return out.String()
}

// rowsOf splits the lines into prefix and base64.
func rowsOf(text []byte, url bool) []row {
	var rows []row
	eachLine(text, func(number int, line []byte) {
		switch {
		case bytes.Contains(line, consoleStart):
			rows = append(rows, row{number: number, mark: startMark})
			return
		case bytes.Contains(line, consoleEnd):
			rows = append(rows, row{number: number, mark: endMark})
			return
		}
		line = trimBehind(line)
		start := len(line)
		for start > 0 && (isBase64(line[start-1], url) || line[start-1] == '=') {
			start--
		}
		if url {
			line = toStandard(line, start)
		}
		rows = append(rows, row{number: number, line: line, body: line[start:], shape: shapeOf(line[:start])})
	})
	return withoutNames(rows)
}

// trimBehind takes off the quotes and commas of a line that somebody made a string of, and its line end in words.
func trimBehind(line []byte) []byte {
	for {
		was := len(line)
		line = bytes.TrimRight(line, " \t\"',;|)]}>")
		for _, end := range []string{`\n`, `\r`, `\`, "<br", "</p", "</td"} {
			line = bytes.TrimSuffix(line, []byte(end))
		}
		if len(line) == was {
			return line
		}
	}
}

func isBase64(b byte, url bool) bool {
	switch {
	case b >= 'A' && b <= 'Z', b >= 'a' && b <= 'z', b >= '0' && b <= '9':
		return true
	case url:
		return b == '-' || b == '_'
	}
	return b == '+' || b == '/'
}

// toStandard turns the letters of base64url into those of base64.
func toStandard(line []byte, start int) []byte {
	out := bytes.Clone(line)
	for i := start; i < len(out); i++ {
		switch out[i] {
		case '-':
			out[i] = '+'
		case '_':
			out[i] = '/'
		}
	}
	return out
}

// withoutNames moves a name that all lines have, as in message=…, from the base64 into the prefix.
func withoutNames(rows []row) []row {
	var name []byte
	full := 0
	for i := range rows {
		body := rows[i].body
		if len(body) < leastDamaged {
			continue
		}
		if full == 0 {
			name = body[:min(len(body), maxPrefix)]
		}
		full++
		same := 0
		for same < min(len(name), len(body)) && name[same] == body[same] {
			same++
		}
		name = name[:same]
	}
	cut := bytes.LastIndexByte(name, '=') + 1
	if full < 3 || cut == 0 || cut == len(name) && bytes.Count(name, []byte("=")) == len(name) {
		return rows
	}
	for i := range rows {
		if r := &rows[i]; bytes.HasPrefix(r.body, name[:cut]) {
			r.body = r.body[cut:]
			r.shape = shapeOf(r.line[:len(r.line)-len(r.body)])
		}
	}
	return rows
}

// commonShape is the shape of the prefix behind which most of the base64 stands.
func commonShape(rows []row) string {
	weights := map[string]int{}
	best := ""
	for _, r := range rows {
		if r.mark != noMark || len(r.body) == 0 {
			continue
		}
		weight := 1
		if len(r.body) >= 2*leastDamaged {
			weight = len(r.body)
		}
		weights[r.shape] += weight
	}
	for _, r := range rows { // in the order of the text, so that the answer is always the same
		if weights[r.shape] > weights[best] {
			best = r.shape
		}
	}
	return best
}

// captures puts together what belongs to one dump: a START begins anew, and so does a line that is a container's header.
func captures(rows []row, shape string) []capture {
	var all []capture
	now := capture{number: 1}
	over := false
	for _, r := range rows {
		switch r.mark {
		case startMark:
			all = append(all, now)
			now, over = capture{number: r.number, marked: true}, false
			continue
		case endMark:
			now.ended, over = true, true
			continue
		}
		switch rest, ok := cutShape(r.line, shape); {
		case r.shape == shape, isNear(r.shape, shape) && len(r.body) >= leastDamaged:
		case ok && isTorn(rest):
			r.body = rest
		default:
			continue
		}
		if begins := isHeaderLine(r.body); begins && (over || hasHeader(now.rows)) {
			all = append(all, now)
			now, over = capture{number: r.number}, false
		} else if over {
			continue
		}
		now.rows = append(now.rows, r)
	}
	return append(all, now)
}

// isTorn knows a line of base64 that has foreign characters in it, against one of the log.
func isTorn(rest []byte) bool {
	good, spaces := 0, 0
	for _, b := range rest {
		if isBase64(b, false) || b == '=' {
			good++
		}
		if b == ' ' {
			spaces++
		}
	}
	return len(rest) >= leastDamaged && len(rest)-good <= 1+len(rest)/10 && (spaces == 0 || spaces == 1 && len(rest) >= consoleLine/2)
}

// hasHeader reports whether a capture has its beginning already.
func hasHeader(rows []row) bool {
	return slices.ContainsFunc(rows[:min(len(rows), 4)], func(r row) bool { return isHeaderLine(r.body) })
}

// isHeaderLine reports whether a line is the header of a container and nothing else, as the console prints it, or has the core
// file behind it.
func isHeaderLine(body []byte) bool {
	quads := body[:min(len(body), consoleLine)&^3]
	out, ok := decodeLine(nil, quads)
	c, known := findContainer(words(out).version())
	if !ok || !known || len(out) < c.header || binary.LittleEndian.Uint32(out) == erased {
		return false
	}
	return len(out) == c.header || bytes.HasPrefix(out[c.header:], elfMagic)
}

// version is the container's of a header.
func (w words) version() uint16 {
	v, _ := w.at(1)
	return uint16(v)
}

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

// open decodes a capture and looks for the dump in it.
func (f *finder) open(c capture, shape string, wraps int) (attempt, error) {
	a := attempt{capture: c}
	if !c.marked {
		c.rows = fromBeginning(c.rows)
	}
	if len(c.rows) > 0 && !c.marked {
		a.number = c.rows[0].number
	}
	var data []byte
	if isWrapped(c.rows) {
		data, a.damaged = decodeWrapped(c.rows)
	} else {
		data, a.damaged = decodeLines(c.rows)
	}
	data = restoreHeader(data)
	if len(data) == 0 || !f.spend(len(data)) {
		return a, errUnknown(data)
	}
	out, err := f.findInBytes(data, wraps)
	if err != nil {
		return a, err
	}
	a.found = out
	size := int64(len(out.data))
	a.whole = out.container.header == 0 || int64(binary.LittleEndian.Uint32(out.data)) <= size
	if out.container.header == 0 && c.marked {
		a.whole = c.ended
	}
	return a, nil
}

// fromBeginning leaves out the words of a log before the dump.
func fromBeginning(rows []row) []row {
	for i, r := range rows {
		quads := r.body[:min(len(r.body), consoleLine)&^3]
		if out, ok := decodeLine(nil, quads); ok && isBeginning(out) {
			return rows[i:]
		}
	}
	return rows
}

// isBeginning reports whether a first line of base64 can be that of a dump: the header of a container, or the ELF.
func isBeginning(out []byte) bool {
	_, ok := isContainer(out)
	return ok || bytes.HasPrefix(out, elfMagic) || bytes.HasPrefix(out, gzipMagic)
}

// isWrapped reports whether a line ends where the terminal's did, and not where a group of four does.
func isWrapped(rows []row) bool {
	broken := 0
	for _, r := range rows {
		if len(r.body)%4 != 0 {
			broken++
		}
	}
	return 2*broken > len(rows) && len(rows) > 1
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
