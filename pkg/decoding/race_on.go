//go:build race

package decoding

import (
	"os"

	"golang.org/x/sys/unix"
)

const raceBuild = true

// A race build is linked with C, where the Go runtime cannot reach every thread: this one and those it starts must do.
func noNewPrivileges() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
}
