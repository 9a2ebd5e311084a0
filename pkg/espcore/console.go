package espcore

import (
	"bytes"
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

// consoleAlone knows what is commonest of all text: what the console printed of one dump, whole, and nothing else. It is read
// at once; whatever is in doubt is left to those who look closer.
func consoleAlone(text []byte) (found, bool) {
	var out []byte
	ended := false
	for rest := text; len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0:
			continue
		case ended:
			return found{}, false
		case bytes.Contains(line, consoleStart) && len(out) == 0:
			continue
		case bytes.Contains(line, consoleEnd):
			ended = true
			continue
		}
		if out == nil {
			if !isHeaderLine(line) {
				return found{}, false
			}
			out = make([]byte, 0, base64.StdEncoding.DecodedLen(len(text)))
		}
		var ok bool
		if out, ok = decodeLine(out, line); !ok {
			return found{}, false
		}
	}
	c, ok := isContainer(out)
	if !ok || int64(binary.LittleEndian.Uint32(out)) != int64(len(out)) {
		return found{}, false
	}
	return found{container: c, data: out}, true
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
