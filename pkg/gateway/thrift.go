package gateway

import (
	"context"
	"os"
	"runtime/debug"
	counted "runtime/metrics"
	"time"
)

const (
	thriftEvery = time.Second
	// idleRate is what a gateway allocates in a second that answers some 700 requests in it, and more than what it does each
	// minute by itself.
	idleRate = 4 << 20
	// idleAfter is how many such seconds make it idle. One that is busier ends that at once.
	idleAfter = 10

	busyPercent = 100 // of what is in use, before garbage is collected: Go's own
	idlePercent = 20
)

// thrift keeps an idle gateway small. What it has in use is a third to a half of its memory: the rest is garbage that is not
// worth a collection yet. While nothing asks it collects sooner, which then costs nothing, and gives back what a start or a
// burst took.
type thrift struct {
	before uint64 // bytes that were allocated since the start
	quiet  int    // seconds
}

// look takes what was allocated since the start, and says whether the gateway has become idle with it, or busy.
func (t *thrift) look(allocated uint64) (idle, busy bool) {
	was := t.quiet
	if allocated-t.before < idleRate {
		t.quiet = min(t.quiet+1, idleAfter)
	} else {
		t.quiet = 0
	}
	t.before = allocated
	return was < idleAfter && t.quiet == idleAfter, was == idleAfter && t.quiet == 0
}

// run sets how much garbage is kept until ctx ends. An operator who has said how much is heard.
func (t *thrift) run(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	defer debug.SetGCPercent(busyPercent)
	sample := []counted.Sample{{Name: "/gc/heap/allocs:bytes"}}
	tick := time.NewTicker(thriftEvery)
	defer tick.Stop()
	for {
		counted.Read(sample)
		switch idle, busy := t.look(sample[0].Value.Uint64()); {
		case idle:
			debug.SetGCPercent(idlePercent)
			debug.FreeOSMemory()
		case busy:
			debug.SetGCPercent(busyPercent)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
