//go:build component

package main

// componentTools: make test-component has all compilers, and what lacks one fails.
const componentTools = true

// componentBoots is how many boots of the component are played.
const componentBoots = 200

var sanitizers = []string{"-fsanitize=address,undefined", "-fno-sanitize-recover=all"}
