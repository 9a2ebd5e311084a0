package gateway

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

func TestAGatewayIsIdleAfterTenQuietSecondsAndBusyAtOnce(t *testing.T) {
	var of thrift
	allocated := uint64(100 << 20)
	of.look(allocated) // what a start takes
	for second := range 3 * idleAfter {
		allocated += idleRate - 1
		if idle, busy := of.look(allocated); idle != (second == idleAfter-1) || busy {
			t.Errorf("second %d of quiet: idle %v, busy %v", second, idle, busy)
		}
	}
	for second := range 3 {
		allocated += idleRate
		if idle, busy := of.look(allocated); idle || busy != (second == 0) {
			t.Errorf("second %d of load: idle %v, busy %v", second, idle, busy)
		}
	}
	if idle, _ := of.look(allocated); idle {
		t.Error("idle after one quiet second")
	}
}

func TestAnIdleGatewayKeepsLittleGarbageAndABusyOneAsMuchAsGoDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		percent := func() int {
			p := debug.SetGCPercent(busyPercent)
			debug.SetGCPercent(p)
			return p
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- new(thrift).run(ctx) }()
		time.Sleep(2 * idleAfter * thriftEvery)
		synctest.Wait()
		if p := percent(); p != idlePercent {
			t.Errorf("idle: %d percent", p)
		}
		burst := make([]byte, 4*idleRate)
		time.Sleep(2 * thriftEvery)
		synctest.Wait()
		runtime.KeepAlive(burst)
		if p := percent(); p != busyPercent {
			t.Errorf("busy: %d percent", p)
		}
		time.Sleep(2 * idleAfter * thriftEvery)
		cancel()
		if err := <-ended; err != nil || percent() != busyPercent {
			t.Errorf("at its end %d percent, %v", percent(), err)
		}
	})
}
