//go:build race

package decoding

const raceBuild = true
