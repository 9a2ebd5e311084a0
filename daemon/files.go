package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// standardInput is the file name that stands for it.
const standardInput = "-"

// openInput opens a named file or standard input, and says how large it is, -1 when nobody knows.
func openInput(cmd *cobra.Command, name string) (io.ReadCloser, int64, error) {
	if name == standardInput {
		return io.NopCloser(cmd.InOrStdin()), -1, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = usagef("%s is a folder", name)
	case info.Mode().IsRegular():
		return file, info.Size(), nil
	default:
		return file, -1, nil
	}
	file.Close()
	return nil, 0, err
}

const mostJSONFile = 64 << 10 // bytes, as the gateway takes them

// readJSONFile reads a file that has to be JSON, so that a mistake is found before the gateway is asked.
func readJSONFile(cmd *cobra.Command, name string) ([]byte, error) {
	file, _, err := openInput(cmd, name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, mostJSONFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > mostJSONFile {
		return nil, fmt.Errorf("%s: more than %d bytes", name, mostJSONFile)
	}
	if err := json.Unmarshal(b, new(any)); err != nil {
		return nil, fmt.Errorf("%s is not JSON: %w", name, err)
	}
	return bytes.TrimSpace(b), nil
}

// provisioningFlag collects KEY=VALUE; a key without a value is removed.
type provisioningFlag map[string]*string

func (p provisioningFlag) String() string { return "" }
func (p provisioningFlag) Type() string   { return "KEY=VALUE" }

func (p provisioningFlag) Set(s string) error {
	key, value, ok := strings.Cut(s, "=")
	if !ok || key == "" {
		return fmt.Errorf("want KEY=VALUE")
	}
	p[key] = nil
	if value != "" {
		p[key] = &value
	}
	return nil
}
