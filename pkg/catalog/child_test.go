package catalog

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The tests' child is the test binary again: the program that the kill test kills and the memory benchmark measures.
const (
	childTask      = "SLIPWAY_CATALOG_CHILD"
	childFolder    = "SLIPWAY_CATALOG_FOLDER"
	childArguments = "SLIPWAY_CATALOG_ARGUMENTS"
)

var children = map[string]func(dir string, arguments []string) error{
	"write": writeUntilKilled, "fill": fillAFleet, "idle": holdAFleet, "die": recordAndDie, "tidy": tidyAndDie, "few": fewFiles,
}

func TestMain(m *testing.M) {
	task, isChild := children[os.Getenv(childTask)]
	if !isChild {
		os.Exit(m.Run())
	}
	if err := task(os.Getenv(childFolder), strings.Fields(os.Getenv(childArguments))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func child(task, dir string, arguments ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", childTask+"="+task, childFolder+"="+dir, childArguments+"="+strings.Join(arguments, " "))
	return cmd
}

// unattended are a child's options: it has no test to fail.
func unattended(dir string) Options {
	return Options{
		Dir: dir, Reserve: 64 << 20, Logger: slog.New(slog.DiscardHandler), Beat: func() {}, Now: func() time.Time { return noon },
		Space: func() (int64, int64, error) { return math.MaxInt64, math.MaxInt64, nil },
	}
}
