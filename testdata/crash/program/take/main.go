// Command take runs a program in QEMU until it has crashed and writes its core dump.
//
// usage: take ELF CORE
package main

import (
	"log"
	"os"

	"github.com/slipway-gateway/slipway/testdata/crash/taking"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: take ELF CORE")
	}
	if err := take(os.Args[1], os.Args[2]); err != nil {
		log.Fatalf("take: %v", err)
	}
}

func take(program, dump string) error {
	core, err := taking.Run(program, taking.Options{})
	if err != nil {
		return err
	}
	return os.WriteFile(dump, core, 0o644)
}
