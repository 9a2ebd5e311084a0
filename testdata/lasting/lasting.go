// Package lasting gives tests addresses that somebody may listen on more than once: a gateway that is started again, a
// broker that comes back.
package lasting

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// The kernel gives ports from 32768 on to whoever asks for any: one of those would be taken by somebody else in between.
const (
	lowest = 10_000
	above  = 30_000
)

// given are the addresses that tests of this process have, which may run beside each other.
var given sync.Map

// Address has a port that nobody listens on, and that is given to no other test of this process.
func Address(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", lowest+rand.N(above-lowest))
		free, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		free.Close()
		if _, taken := given.LoadOrStore(address, true); !taken {
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}
