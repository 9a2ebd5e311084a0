package espcore

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// told is what the arguments on an aborted task's stack say about why it was: "" where they say nothing. Only the
// arguments of these few functions are read, which are texts of the program. All others can be anybody's secrets.
func (n *decoder) told(t *Task) string {
	if t == nil {
		return ""
	}
	for _, teller := range []func(*Task) string{toldByErrorCheck, toldByAssert, n.toldByException, n.toldByRust} {
		if text := teller(t); text != "" {
			return clip(text, mostTold)
		}
	}
	return ""
}

// mostTold bounds a reason: a what() can be long, and a report is read in lists.
const mostTold = 512

// clip shortens a text without cutting a character.
func clip(text string, most int) string {
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// frameOf is the innermost frame of a function.
func (t *Task) frameOf(function string) *Frame {
	for i := range t.Frames {
		if t.Frames[i].Function == function {
			return &t.Frames[i]
		}
	}
	return nil
}

// given are the values with which a function was called, in the order of its parameters: where the present value is not
// known any more, or has an @entry of its own, that of the call.
func (f *Frame) given() []string {
	var out []string
	for _, a := range f.Args {
		if strings.HasSuffix(a.Name, "@entry") && len(out) > 0 {
			out[len(out)-1] = a.Value
			continue
		}
		value := a.Value
		if before, after, ok := strings.Cut(value, "="); ok && before == a.Name+"@entry" {
			value = after
		}
		out = append(out, value)
	}
	return out
}

// quoted is the text to which a value points, as GDB prints it: 0x3c020304 "main.c".
func quoted(value string) (string, bool) {
	at := strings.IndexByte(value, '"')
	end := strings.LastIndexByte(value, '"')
	if at < 0 || end <= at {
		return "", false
	}
	if text, err := strconv.Unquote(value[at : end+1]); err == nil {
		return text, true
	}
	return value[at+1 : end], true
}

// known is a value as a text of a reason.
func known(value string) string {
	if text, ok := quoted(value); ok {
		return text
	}
	if value == "<optimized out>" {
		return "?"
	}
	return value
}

// errorNames are the codes of esp_err.h; those of the components are not the same in all versions.
var errorNames = map[int64]string{
	-1: "ESP_FAIL", 0x101: "ESP_ERR_NO_MEM", 0x102: "ESP_ERR_INVALID_ARG", 0x103: "ESP_ERR_INVALID_STATE",
	0x104: "ESP_ERR_INVALID_SIZE", 0x105: "ESP_ERR_NOT_FOUND", 0x106: "ESP_ERR_NOT_SUPPORTED", 0x107: "ESP_ERR_TIMEOUT",
	0x108: "ESP_ERR_INVALID_RESPONSE", 0x109: "ESP_ERR_INVALID_CRC", 0x10A: "ESP_ERR_INVALID_VERSION",
	0x10B: "ESP_ERR_INVALID_MAC", 0x10C: "ESP_ERR_NOT_FINISHED", 0x10D: "ESP_ERR_NOT_ALLOWED",
}

// toldByErrorCheck reads _esp_error_check_failed(rc, file, line, function, expression).
func toldByErrorCheck(t *Task) string {
	f := t.frameOf("_esp_error_check_failed")
	if f == nil {
		return ""
	}
	args := f.given()
	if len(args) < 5 {
		return "ESP_ERROR_CHECK failed"
	}
	code := known(args[0])
	if v, err := strconv.ParseInt(code, 0, 64); err == nil {
		code = fmt.Sprintf("0x%x", uint32(v))
		if name := errorNames[int64(int32(v))]; name != "" {
			code += " (" + name + ")"
		}
	}
	return fmt.Sprintf("ESP_ERROR_CHECK failed: esp_err_t %s at %s:%s in %s: %s", code, known(args[1]), known(args[2]), known(args[3]), known(args[4]))
}

// toldByAssert reads __assert_func(file, line, function, expression).
func toldByAssert(t *Task) string {
	f := t.frameOf("__assert_func")
	if f == nil {
		return ""
	}
	args := f.given()
	if len(args) < 4 {
		return ""
	}
	if _, ok := quoted(args[3]); !ok {
		if _, ok := quoted(args[0]); !ok { // nothing is left of it
			return ""
		}
	}
	return fmt.Sprintf("assert failed: %s %s:%s (%s)", known(args[2]), base(known(args[0])), known(args[1]), known(args[3]))
}

// pointer is the address in a value as GDB prints it.
func pointer(value string) (uint32, bool) {
	at := strings.Index(value, "0x")
	if at < 0 || strings.Contains(value[:at], `"`) {
		return 0, false
	}
	digits := value[at+2:]
	if end := strings.IndexFunc(digits, func(c rune) bool { return !strings.ContainsRune("0123456789abcdef", c) }); end >= 0 {
		digits = digits[:end]
	}
	v, err := strconv.ParseUint(digits, 16, 32)
	return uint32(v), err == nil
}

// word reads from the dump, and what the dump does not have from the program.
func (n *decoder) word(addr uint32) (uint32, bool) {
	if v, ok := n.dump.memory.word(addr); ok {
		return v, true
	}
	b, ok := n.bytes(addr, 4)
	if !ok {
		return 0, false
	}
	return binary.LittleEndian.Uint32(b), true
}

func (n *decoder) bytes(addr uint32, size int) ([]byte, bool) {
	b := make([]byte, size)
	return b, n.dump.memory.read(addr, b) || n.program.text(addr, b)
}

// characters reads a text that ends with a NUL, or after size bytes where size is not negative. What cannot be printed is
// no text.
func (n *decoder) characters(addr uint32, size int) (string, bool) {
	var out []byte
	for size != 0 && len(out) < mostTold {
		b, ok := n.bytes(addr, 1)
		if !ok {
			return "", false
		}
		if b[0] == 0 && size < 0 {
			break
		}
		if b[0] < ' ' && b[0] != '\n' && b[0] != '\t' || b[0] == 0x7F {
			return "", false
		}
		out = append(out, b[0])
		addr, size = addr+1, size-1
	}
	return string(out), len(out) > 0 && utf8.Valid(out)
}
