package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/slipway-gateway/slipway/testdata/described"
)

// TestMain lets the tests start the real main as the program slipway.
func TestMain(m *testing.M) {
	// Under the race detector every command would sleep for a second at its end.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	testscript.Main(tests{m}, map[string]func(){"slipway": func() { described.Watch(); main() }})
}

// tests are all tests of the package; conclude sees their exit code and gives the one that counts.
type tests struct{ m *testing.M }

func (all tests) Run() int { return conclude(described.Main(all.m.Run)) }

// conclude is the table's in the suite of faults.
var conclude = func(code int) int { return code }
