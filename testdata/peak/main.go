// Command peak runs another program and prints how many nanoseconds that took, and how many bytes it had in memory at most.
//
// The kernel counts with them what the process had before it became that program, which is what its parent has. So this
// one is small: started from the tests' own program, nothing was found to take less than 22 MB.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

func main() {
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stderr = os.Stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	took := time.Since(start)
	usage, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	fmt.Println(took.Nanoseconds(), int64(usage.Maxrss)<<10) //nolint:unconvert // 32 bits wide on ARM
}
