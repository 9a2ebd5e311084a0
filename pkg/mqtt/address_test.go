package mqtt

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// lastingAddress has a port below those that the kernel gives to connections, so that it is still free when it is wanted again.
func lastingAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.N(20_000))
		if free, err := net.Listen("tcp", address); err == nil {
			free.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}
