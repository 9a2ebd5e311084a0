package lasting

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestAnAddressIsFreeAgainAndAgainAndNobodyElses(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		address := Address(t)
		if seen[address] {
			t.Fatalf("%s is given twice", address)
		}
		seen[address] = true
		for range 2 {
			l, err := net.Listen("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
		}
	}
}

func TestNoAddressIsAmongThoseThatTheKernelGives(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Skip("this system does not say which ports its kernel gives")
	}
	first, err := strconv.Atoi(strings.Fields(string(text))[0])
	if err != nil {
		t.Fatal(err)
	}
	if first < above {
		t.Errorf("the kernel gives ports from %d on, and lasting ones go up to %d", first, above)
	}
}
