package espcore

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
)

// The console prints each write of at most 48 bytes as a base64 line of its own, with its own padding, between these
// markers; either may be missing, and other tasks may print in between.
var (
	consoleStart = []byte("CORE DUMP START")
	consoleEnd   = []byte("CORE DUMP END")
)

// decodeText turns the text shapes into bytes; false where data is no such text.
func (r *reader) decodeText(data []byte) ([]byte, bool) {
	data = bytes.TrimRight(data, "\x00\xff \r\n\t") // padding of flash
	if out, ok := decodeHex(data); ok {
		return out, true
	}
	return r.decodeBase64(data)
}

func decodeHex(data []byte) ([]byte, bool) {
	digits := make([]byte, 0, len(data))
	for _, b := range data {
		switch {
		case b >= '0' && b <= '9', b >= 'a' && b <= 'f', b >= 'A' && b <= 'F':
			digits = append(digits, b)
		case b == ' ', b == '\n', b == '\r', b == '\t':
		default:
			return nil, false
		}
	}
	digits = digits[:len(digits)&^1] // a digit lost at the end
	out := make([]byte, len(digits)/2)
	_, err := hex.Decode(out, digits)
	return out, err == nil && len(out) > 0
}

func (r *reader) decodeBase64(data []byte) ([]byte, bool) {
	marked := false
	if at := bytes.Index(data, consoleStart); at >= 0 {
		_, data, _ = bytes.Cut(data[at:], []byte("\n"))
		marked = true
	}
	if at := bytes.Index(data, consoleEnd); at >= 0 {
		data = data[:max(0, bytes.LastIndexByte(data[:at], '\n'))]
	}
	out := make([]byte, 0, base64.StdEncoding.DecodedLen(len(data)))
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		before := len(out)
		out = appendBase64(out, line)
		switch {
		case len(out) == before && (len(out) > 0 || marked):
			r.warn("a line of the console's text is no base64 and was left out")
		case before == 0 && !marked && !isBeginning(out):
			out = out[:0] // a word of the log before the dump
		}
	}
	return out, len(out) > 0
}

// isBeginning reports whether a first line of base64 can be that of a dump: the header of a container, or the ELF.
func isBeginning(out []byte) bool {
	_, ok := isContainer(out)
	return ok || bytes.HasPrefix(out, elfMagic)
}

// appendBase64 decodes one line; nothing is appended when it is none. A newline may have been lost, so that there is
// padding in the middle.
func appendBase64(out, line []byte) []byte {
	for len(line) > 0 {
		end := len(line)
		if at := bytes.IndexByte(line, '='); at >= 0 {
			end = min((at+4)&^3, len(line))
		}
		chunk, err := base64.StdEncoding.AppendDecode(out, line[:end])
		if err != nil {
			return out
		}
		out, line = chunk, line[end:]
	}
	return out
}
