package espcore

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// plainText makes lines of ASCII of what an editor, a terminal or a shell wrote; false where data is no text.
func plainText(data []byte) ([]byte, bool) {
	data = fromUTF16(data)
	data = bytes.TrimPrefix(data, []byte("\xEF\xBB\xBF"))
	data = bytes.TrimRight(data, "\x00\xff \r\n\t") // padding of flash
	const most = 8                                  // one in so many bytes may be the garbage of a wrong baud rate
	strange := 0
	for _, b := range data {
		if b < ' ' && b != '\n' && b != '\r' && b != '\t' && b != '\x1b' && b != '\b' || b >= 0x7F {
			strange++
		}
	}
	if len(data) == 0 || strange > len(data)/most {
		return nil, false
	}
	return withoutColours(data), true
}

// fromUTF16 makes bytes of UTF-16, with a byte order mark or without.
func fromUTF16(data []byte) []byte {
	var order binary.ByteOrder
	switch {
	case len(data) < 4:
		return data
	case bytes.HasPrefix(data, []byte("\xFF\xFE")):
		order, data = binary.LittleEndian, data[2:]
	case bytes.HasPrefix(data, []byte("\xFE\xFF")):
		order, data = binary.BigEndian, data[2:]
	case isWide(data, 1):
		order = binary.LittleEndian
	case isWide(data, 0):
		order = binary.BigEndian
	default:
		return data
	}
	out := make([]byte, 0, len(data)/2)
	for ; len(data) >= 2; data = data[2:] {
		r := rune(order.Uint16(data))
		if utf16.IsSurrogate(r) {
			r = utf8.RuneError
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// isWide reports whether every second byte of the beginning is zero, and no other is.
func isWide(data []byte, zeros int) bool {
	const enough = 64
	if len(data) < enough {
		return false
	}
	for i, b := range data[:enough] {
		if (b == 0) != (i%2 == zeros) {
			return false
		}
	}
	return true
}

// colours are the escape sequences of a terminal, also where the escape was lost or written in other characters.
var colours = pattern(`(?:\x1b|\^\[|\\033|\\x1[bB]|\\e)?\[[0-9;]{0,16}m|\x1b\[[0-9;?]{0,16}[@-~]|\x1b[@-Z\\^_]`)

func withoutColours(data []byte) []byte {
	if bytes.IndexByte(data, '[') >= 0 {
		data = colours().ReplaceAll(data, nil)
	}
	return data
}

// eachLine visits the lines, whichever way they end, without the white space around them.
func eachLine(data []byte, visit func(number int, line []byte)) {
	for number := 1; len(data) > 0; number++ {
		end := bytes.IndexAny(data, "\r\n")
		line := data
		if end < 0 {
			data = nil
		} else {
			line = data[:end]
			if bytes.HasPrefix(data[end:], []byte("\r\n")) {
				end++
			}
			data = data[end+1:]
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			visit(number, line)
		}
	}
}

// shapeOf is what the prefixes of a log have in common: digits count up, columns are aligned.
func shapeOf(prefix []byte) string {
	var out [maxPrefix]byte
	n := 0
	for _, b := range prefix {
		switch {
		case b >= '0' && b <= '9':
			b = '0'
		case b == '\t':
			b = ' '
		}
		if n > 0 && b == out[n-1] && (b == '0' || b == ' ') {
			continue
		}
		if n == len(out) {
			break
		}
		out[n] = b
		n++
	}
	return string(out[:n])
}

// cutShape takes a prefix of that shape off a line.
func cutShape(line []byte, shape string) ([]byte, bool) {
	i := 0
	for j := range len(shape) {
		at := i
		for i < len(line) && (shape[j] == '0' && line[i] >= '0' && line[i] <= '9' || shape[j] == ' ' && (line[i] == ' ' || line[i] == '\t')) {
			i++
		}
		if i == at {
			if shape[j] == '0' || i >= len(line) || line[i] != shape[j] {
				return nil, false
			}
			i++
		}
	}
	return line[i:], true
}

// isNear reports whether a shape is another with a character or two that are wrong.
func isNear(a, b string) bool {
	const wrong = 2
	same, most := 0, min(len(a), len(b))
	for same < most && a[same] == b[same] {
		same++
	}
	behind := 0
	for behind < most-same && a[len(a)-1-behind] == b[len(b)-1-behind] {
		behind++
	}
	return most > 2*wrong && same+behind+wrong >= max(len(a), len(b))
}
