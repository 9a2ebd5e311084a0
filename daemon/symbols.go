package main

import (
	"errors"
	"io"
	"os"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/pkg/decoding"
	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// symbols is an ELF file that is ready to be asked.
type symbols struct {
	index  *symbol.Index
	sha256 string // hex, of the ELF file
	model  string // code, where a bundle told it
}

// openSymbols opens an ELF file, or the ELF in a bundle.
func openSymbols(path string) (*symbols, error) {
	s := &symbols{}
	zipped, err := isZIP(path)
	if err != nil {
		return nil, err
	}
	if zipped {
		if path, s.model, err = unpackELF(path); err != nil {
			return nil, err
		}
		defer os.Remove(path) // the mapping outlives the name
	}
	elf, sum, err := decoding.MapSummed(path)
	if err != nil {
		return nil, err
	}
	s.sha256 = sum
	if s.index, err = symbol.Open(elf, elf.Size()); err != nil {
		return nil, err
	}
	return s, nil
}

func isZIP(path string) (bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	start := make([]byte, 4)
	_, err = file.ReadAt(start, 0)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return string(start) == "PK\x03\x04", err
}

// unpackELF inflates the ELF of a bundle into a temporary file.
func unpackELF(path string) (elf, model string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", "", err
	}
	archive, err := bundle.Open(file, info.Size(), "", bundle.DefaultLimits)
	if err != nil {
		return "", "", err
	}
	out, err := os.CreateTemp("", "slipway-*.elf")
	if err != nil {
		return "", "", err
	}
	packed := archive.OpenELF()
	_, err = io.Copy(out, packed)
	if err = errors.Join(err, packed.Close(), out.Close()); err != nil {
		os.Remove(out.Name())
		return "", "", err
	}
	return out.Name(), archive.Code, nil
}
