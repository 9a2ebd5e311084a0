//go:build race

package catalog

func init() { many = 12_000 }
