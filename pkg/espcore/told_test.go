package espcore

import (
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

func call(function string, args ...Argument) Frame {
	return Frame{Function: function, How: HowCFI, Args: args}
}

func checked(code string) Frame {
	return call("_esp_error_check_failed", Argument{"rc", code}, Argument{"file", `0x3c020304 "./main/pump.c"`}, Argument{"line", "42"},
		Argument{"function", `0x3c020314 <__func__.1> "start_pump"`}, Argument{"expression", `0x3c020330 "open(\"valve\")"`})
}

func TestTheReasonOfAnAbortIsOnTheStack(t *testing.T) {
	secret := call("login", Argument{"password", `0x3fc90000 "hunter2"`})
	const open = ` at ./main/pump.c:42 in start_pump: open("valve")`
	for name, c := range map[string]struct {
		panics string
		frames []Frame
		kind   Kind
		want   string
	}{
		"ESP_ERROR_CHECK": {"", []Frame{call("panic_abort"), call("abort"), checked("258"), secret}, KindAbort,
			"ESP_ERROR_CHECK failed: esp_err_t 0x102 (ESP_ERR_INVALID_ARG)" + open},
		"a code of a component": {"", []Frame{call("abort"), checked("rc@entry=4354"), secret}, KindAbort,
			"ESP_ERROR_CHECK failed: esp_err_t 0x1102" + open},
		"ESP_FAIL":            {"", []Frame{call("abort"), checked("-1")}, KindAbort, "ESP_ERROR_CHECK failed: esp_err_t 0xffffffff (ESP_FAIL)" + open},
		"a code that is lost": {"", []Frame{call("abort"), checked("<optimized out>")}, KindAbort, "ESP_ERROR_CHECK failed: esp_err_t ?" + open},
		"behind the panic text": {"abort() was called at PC 0x42001234 on core 0", []Frame{call("abort"), checked("257")}, KindAbort,
			"abort() was called at PC 0x42001234 on core 0\nESP_ERROR_CHECK failed: esp_err_t 0x101 (ESP_ERR_NO_MEM)" + open},
		"without arguments": {"", []Frame{call("abort"), call("_esp_error_check_failed"), secret}, KindAbort, "ESP_ERROR_CHECK failed"},
		"an assert": {"", []Frame{call("abort"), call("__assert_func", Argument{"file", `0x3c0 "/lamp/main/queue.c"`}, Argument{"line", "<optimized out>"},
			Argument{"line@entry", "12"}, Argument{"func", `0x3c1 "push"`}, Argument{"expr", `0x3c2 "n > 0"`})}, KindAssert,
			"assert failed: push queue.c:12 (n > 0)"},
		"an assert that the panic text tells": {"assert failed: push queue.c:12 (n > 0)", []Frame{call("abort"), call("__assert_func",
			Argument{"file", `0x3c0 "queue.c"`}, Argument{"line", "12"}, Argument{"func", "0x0"}, Argument{"expr", `0x3c2 "n > 0"`})}, KindAssert,
			"assert failed: push queue.c:12 (n > 0)"},
		"terminate": {"", []Frame{call("abort"), call("std::terminate"), secret}, KindAbort, "std::terminate() was called"},
		"Rust": {"", []Frame{call("abort"), call("rust_begin_unwind"), call("core::panicking::panic", Argument{"expr", `0x3c0 "the valve is stuck"`}),
			inFile("core::ops::call", "/rustc/9f/library/core/src/ops.rs"), {Function: "lamp::run", File: "/lamp/src/main.rs", Line: 7}}, KindAbort,
			"a Rust panic at /lamp/src/main.rs:7: the valve is stuck"},
		"nothing but an abort": {"", []Frame{call("abort"), secret}, KindAbort, abortReasons[KindAbort]},
		"no abort":             {"", []Frame{checked("258")}, "fault:unknown", "unknown: the dump does not say"},
	} {
		r := &Report{Panic: c.panics, Tasks: []Task{{Crashed: true, Frames: c.frames}}}
		n := decoder{report: r, program: program{machine: symbol.RISCV}, dump: &Dump{}}
		n.explain()
		if r.Kind != c.kind || r.Reason != c.want {
			t.Errorf("%s: kind %q, reason %q; want %q, %q", name, r.Kind, r.Reason, c.kind, c.want)
		}
	}
}

func TestAnExceptionsTypeAndTextAreInMemory(t *testing.T) {
	const at = 0x3FC80000
	m := blank(at, 0x200)
	text := func(offset int, s string) uint32 {
		copy(m.data[offset:], s+"\x00")
		return at + uint32(offset)
	}
	m.put(at+0x10, 1, text(0x100, "13PressureError"), at+0x20)   // derived from
	m.put(at+0x20, 1, text(0x120, "St13runtime_error"), at+0x30) // derived from
	m.put(at+0x30, 1, text(0x140, "St9exception"), 0xFFFFFFFF)
	m.put(at+0x40, 1, text(0x150, "PKc"))
	m.put(at+0x50, 1, text(0x158, "i"))
	m.put(at+0x60, 1, text(0x160, "N4pump4FailE"))
	m.put(at+0x70, 1, text(0x170, "a\x01b"))
	m.put(at+0x80, 1, text(0x180, "pressure too high"))
	m.put(at+0x90, at+0x180)
	m.put(at+0xA0, 0xFFFFFFF9)
	const caught = "a C++ exception was not caught"
	for name, c := range map[string]struct{ object, info, want string }{
		"a class of its own":     {"0x3fc80080", "0x3fc80010 <typeinfo for PressureError>", caught + ": PressureError: pressure too high"},
		"of the library":         {"thrown@entry=0x3fc80080", "0x3fc80020", caught + ": std::runtime_error: pressure too high"},
		"a text":                 {"0x3fc80090", "0x3fc80040", caught + ": char const*: pressure too high"},
		"a number":               {"0x3fc800a0", "0x3fc80050", caught + ": int: -7"},
		"none of the library":    {"0x3fc80080", "0x3fc80060", caught + ": pump::Fail"},
		"an object that is gone": {"0x3fd00000", "0x3fc80010", caught + ": PressureError"},
		"only its symbol":        {"0x3fc80080", "0x3c000000 <typeinfo for pump::Fail>", caught + ": pump::Fail"},
		"garbage":                {"0x3fc80080", "0x3fc80070", caught},
		"nothing known":          {"<optimized out>", "<optimized out>", caught},
	} {
		d := &Dump{memory: memory{[]segment{m}}}
		r := &Report{Tasks: []Task{{Crashed: true, Frames: []Frame{call("abort"), call("std::terminate"),
			call("__cxa_throw", Argument{"thrown", c.object}, Argument{"tinfo", c.info}, Argument{"dest", "0x0"})}}}}
		n := decoder{report: r, program: program{machine: symbol.RISCV}, dump: d}
		n.explain()
		if r.Reason != c.want {
			t.Errorf("%s: %q, want %q", name, r.Reason, c.want)
		}
	}
}

func TestARustPanicsMessageIsReadFromItsFormat(t *testing.T) {
	const at = 0x3FC80000
	long := "\x80\x83\x00" + strings.Repeat("long ", 26) + "!"
	for name, c := range map[string]struct{ template, want string }{
		"as rustc 1.95 makes it": {"\x06valve \xC0\x0A stuck at \xC3\x20\x00\x00\x29\x08\x00\x01!\x00", "valve {} stuck at {}!"},
		"a long text":            {long + "\x00", strings.Repeat("long ", 26) + "!"},
		"cut short":              {"\x06valve \x7Fstu", "valve "},
		"no text":                {"\x03a\x01b\x00", ""},
		"nothing":                {"", ""},
	} {
		n := decoder{dump: &Dump{memory: memory{[]segment{{addr: at, data: []byte(c.template)}}}}}
		if got := n.template(at); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	m := blank(at, 0x100)
	copy(m.data[0x80:], "valve  is stuck")
	m.put(at, at+0x80, 6, at+0x86, 9, at, 0xFFFFFFFF)
	n := decoder{dump: &Dump{memory: memory{[]segment{m}}}}
	if got := n.pieces(at, 2, 1); got != "valve {} is stuck" {
		t.Errorf("%q", got)
	}
	if got := n.pieces(at, 0xFFFFFFFF, 1); got != "valve {} is stuck" {
		t.Errorf("a length that lies: %q", got)
	}
}
