//go:build !component

package main

const (
	componentTools = false
	componentBoots = 40
)

var sanitizers []string
