//go:build race

package catalog

func init() { many, readMembers = 12_000, 20_000 }
