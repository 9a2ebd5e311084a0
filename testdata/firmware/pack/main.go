// Pack writes the sample firmware as a bundle: go run ./testdata/firmware/pack -code demo -o demo.zip
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/slipway-gateway/slipway/testdata/firmware"
)

func main() {
	code := flag.String("code", "demo", "the model's code")
	version := flag.String("version", "1.0.0", "the firmware's version")
	out := flag.String("o", "", "the file to write (default CODE-VERSION.zip)")
	flag.Parse()
	if *out == "" {
		*out = *code + "-" + *version + ".zip"
	}
	if err := write(*out, *code, *version); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func write(path, code, version string) error {
	zip, err := firmware.Bundle(code, version)
	if err != nil {
		return err
	}
	return os.WriteFile(path, zip, 0o644)
}
