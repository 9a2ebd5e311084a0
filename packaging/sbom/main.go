// Command sbom adds the page's script libraries, which no Go module names, to a bill of materials. usage: sbom FILE
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/slipway-gateway/slipway/pkg/page"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "sbom: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one file")
	}
	before, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	after, err := extend(before)
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], after, 0o644)
}

// component is one of a CycloneDX bill of materials: https://cyclonedx.org/docs/1.6/json/#components
type component struct {
	Ref      string    `json:"bom-ref"`
	Type     string    `json:"type"`
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	Purl     string    `json:"purl"`
	Hashes   []hash    `json:"hashes"`
	Licences []licence `json:"licenses"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type licence struct {
	Licence struct {
		ID string `json:"id"`
	} `json:"license"`
}

// extend adds a component for each library. Everything else stays as it is, but for the order of the members.
func extend(bill []byte) ([]byte, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(bill, &all); err != nil {
		return nil, err
	}
	var components []json.RawMessage
	if err := json.Unmarshal(all["components"], &components); err != nil {
		return nil, fmt.Errorf("components: %w", err)
	}
	for _, l := range page.Libraries {
		purl := "pkg:npm/" + l.Name + "@" + l.Version
		c := component{Ref: purl, Type: "library", Name: l.Name, Version: l.Version, Purl: purl, Licences: make([]licence, 1)}
		c.Licences[0].Licence.ID = l.Licence
		for _, f := range l.Files {
			c.Hashes = append(c.Hashes, hash{"SHA-256", f.SHA256})
		}
		raw, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		components = append(components, raw)
	}
	raw, err := json.Marshal(components)
	if err != nil {
		return nil, err
	}
	all["components"] = raw
	packed, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = json.Indent(&b, packed, "", "  ")
	b.WriteByte('\n')
	return b.Bytes(), err
}
