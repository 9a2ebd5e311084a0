//go:build !race

package decoding

const raceBuild = false
