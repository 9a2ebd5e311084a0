//go:build !cgo

package decoding

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// noNewPrivileges binds all threads: nothing that the worker executes gains a privilege.
func noNewPrivileges() error {
	_, _, errno := syscall.AllThreadsSyscall6(syscall.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("prctl", errno)
	}
	return nil
}
