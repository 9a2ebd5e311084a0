package symbol

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	printElements = 200 // GDB's "print elements": characters of a string that are printed
	printRepeats  = 10  // GDB's "print repeats": more of one character are counted instead
)

// string prints what a pointer to characters points to.
func (p *printer) string(t typ, addr uint32) string {
	var chars []uint64
	ended := false
	width := t.size
	buf := make([]byte, width)
	readable := true
	for len(chars) < printElements {
		if readable = p.x.read(p.state, addr+uint32(uint64(len(chars))*width), buf); !readable {
			break
		}
		c := littleEndian(buf)
		if c == 0 {
			ended = true
			break
		}
		chars = append(chars, c)
	}
	text := ""
	if ended || len(chars) > 0 {
		text = quoted(t.prefix, chars)
		if !ended && readable {
			text += "..."
		}
	}
	if !readable {
		text += "<error: " + memoryError{addr}.Error() + ">"
	}
	return text
}

// quoted prints characters as GDB does: runs of one are counted.
func quoted(prefix string, chars []uint64) string {
	if len(chars) == 0 {
		return prefix + `""`
	}
	var b strings.Builder
	inside := false
	for i := 0; i < len(chars); {
		run := 1
		for i+run < len(chars) && chars[i+run] == chars[i] {
			run++
		}
		if run > printRepeats {
			if inside {
				b.WriteString(`"`)
				inside = false
			}
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(prefix + "'" + character(chars[i], '\'') + "' <repeats " + strconv.Itoa(run) + " times>")
			i += run
			continue
		}
		if !inside {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(prefix + `"`)
			inside = true
		}
		for range run {
			b.WriteString(character(chars[i], '"'))
		}
		i += run
	}
	if inside {
		b.WriteString(`"`)
	}
	return b.String()
}

// rustCharacter prints one as GDB does for Rust.
func rustCharacter(c uint64) string {
	switch {
	case c == '\n':
		return `\n`
	case c == '\r':
		return `\r`
	case c == '\t':
		return `\t`
	case c == '\\' || c == '\'':
		return `\` + string(rune(c))
	case c >= 0x20 && c < 0x7f:
		return string(rune(c))
	case c <= 0xff:
		return fmt.Sprintf(`\x%02x`, c)
	}
	return fmt.Sprintf(`\u{%06x}`, c)
}

// character prints one character as it stands between quotes.
func character(c uint64, quote byte) string {
	switch c {
	case '\a':
		return `\a`
	case '\b':
		return `\b`
	case '\t':
		return `\t`
	case '\n':
		return `\n`
	case '\v':
		return `\v`
	case '\f':
		return `\f`
	case '\r':
		return `\r`
	case '\\':
		return `\\`
	case uint64(quote):
		return `\` + string(rune(quote))
	}
	if c >= 0x20 && c < 0x7f {
		return string(rune(c))
	}
	octal := strconv.FormatUint(c, 8)
	return `\` + strings.Repeat("0", max(0, 3-len(octal))) + octal
}
