//go:build cgo

package decoding

import (
	"os"

	"golang.org/x/sys/unix"
)

// noNewPrivileges binds this thread and those that it starts. A build that is linked with C, as the tests under the race
// detector are and the product is not, has threads that the Go runtime cannot reach.
func noNewPrivileges() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
}
