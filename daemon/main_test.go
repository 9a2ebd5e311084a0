package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the tests start the real main as the program slipway.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"slipway": main})
}
