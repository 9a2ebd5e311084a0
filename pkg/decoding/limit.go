package decoding

import (
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"
)

// limit binds the worker before it opens anything. RLIMIT_DATA and not RLIMIT_AS: a Go process reserves more than a
// gigabyte of addresses before main.
func limit() error {
	debug.SetMaxStack(mostStack)
	// The collector works harder near the limit, so that only what truly does not fit dies.
	debug.SetMemoryLimit(mostMemory * 3 / 4)
	if !raceBuild { // the race detector's shadow memory alone is beyond it
		if err := setLimit(unix.RLIMIT_DATA, mostMemory, mostMemory); err != nil {
			return err
		}
	}
	endAtSIGXCPU()
	if err := setLimit(unix.RLIMIT_CPU, mostCPU, mostCPU+2); err != nil {
		return err
	}
	if err := setLimit(unix.RLIMIT_CORE, 0, 0); err != nil {
		return err
	}
	// When the box runs out of memory, the kernel takes the worker and not the gateway. Where /proc is read-only the
	// gateway is no worse off than without it.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	return noNewPrivileges()
}

const usedUp = "processor time is used up"

// endAtSIGXCPU has a worker that used up its time say so, two seconds before the kernel kills it. The kernel counts in
// ticks, which on a busy machine are more than what it books in the end: the time alone would not show why it died.
func endAtSIGXCPU() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, unix.SIGXCPU)
	go func() {
		<-told
		_, _ = os.Stderr.WriteString(usedUp)
		os.Exit(1)
	}()
}

func setLimit(resource int, soft, hard uint64) error {
	return os.NewSyscallError("prlimit", syscall.Setrlimit(resource, &syscall.Rlimit{Cur: soft, Max: hard}))
}
