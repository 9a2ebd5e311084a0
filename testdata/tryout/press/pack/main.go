// Pack writes the builds of the fleet that `make run` plays, and their dumps: go run ./testdata/tryout/press/pack MODEL
// FOLDER makes FOLDER/VERSION.zip and FOLDER/dumps/VERSION/NAME.dmp.
package main

import (
	"log"
	"os"
	"path/filepath"

	"github.com/slipway-gateway/slipway/testdata/tryout/press"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: pack MODEL FOLDER")
	}
	for _, version := range press.Versions {
		if err := write(os.Args[1], os.Args[2], version); err != nil {
			log.Fatalf("pack: %v", err)
		}
	}
}

func write(code, dir, version string) error {
	b, err := press.Read(version)
	if err != nil {
		return err
	}
	zip, err := b.Bundle(code)
	if err != nil {
		return err
	}
	dumps := filepath.Join(dir, "dumps", version)
	if err := os.MkdirAll(dumps, 0o700); err != nil {
		return err
	}
	for name, dump := range b.Dumps {
		if err := os.WriteFile(filepath.Join(dumps, name+".dmp"), dump, 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, version+".zip"), zip, 0o600)
}
